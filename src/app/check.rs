//! What does `check` do? One pass, or a recorded picture, judged once; findings on standard output, the verdict as exit code.

use std::fs;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::pass::{Gathered, gather};
use super::serve::reach;
use super::{USAGE, complain, config, evaluator, print, run_to_end, snapshot};
use crate::checks::model::Severity;
use crate::cli::{CheckArgs, ClusterArgs, FailOn, MemoryArgs, PassArgs, ReportFormat, ScreenArgs, VerdictArgs};
use crate::clock;
use crate::config::Config;
use crate::inventory::part::Part;
use crate::inventory::parts::source;
use crate::report::findings::{Screen, as_json, as_markdown, as_table};
use crate::report::ignore::{self, Ignore};
use crate::report::verdict::{Gap, Verdict};
use crate::sources::state::{self, StateSettings};
use crate::telemetry;

/// A screen whose width nobody tells is taken to be this wide.
const WIDTH: u16 = 120;

/// Does it, to the exit code.
pub(super) fn check(args: &CheckArgs) -> ExitCode {
    telemetry::init(args.pass.log.level, args.pass.log.format);
    let prepared = config(&args.cluster).map_err(anyhow::Error::from).and_then(|config| {
        let ignores = ignores(&args.verdict)?;
        if args.snapshot.is_some() && args.memory.is_named() {
            anyhow::bail!("--state.configmap and --state.path are of the cluster as it is now; a picture holds what was remembered when it was taken");
        }
        let recorded = args.snapshot.as_deref().map(snapshot::read).transpose()?;
        Ok((config, ignores, recorded))
    });
    let (config, ignores, recorded) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return complain(USAGE, &format_args!("{error:#}")),
    };
    let gathered = match recorded {
        Some(recorded) => Ok((Gathered { parts: recorded.parts, taken_at: recorded.header.taken_at }, None)),
        None => pass(&args.cluster, &args.pass, &config).map(|mut gathered| {
            let gap = remember(&mut gathered, &args.memory, &args.cluster, &config);
            (gathered, gap)
        }),
    };
    match gathered {
        Ok((gathered, gap)) => report(gathered, gap, &config, ignores, clock::now(), args),
        Err(error) => complain(crate::report::verdict::BLIND, &format_args!("{error:#}")),
    }
}

/// One pass against the real APIs.
pub(super) fn pass(cluster: &ClusterArgs, pass: &PassArgs, config: &Config) -> anyhow::Result<Gathered> {
    let (aws, kube) = reach(cluster, config);
    let limit = Duration::from_secs(pass.timeout);
    run_to_end(async move { Ok(gather(aws, kube, limit).await) })
}

/// Puts what the daemon remembers into a picture, so that edits are judged too; what is missing when it cannot be read.
pub(super) fn remember(gathered: &mut Gathered, memory: &MemoryArgs, cluster: &ClusterArgs, config: &Config) -> Option<Gap> {
    if !memory.is_named() {
        return None;
    }
    let settings = StateSettings {
        config_map: memory.state_config_map.clone(),
        path: memory.state_path.clone(),
        ..StateSettings::default()
    };
    let (_, kube) = reach(cluster, config);
    let recalled = run_to_end(async move { Ok(state::recall(&settings, &kube).await) });
    match recalled.and_then(|recalled| recalled.map_err(anyhow::Error::from)) {
        Ok(history) => {
            let mut history = history.resume();
            history.observe(&gathered.parts, gathered.taken_at);
            gathered.parts.history = Part::fetched(history, gathered.taken_at);
            None
        }
        Err(error) => Some(Gap { what: source::STATE.to_owned(), why: error.to_string() }),
    }
}

fn report(
    gathered: Gathered,
    gap: Option<Gap>,
    config: &Config,
    ignores: Vec<Ignore>,
    today: Timestamp,
    args: &CheckArgs,
) -> ExitCode {
    let Gathered { parts, taken_at } = gathered;
    let scope = parts.scope.clone();
    let (judged, pending) = evaluator::judge(parts.clone(), &config.policy, false, taken_at);
    let mut verdict = Verdict::of(&judged.outcome, &parts, &pending, ignores, today);
    verdict.gaps.extend(gap);
    let fail_on = severity(args.verdict.fail_on);
    let text = match args.output {
        ReportFormat::Table => as_table(&verdict, &scope, screen(&args.screen)),
        ReportFormat::Json => as_json(&verdict, &scope, fail_on),
        ReportFormat::Markdown => as_markdown(&verdict, &scope),
    };
    let printed = print(&text);
    for note in verdict.notes() {
        // Nobody is left to tell when that fails.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    match printed {
        Ok(()) => ExitCode::from(verdict.exit_code(fail_on)),
        Err(error) => complain(crate::report::verdict::BLIND, &error),
    }
}

pub(super) fn severity(fail_on: FailOn) -> Severity {
    match fail_on {
        FailOn::Info => Severity::Info,
        FailOn::Warning => Severity::Warning,
        FailOn::Critical => Severity::Critical,
    }
}

/// What the flags and the file say to leave out.
pub(super) fn ignores(args: &VerdictArgs) -> anyhow::Result<Vec<Ignore>> {
    let mut ignores = Vec::new();
    for text in &args.ignore {
        ignores.push(text.parse::<Ignore>().context("--ignore")?);
    }
    if let Some(path) = &args.ignore_file {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        ignores.extend(ignore::read(&text).with_context(|| path.display().to_string())?);
    }
    Ok(ignores)
}

/// What standard output can show.
pub(super) fn screen(args: &ScreenArgs) -> Screen {
    if !std::io::stdout().is_terminal() {
        return Screen::default();
    }
    let width = args.columns.as_deref().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH).max(60);
    let colour = args.no_color.as_deref().is_none_or(str::is_empty) && args.term.as_deref() != Some("dumb");
    Screen { width: Some(width), colour }
}
