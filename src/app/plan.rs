//! What does `plan` do? Manifests read, the cluster asked once or not at all, and each Service told what would come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;

use super::check::{ignores, pass, screen, severity};
use super::pass::Gathered;
use super::{USAGE, complain, config, evaluator, print, snapshot};
use crate::cli::{PlanArgs, PlanFormat};
use crate::clock;
use crate::config::Config;
use crate::controller::settings::Settings;
use crate::excerpt::excerpt;
use crate::inventory::ids::ObjectName;
use crate::inventory::kube::{ControllerDeployment, Service, Version};
use crate::inventory::part::Part;
use crate::inventory::parts::Parts;
use crate::report::ignore::Ignore;
use crate::report::plan::manifests::{self, Manifest};
use crate::report::plan::print::{as_json, as_markdown, as_text};
use crate::report::plan::{Input, plan as make};
use crate::report::redact::is_redacted;
use crate::report::sarif::as_sarif;
use crate::report::verdict::{BLIND, CLEAN, FOUND, Verdict};
use crate::telemetry;

/// Does it, to the exit code.
pub(super) fn plan(args: &PlanArgs) -> ExitCode {
    telemetry::init(args.pass.log.level, args.pass.log.format);
    let (config, ignores, version, manifests, recorded) = match prepare(args) {
        Ok(prepared) => prepared,
        Err(error) => return complain(USAGE, &format_args!("{error:#}")),
    };
    let gathered = match recorded {
        Some(recorded) => Ok(recorded),
        None if args.offline => Ok(Gathered { parts: Parts::default(), taken_at: clock::now() }),
        None => pass(&args.cluster, &args.pass, &config),
    };
    let Gathered { mut parts, taken_at } = match gathered {
        Ok(gathered) => gathered,
        Err(error) => return complain(BLIND, &format_args!("{error:#}")),
    };
    let gaps = if args.offline {
        Vec::new()
    } else {
        let (judged, pending) = evaluator::judge(parts.clone(), &config.policy, false, taken_at);
        Verdict::of(&judged.outcome, &parts, &pending, ignores.clone(), clock::now()).gaps
    };
    if let Some(version) = version {
        run_as(&mut parts, version, taken_at);
    }
    let mut plan = make(Input { manifests, parts, offline: args.offline, policy: &config.policy, now: taken_at });
    let (expired, in_force): (Vec<Ignore>, Vec<Ignore>) =
        ignores.into_iter().partition(|ignore| ignore.has_expired(clock::now()));
    plan.leave_out(&in_force);
    let exit_code = if !gaps.is_empty() || plan.unknown().next().is_some() {
        BLIND
    } else if plan.has(severity(args.verdict.fail_on)) {
        FOUND
    } else {
        CLEAN
    };
    let printed = print(&match args.output {
        PlanFormat::Table => as_text(&plan, screen(&args.screen).colour),
        PlanFormat::Json => as_json(&plan, exit_code),
        PlanFormat::Markdown => as_markdown(&plan),
        PlanFormat::Sarif => as_sarif(&plan),
    });
    let mut notes: Vec<String> = gaps.iter().map(|gap| format!("could not know: {}: {}", gap.what, gap.why)).collect();
    notes.extend(plan.unknown().map(|(service, why)| format!("could not know: Service {service}: {why}")));
    notes.extend(
        expired.iter().map(|ignore| format!("the ignored {ignore} ({}) ran out and hides nothing any more", ignore.reason)),
    );
    for note in notes {
        // Nobody is left to tell when that fails.
        let _ = writeln!(std::io::stderr(), "{}", crate::report::text::plain(&note));
    }
    match printed {
        Ok(()) => ExitCode::from(exit_code),
        Err(error) => complain(BLIND, &error),
    }
}

type Prepared = (Config, Vec<Ignore>, Option<Version>, Vec<Manifest>, Option<Gathered>);

fn prepare(args: &PlanArgs) -> anyhow::Result<Prepared> {
    let config = config(&args.cluster)?;
    let ignores = ignores(&args.verdict)?;
    let version = match args.controller_version.as_deref() {
        Some(text) => {
            Some(Version::parse(text).with_context(|| format!("--controller-version {text:?} is not of the form 2.8.2"))?)
        }
        None => None,
    };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for path in &args.files {
        read(path, &args.namespace, &mut seen, &mut found)?;
    }
    let recorded = args.snapshot.as_deref().map(snapshot::read).transpose()?;
    if recorded.as_ref().is_some_and(|recorded| recorded.header.redacted)
        && let Some((manifest, text)) = found.iter().find_map(|manifest| Some((manifest, named(&manifest.service)?)))
    {
        anyhow::bail!(
            "{}:{}: Service {} names {text}, which has another name in a picture that was taken with --redact: plan upon one without",
            manifest.file,
            manifest.line,
            manifest.service.name
        );
    }
    let recorded = recorded.map(|recorded| Gathered { parts: recorded.parts, taken_at: recorded.header.taken_at });
    Ok((config, ignores, version, found, recorded))
}

/// What a Service names that is replaced in a redacted picture.
fn named(service: &Service) -> Option<String> {
    let annotated = service.annotations.values().chain(&service.source_ranges);
    annotated.flat_map(|value| value.split([',', ' ', '=', '"'])).find(|text| is_redacted(text)).map(excerpt)
}

/// The Services of a file, of standard input, or of a folder's YAML and JSON files. `seen` are the files and folders that were
/// read, by what they are and not by how they are called: links may lead to the same one again, or in a circle.
fn read(path: &Path, namespace: &str, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<Manifest>) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        // A pipe, as of `<(…)`, has no other name.
        if !seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())) {
            return Ok(());
        }
        if path.is_dir() {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(cannot_read)?;
            let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
            // Of a mounted ConfigMap the links come first, whose names a person knows.
            paths.sort_by_key(|path| {
                (path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")), path.clone())
            });
            for path in paths {
                let is_manifest =
                    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
                if is_manifest || path.is_dir() {
                    read(&path, namespace, seen, found)?;
                }
            }
            return Ok(());
        }
        text = fs::read_to_string(path).with_context(cannot_read)?;
    }
    found.extend(manifests::read(&path.display().to_string(), &text, namespace, clock::now())?);
    Ok(())
}

/// Takes the cluster's controller for one of this version; where none is known, for one with the documented defaults.
fn run_as(parts: &mut Parts, version: Version, now: Timestamp) {
    let mut deployment = Settings::in_cluster(parts).deployment().cloned().unwrap_or_else(|| ControllerDeployment {
        name: ObjectName::new("kube-system", "aws-load-balancer-controller"),
        version: None,
        image: "".into(),
        flags: BTreeMap::new(),
        replicas: 1,
        available_replicas: Some(1),
    });
    deployment.version = Some(version);
    parts.controllers = Part::fetched(BTreeMap::from([(deployment.name.clone(), Arc::new(deployment))]), now);
}
