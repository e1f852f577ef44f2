//! What does `snapshot` do? One pass, written to a file; and how is such a file read?

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::pass::Gathered;
use super::{USAGE, check, complain, config, evaluator};
use crate::cli::SnapshotArgs;
use crate::clock;
use crate::report::snapshot::{Recorded, pack, unpack};
use crate::report::verdict::{BLIND, Verdict};
use crate::sources::state::file;
use crate::telemetry;

/// The file was not written.
const FAILED: u8 = 1;

/// Does it, to the exit code.
pub(super) fn snapshot(args: &SnapshotArgs) -> ExitCode {
    telemetry::init(args.pass.log.level, args.pass.log.format);
    let config = match config(&args.cluster) {
        Ok(config) => config,
        Err(error) => return complain(USAGE, &error),
    };
    let mut gathered = match check::pass(&args.cluster, &args.pass, &config) {
        Ok(gathered) => gathered,
        Err(error) => return complain(FAILED, &format_args!("{error:#}")),
    };
    let gap = check::remember(&mut gathered, &args.memory, &args.cluster, &config);
    let Gathered { parts, taken_at } = gathered;
    let written =
        pack(&parts, taken_at, args.redact).map_err(anyhow::Error::from).and_then(|packed| write(&args.output, &packed));
    if let Err(error) = written {
        return complain(FAILED, &format_args!("{error:#}"));
    }
    let (judged, pending) = evaluator::judge(parts.clone(), &config.policy, false, taken_at);
    let mut verdict = Verdict::of(&judged.outcome, &parts, &pending, Vec::new(), clock::now());
    verdict.gaps.extend(gap);
    for note in verdict.notes() {
        // Nobody is left to tell when that fails.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    if verdict.gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BLIND) }
}

/// Whole or not at all, and for nobody else's eyes: it shows the account and its network.
fn write(path: &Path, packed: &[u8]) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return std::io::stdout().write_all(packed).context("cannot write to standard output");
    }
    // A device or a pipe is written to: to put a file in its place would take it away.
    let is_stream = fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
    // A link there leads to what a shell has opened, which may be a file.
    let is_of_the_system = path.starts_with("/dev") || path.starts_with("/proc");
    let written = if is_stream || is_of_the_system { fs::write(path, packed) } else { file::write(path, packed) };
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a picture from a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Recorded> {
    let packed = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    unpack(&packed).with_context(|| format!("{} cannot be used", path.display()))
}
