//! What goes wrong with AWS's answers, how often, and in which words of AWS's?

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::operations::{Api, Operation};

/// Something that goes wrong: `OPERATION=KIND[:VALUE]`.
///
/// `OPERATION` is a call's name, `SERVICE:*` or `*`. `KIND` is one of
/// `throttle[:RATIO]`, `error[:RATIO]` (a 5xx), `deny[:RATIO]`, `expire[:RATIO]` (credentials), `truncate[:RATIO]` (a 2xx that
/// ends early), `hang[:RATIO]` (no answer), `latency:DURATION` (`250ms`, `2s`). A ratio is from 0 to 1; without one it is
/// every call.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which calls.
    pub scope: FaultScope,
    /// What.
    pub kind: FaultKind,
    /// How many of them, from 0 to 1.
    pub ratio: f64,
}

/// Which calls a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultScope {
    /// All.
    All,
    /// All of one service.
    Api(Api),
    /// One.
    Operation(Operation),
}

impl FaultScope {
    fn covers(self, operation: Operation) -> bool {
        match self {
            Self::All => true,
            Self::Api(api) => operation.api() == api,
            Self::Operation(one) => one == operation,
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The answer takes that much longer.
    Latency(Duration),
    /// The service's own throttling error.
    Throttle,
    /// The service's own internal error, a 5xx.
    Error,
    /// The caller lacks the permission.
    Deny,
    /// The caller's credentials have expired.
    Expire,
    /// A good answer of which the end is missing.
    Truncate,
    /// No answer, ever.
    Hang,
}

/// A fault that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FaultError {
    /// No `=`.
    #[error("{0:?} is not of the form OPERATION=KIND[:VALUE], e.g. DescribeTags=throttle:0.5")]
    Form(String),
    /// Not an operation.
    #[error("{0:?} is no operation of the simulator: it must be *, SERVICE:* or a call's name such as DescribeTags")]
    Operation(String),
    /// Not a kind.
    #[error("{0:?} is no kind of fault: it must be latency, throttle, error, deny, expire, truncate or hang")]
    Kind(String),
    /// Not a ratio.
    #[error("{0:?} is no ratio: it must be a number from 0 to 1")]
    Ratio(String),
    /// Not a duration.
    #[error("{0:?} is no duration: it must be a number with ms or s, e.g. 250ms")]
    Duration(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (scope, rest) = text.split_once('=').ok_or_else(|| FaultError::Form(text.to_owned()))?;
        let scope = FaultScope::parse(scope.trim()).ok_or_else(|| FaultError::Operation(scope.trim().to_owned()))?;
        let (kind, value) = rest.split_once(':').map_or((rest.trim(), None), |(kind, value)| (kind.trim(), Some(value.trim())));
        let kind = match kind {
            "latency" => {
                let value = value.unwrap_or_default();
                let latency = duration(value).ok_or_else(|| FaultError::Duration(value.to_owned()))?;
                return Ok(Self { scope, kind: FaultKind::Latency(latency), ratio: 1.0 });
            }
            "throttle" => FaultKind::Throttle,
            "error" => FaultKind::Error,
            "deny" => FaultKind::Deny,
            "expire" => FaultKind::Expire,
            "truncate" => FaultKind::Truncate,
            "hang" => FaultKind::Hang,
            other => return Err(FaultError::Kind(other.to_owned())),
        };
        let ratio = match value {
            None => 1.0,
            Some(text) => {
                text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| FaultError::Ratio(text.to_owned()))?
            }
        };
        Ok(Self { scope, kind, ratio })
    }
}

impl FaultScope {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        match text.split_once(':') {
            Some((api, "*")) => Api::by_name(api).map(Self::Api),
            Some((api, name)) => Operation::parse(Api::by_name(api)?, name).map(Self::Operation),
            None => Operation::ALL.iter().copied().find(|operation| operation.name() == text).map(Self::Operation),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            FaultScope::All => f.write_str("*"),
            FaultScope::Api(api) => write!(f, "{}:*", api.name()),
            FaultScope::Operation(operation) => f.write_str(operation.name()),
        }?;
        let name = match self.kind {
            FaultKind::Latency(latency) => return write!(f, "=latency:{}ms", latency.as_secs_f64() * 1000.0),
            FaultKind::Throttle => "throttle",
            FaultKind::Error => "error",
            FaultKind::Deny => "deny",
            FaultKind::Expire => "expire",
            FaultKind::Truncate => "truncate",
            FaultKind::Hang => "hang",
        };
        write!(f, "={name}:{}", self.ratio)
    }
}

