//! How is a plan printed: for a person, for programs, for a pull request?

use std::fmt::Write;

use serde::Serialize;

use super::changes::{Change, Effect};
use super::room::Cost;
use super::{FirstWall, Plan, PlanProblem, Planned, PlannedSubnet};
use crate::checks::model::Severity;
use crate::inventory::aws::Scheme;
use crate::inventory::ids::AllocationId;
use crate::report::text::{markdown, plain};

/// For a person.
pub fn as_text(plan: &Plan, colour: bool) -> String {
    let mut text = String::new();
    for planned in &plan.services {
        let because = planned.because.as_deref().map(|because| format!(" ({})", plain(because))).unwrap_or_default();
        let _ = writeln!(
            text,
            "Service {} ({}:{}): {}{because}",
            plain(&planned.service.to_string()),
            plain(&planned.file),
            planned.line,
            planned.fate.words()
        );
        let _ = writeln!(text, "  owner    {}", planned.owner);
        if let Some(scheme) = planned.scheme {
            let _ = writeln!(text, "  scheme   {scheme}");
        }
        for subnet in &planned.subnets {
            let _ = writeln!(text, "  subnet   {}", in_words(subnet));
        }
        for address in &planned.elastic_ips {
            let _ = writeln!(text, "  address  {}", plain(&address.to_string()));
        }
        for cost in &planned.costs {
            let _ = writeln!(text, "  takes    {}", cost_in_words(cost));
        }
        if let Some(wall) = &planned.first_wall {
            let _ = writeln!(text, "  wall     {}", wall_in_words(wall));
        }
        for note in planned.blind.iter().chain(&planned.notes) {
            let _ = writeln!(text, "  unknown  {}", plain(note));
        }
        for change in untold(planned) {
            let _ = writeln!(text, "  change   {}", plain(&change.message));
        }
        for problem in &planned.problems {
            let severity = severity(problem.kind.severity, colour);
            let _ = writeln!(text, "  {severity} {} line {}: {}", problem.kind.code, problem.line, plain(&problem.message));
            let _ = writeln!(text, "           → {}", problem.kind.action);
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", summary(plan));
    text
}

/// Changes that are no problems: those are told as such.
fn untold(planned: &Planned) -> impl Iterator<Item = &Change> {
    planned.changes.iter().filter(|change| matches!(change.effect, Effect::InPlace | Effect::TargetGroupsReplaced))
}

fn severity(severity: Severity, colour: bool) -> String {
    let code = match severity {
        Severity::Critical => "1;31",
        Severity::Warning => "33",
        Severity::Info => "36",
    };
    let word = format!("{:<8}", severity.as_str());
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word }
}

fn in_words(subnet: &PlannedSubnet) -> String {
    let takes = match subnet.takes_addresses {
        0 => String::new(),
        takes => format!(", takes {takes}"),
    };
    let free = subnet.free_addresses.map(|free| format!(", {free} free addresses{takes}")).unwrap_or_default();
    format!("{} in {}{free}", subnet.subnet_id, subnet.availability_zone)
}

fn cost_in_words(cost: &Cost) -> String {
    let assumed = if cost.assumed { ", by AWS's default limit" } else { "" };
    let of = cost.of.as_deref().map(|of| format!(" of {}", plain(of))).unwrap_or_default();
    let Cost { takes, quota, .. } = cost;
    match cost.left {
        None => format!("{takes} of {quota}{of}; what is left is not known"),
        Some(left) if left >= 0 => format!("{takes} of {quota}{of}; {left} left after it{assumed}"),
        Some(_) => format!("{takes} of {quota}{of}, which is more than is left{assumed}"),
    }
}

fn wall_in_words(wall: &FirstWall) -> String {
    let of = wall.of.as_deref().map(|of| format!(" of {}", plain(of))).unwrap_or_default();
    format!("{}{of}: {} more like it fit", wall.constraint, wall.load_balancers)
}

fn summary(plan: &Plan) -> String {
    if plan.services.is_empty() {
        return "No Service stands in what was read (objects of other kinds are passed over): nothing to plan.".to_owned();
    }
    let count = |severity| {
        plan.services.iter().flat_map(|planned| &planned.problems).filter(|problem| problem.kind.severity == severity).count()
    };
    let mut parts = vec![format!("{} Services", plan.services.len())];
    if plan.services.len() == 1 {
        parts[0] = "1 Service".to_owned();
    }
    let problems = [Severity::Critical, Severity::Warning, Severity::Info].map(|severity| (count(severity), severity));
    parts.extend(
        problems.iter().filter(|(count, _)| *count > 0).map(|(count, severity)| format!("{count} {}", severity.as_str())),
    );
    if parts.len() == 1 {
        parts.push("nothing found".to_owned());
    }
    if plan.ignored > 0 {
        parts.push(format!("{} ignored", plan.ignored));
    }
    let controller = match &plan.controller_version {
        Some(version) => format!("for controller {version}"),
        None => "for a controller with its documented defaults".to_owned(),
    };
    let offline = if plan.offline { ", without asking AWS or Kubernetes" } else { "" };
    format!("Planned {controller}{offline}: {}.", parts.join(", "))
}

/// For a pull request.
pub fn as_markdown(plan: &Plan) -> String {
    if plan.services.is_empty() {
        return format!("**{}**\n", markdown(&summary(plan)));
    }
    let mut text = format!("**{}**\n\n| Service | what becomes of it | subnets |\n|---|---|---|\n", markdown(&summary(plan)));
    for planned in &plan.services {
        let because = planned.because.as_deref().map(|because| format!(" ({})", markdown(because))).unwrap_or_default();
        let subnets: Vec<String> = planned.subnets.iter().map(in_words).collect();
        let name = markdown(&planned.service.to_string());
        let _ = writeln!(text, "| {name} | {}{because} | {} |", planned.fate.words(), markdown(&subnets.join("; ")));
    }
    let problems = plan.services.iter().flat_map(|planned| planned.problems.iter().map(move |problem| (planned, problem)));
    let mut rows = String::new();
    for (planned, problem) in problems {
        let place = markdown(&format!("{}:{}", planned.file, problem.line));
        let (severity, message) = (problem.kind.severity.as_str(), markdown(&problem.message));
        let _ = writeln!(rows, "| {severity} | {} | {place} | {message} |", problem.kind.code);
    }
    if !rows.is_empty() {
        let _ = write!(text, "\n| severity | code | where | what |\n|---|---|---|---|\n{rows}");
    }
    let mut rows = String::new();
    for (planned, cost) in plan.services.iter().flat_map(|planned| planned.costs.iter().map(move |cost| (planned, cost))) {
        let _ = writeln!(rows, "| {} | {} |", markdown(&planned.service.to_string()), markdown(&cost_in_words(cost)));
    }
    if !rows.is_empty() {
        let _ = write!(text, "\n| Service | takes |\n|---|---|\n{rows}");
    }
    let mut notes: Vec<String> = Vec::new();
    for planned in &plan.services {
        let wall = planned.first_wall.as_ref().map(|wall| format!("the first wall is {}", wall_in_words(wall)));
        notes.extend(
            wall.iter().chain(&planned.blind).chain(&planned.notes).map(|note| markdown(&format!("{}: {note}", planned.service))),
        );
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n- {}\n", notes.join("\n- "));
    }
    let changes: Vec<String> = plan.services.iter().flat_map(untold).map(|it| markdown(&it.message)).collect();
    if !changes.is_empty() {
        let _ = write!(text, "\nChanges:\n\n- {}\n", changes.join("\n- "));
    }
    text
}

#[derive(Debug, Serialize)]
struct View<'a> {
    controller_version: Option<&'a str>,
    offline: bool,
    exit_code: u8,
    ignored: usize,
    services: Vec<ServiceView<'a>>,
}

