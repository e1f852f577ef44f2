//! How many requests are answered in which time? A token bucket over all clients.

use std::time::Duration;

use super::document::{Complaint, Section};

/// One request in each `interval`, and up to `burst` at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RateLimit {
    interval: Duration,
    burst: u32,
}

impl RateLimit {
    /// The section `rate_limit`; an interval of 0 means none.
    pub(super) fn read(mut section: Section) -> Result<Option<Self>, Complaint> {
        let interval = match section.written("interval")? {
            None => Duration::ZERO,
            Some((line, text)) => duration(&text).ok_or_else(|| {
                section.complain(line, "interval", format_args!("is {text:?}, but a time is written as 1s, 500ms or 1m30s"))
            })?,
        };
        let burst = section.whole("burst")?;
        let line = section.line;
        let burst = match burst {
            _ if interval.is_zero() => 0,
            None => return Err(section.complain(line, "burst", "is missing: how many requests may come at once")),
            Some((line, burst)) => u32::try_from(burst).ok().filter(|burst| *burst > 0).ok_or_else(|| {
                section.complain(line, "burst", format_args!("is {burst}, but without at least 1 nothing is answered"))
            })?,
        };
        section.finish(&["interval", "burst"])?;
        Ok((!interval.is_zero()).then_some(Self { interval, burst }))
    }

    /// A full bucket.
    pub(super) fn bucket(self) -> Bucket {
        Bucket { limit: self, full_at: Duration::ZERO }
    }
}

/// What is left of a rate. Times are counted from any fixed moment.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    /// When it will be full again.
    full_at: Duration,
}

impl Bucket {
    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now) + self.limit.interval;
        let granted = full_at - now <= self.limit.interval * self.limit.burst;
        if granted {
            self.full_at = full_at;
        }
        granted
    }
}

/// `1h2m3.5s`, `500ms`, `0`: as Go writes times. None longer than a day.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    let sensible = !text.is_empty() && seconds <= 86_400.0;
    sensible.then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (text, milliseconds) in [("1s", 1000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1500), ("0", 0), ("0s", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1 s", "1d", "1s1", "..s", "100h", "1e9s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn after_a_burst_one_request_comes_through_in_each_interval() {
        let mut bucket = RateLimit { interval: Duration::from_secs(1), burst: 3 }.bucket();
        let at = Duration::from_secs(100);
        assert_eq!([(); 5].map(|()| bucket.take(at)), [true, true, true, false, false]);
        assert!(!bucket.take(at + Duration::from_millis(999)));
        assert!(bucket.take(at + Duration::from_secs(1)));
        assert!(!bucket.take(at + Duration::from_secs(1)));
        let later = at + Duration::from_secs(1000);
        assert_eq!(
            [(); 4].map(|()| bucket.take(later)),
            [true, true, true, false],
            "a pause fills it no further than to the burst"
        );
    }
}
