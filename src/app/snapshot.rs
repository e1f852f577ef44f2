//! What does `snapshot` do? One pass, written to a file; and how is such a file read?

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::pass::Gathered;
use super::{USAGE, check, complain, config, evaluator};
use crate::cli::SnapshotArgs;
use crate::clock;
use crate::report::snapshot::{Recorded, pack, unpack};
use crate::report::verdict::{BLIND, Verdict};
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
    // A device or a pipe is written to; to put a file in its place would take it away. A link leads to what is meant.
    let there = fs::canonicalize(path).ok();
    let path = there.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        return fs::write(path, packed).with_context(|| format!("cannot write {}", path.display()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    // What an earlier run or somebody else left there would keep its permissions, or lead elsewhere.
    let _ = fs::remove_file(&partial);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| file.write_all(packed))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // What could not be written is not kept; there may be nothing to remove.
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a picture from a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Recorded> {
    let packed = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    unpack(&packed).with_context(|| format!("{} cannot be used", path.display()))
}