#[derive(Debug, Serialize)]
struct ServiceView<'a> {
    namespace: &'a str,
    name: &'a str,
    file: &'a str,
    line: usize,
    owner: &'static str,
    fate: super::Fate,
    because: Option<&'a str>,
    scheme: Option<Scheme>,
    subnets: &'a [PlannedSubnet],
    elastic_ips: &'a [AllocationId],
    costs: &'a [Cost],
    first_wall: Option<&'a FirstWall>,
    unknown: Option<&'a str>,
    notes: &'a [String],
    changes: &'a [Change],
    problems: Vec<ProblemView<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    code: &'static str,
    severity: Severity,
    line: usize,
    field: &'a str,
    message: &'a str,
    action: &'static str,
}

/// For programs. Fields are only ever added.
pub fn as_json(plan: &Plan, exit_code: u8) -> String {
    let view = View {
        controller_version: plan.controller_version.as_deref(),
        offline: plan.offline,
        exit_code,
        ignored: plan.ignored,
        services: plan.services.iter().map(ServiceView::of).collect(),
    };
    let mut text = serde_json::to_string_pretty(&view).expect("a tree of texts and numbers is JSON");
    text.push('\n');
    text
}

impl<'a> ServiceView<'a> {
    fn of(planned: &'a Planned) -> Self {
        Self {
            namespace: &planned.service.namespace,
            name: &planned.service.name,
            file: &planned.file,
            line: planned.line,
            owner: planned.owner,
            fate: planned.fate,
            because: planned.because.as_deref(),
            scheme: planned.scheme,
            subnets: &planned.subnets,
            elastic_ips: &planned.elastic_ips,
            costs: &planned.costs,
            first_wall: planned.first_wall.as_ref(),
            unknown: planned.blind.as_deref(),
            notes: &planned.notes,
            changes: &planned.changes,
            problems: planned.problems.iter().map(ProblemView::of).collect(),
        }
    }
}

impl<'a> ProblemView<'a> {
    fn of(problem: &'a PlanProblem) -> Self {
        Self {
            code: problem.kind.code,
            severity: problem.kind.severity,
            line: problem.line,
            field: &problem.field,
            message: &problem.message,
            action: problem.kind.action,
        }
    }
}