/// The faults in force. Which calls they hit follows from the calls' order alone: the same calls, the same faults.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    calls: u64,
}

/// What to do with one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How long the answer takes longer.
    pub(crate) latency: Duration,
    /// What is wrong with it.
    pub(crate) fault: Option<FaultKind>,
}

impl Faults {
    /// These faults from now on.
    pub fn new(faults: Vec<Fault>) -> Self {
        Self { state: Mutex::new(State { faults, calls: 0 }) }
    }

    /// Replaces all faults; an empty list heals everything.
    pub fn set(&self, faults: Vec<Fault>) {
        self.state().faults = faults;
    }

    /// Adds one.
    pub fn add(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// The faults in force.
    pub fn get(&self) -> Vec<Fault> {
        self.state().faults.clone()
    }

    /// Decides about one call. Latencies add up; of the other kinds the first that hits counts.
    pub(crate) fn judge(&self, operation: Operation) -> Verdict {
        let mut state = self.state();
        state.calls += 1;
        let mut verdict = Verdict::default();
        for (index, fault) in state.faults.iter().enumerate().filter(|(_, fault)| fault.scope.covers(operation)) {
            match fault.kind {
                FaultKind::Latency(latency) => verdict.latency += latency,
                kind if verdict.fault.is_none() && draw(state.calls, index) < fault.ratio => verdict.fault = Some(kind),
                _ => {}
            }
        }
        verdict
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number from 0 to 1 that looks drawn by lot.
fn draw(call: u64, fault: usize) -> f64 {
    let mixed = super::mix(call.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ fault as u64);
    // The upper 53 bits fill a double exactly.
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for text in [
            "DescribeTags=throttle:0.5",
            "*=latency:250ms",
            "ec2:*=deny:1",
            "GetCallerIdentity=expire:1",
            "*=hang:0.25",
            "*=truncate:1",
        ] {
            assert_eq!(fault(text).to_string(), text);
        }
        assert_eq!(fault("DescribeSubnets=error").ratio, 1.0);
        assert_eq!(fault("elasticloadbalancing:DescribeTags=deny"), fault("DescribeTags=deny:1"));
        assert_eq!(fault("*=latency:2s").kind, FaultKind::Latency(Duration::from_secs(2)));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, problem) in [
            ("DescribeTags", FaultError::Form("DescribeTags".into())),
            ("DescribeTag=deny", FaultError::Operation("DescribeTag".into())),
            ("s3:*=deny", FaultError::Operation("s3:*".into())),
            ("*=break", FaultError::Kind("break".into())),
            ("*=throttle:1.5", FaultError::Ratio("1.5".into())),
            ("*=throttle:NaN", FaultError::Ratio("NaN".into())),
            ("*=latency", FaultError::Duration(String::new())),
            ("*=latency:5", FaultError::Duration("5".into())),
            ("*=latency:-1s", FaultError::Duration("-1s".into())),
        ] {
            assert_eq!(Fault::from_str(text).unwrap_err(), problem, "{text}");
        }
    }

    #[test]
    fn a_ratio_hits_that_share_of_the_calls_and_always_the_same_ones() {
        let hits = || {
            let faults = Faults::new(vec![fault("DescribeTags=throttle:0.3")]);
            (0..1000).map(|_| faults.judge(Operation::DescribeTags).fault.is_some()).collect::<Vec<_>>()
        };
        let count = hits().into_iter().filter(|hit| *hit).count();
        assert!((250..350).contains(&count), "{count} of 1000");
        assert_eq!(hits(), hits());
    }

    #[test]
    fn a_fault_of_one_call_leaves_the_others_alone() {
        let faults =
            Faults::new(vec![fault("ec2:*=deny"), fault("DescribeTags=hang"), fault("*=latency:10ms"), fault("*=latency:5ms")]);
        let judge = |operation| faults.judge(operation);
        assert_eq!(judge(Operation::DescribeSubnets).fault, Some(FaultKind::Deny));
        assert_eq!(judge(Operation::DescribeTags).fault, Some(FaultKind::Hang));
        assert_eq!(judge(Operation::DescribeTargetHealth).fault, None);
        assert_eq!(judge(Operation::DescribeTargetHealth).latency, Duration::from_millis(15));
        faults.set(Vec::new());
        assert_eq!(judge(Operation::DescribeSubnets), Verdict::default());
    }
}
