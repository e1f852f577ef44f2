//! How much of the machine does this process use? The customary `process_*` families, from `/proc/self`.
//!
//! Reading them is a few system calls answered by the kernel from memory; nothing here waits for a disk. Where there is no
//! `/proc` the families are absent.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::expose::own::{OwnFamily, OwnKind, write_single};

/// Ticks a second in `/proc/*/stat`. Linux fixes it at 100 for programs on every architecture that this one is built for.
const TICKS: f64 = 100.0;

macro_rules! families {
    ($($family:ident = $kind:ident $name:literal $help:literal),+ $(,)?) => {
        $(static $family: OwnFamily = OwnFamily { name: $name, kind: OwnKind::$kind, labels: &[], help: $help };)+
        /// The families, in the order of exposition. Their names are whole: they are everybody's, not ours.
        pub static FAMILIES: &[&OwnFamily] = &[$(&$family),+];
    };
}

families! {
    CPU = Counter "process_cpu_seconds_total" "Total user and system CPU time spent in seconds.",
    OPEN_FDS = Gauge "process_open_fds" "Number of open file descriptors.",
    MAX_FDS = Gauge "process_max_fds" "Maximum number of open file descriptors.",
    VIRTUAL = Gauge "process_virtual_memory_bytes" "Virtual memory size in bytes.",
    RESIDENT = Gauge "process_resident_memory_bytes" "Resident memory size in bytes.",
    START_TIME = Gauge "process_start_time_seconds" "Start time of the process since unix epoch in seconds.",
}

/// Writes what `/proc/self` says at the moment.
#[derive(Debug)]
pub(crate) struct ProcessCollector {
    started_at: Option<f64>,
}

impl ProcessCollector {
    /// A collector for this process. When it started is computed once: a clock that is set later must not move it.
    pub(crate) fn new() -> Self {
        let ticks = read("/proc/self/stat").and_then(|stat| Usage::parse(&stat)).map(|usage| usage.started_after_boot);
        let boot = read("/proc/stat").and_then(|stat| boot_time(&stat));
        Self { started_at: ticks.zip(boot).map(|(after, boot)| boot + after) }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = read("/proc/self/stat").and_then(|stat| Usage::parse(&stat)).map(|usage| usage.cpu);
        let status = read("/proc/self/status").unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
        let values = [
            (&CPU, cpu),
            (&OPEN_FDS, open),
            (&MAX_FDS, read("/proc/self/limits").and_then(|limits| soft_limit(&limits, "Max open files"))),
            (&VIRTUAL, kibibytes(&status, "VmSize:")),
            (&RESIDENT, kibibytes(&status, "VmRSS:")),
            (&START_TIME, self.started_at),
        ];
        for (family, value) in values {
            if let Some(value) = value {
                write_single(&mut encoder, family, value)?;
            }
        }
        Ok(())
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Seconds from `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Usage {
    cpu: f64,
    started_after_boot: f64,
}

impl Usage {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in brackets and may itself hold brackets and blanks.
        let fields: Vec<_> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        // proc_pid_stat(5) counts from 1 and the first field here is the third: utime 14, stime 15, starttime 22.
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self { cpu: (ticks(14)? + ticks(15)?) as f64 / TICKS, started_after_boot: ticks(22)? as f64 / TICKS })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn kibibytes(status: &str, key: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    let count: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(count * 1024.0)
}

/// `None` also for "unlimited", which is no number.
fn soft_limit(limits: &str, name: &str) -> Option<f64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::expose::negotiate::Format;
    use crate::expose::render;

    #[test]
    fn a_program_name_with_brackets_and_blanks_is_skipped() {
        let stat = "1 (a b) c)) S 0 1 1 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 1 0 1234 1 2 3";
        assert_eq!(Usage::parse(stat), Some(Usage { cpu: 3.0, started_after_boot: 12.34 }));
        assert_eq!(Usage::parse("1 (a) S 0"), None);
        assert_eq!(Usage::parse(""), None);
    }

    #[test]
    fn numbers_are_read_with_their_units() {
        assert_eq!(kibibytes("Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t 4 kB\n", "VmRSS:"), Some(4096.0));
        assert_eq!(kibibytes("", "VmRSS:"), None);
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000.0));
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024     4096    files\nMax x unlimited unlimited\n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(soft_limit(limits, "Max x"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_described_in_both_formats() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector::new()));
        for format in [Format::Text, Format::OpenMetrics] {
            let mut text = String::new();
            render::encode(format, &registry, &mut text).unwrap();
            let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let names: Vec<_> = samples.iter().map(|line| line.split(' ').next().unwrap()).collect();
            let described: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
            assert_eq!(names, described, "{text}");
            for sample in samples {
                let value: f64 = sample.split(' ').next_back().unwrap().parse().unwrap();
                assert!(value >= 0.0 && (value > 0.0 || sample.contains("cpu")), "{sample}");
            }
        }
    }
}
