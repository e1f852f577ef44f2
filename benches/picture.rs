//! What does a picture cost at the size of a large cluster, is it true, and how soon is it? Everything in one process.
//!
//! `--rows` prints rows of `benches/run.sh`'s table; `--only picture` or `--only reaction` measures one of both, for a profiler.

mod gather;
mod reaction;
mod truth;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use eks_nlb_exporter::checks::Judged;
use eks_nlb_exporter::checks::model::Outcome;
use eks_nlb_exporter::config::policy::Policy;
use eks_nlb_exporter::expose::exposition::{Exposition, ExpositionSettings};
use eks_nlb_exporter::expose::negotiate::{Encoding, Form, Format};
use eks_nlb_exporter::expose::own::OwnMetrics;
use eks_nlb_exporter::inventory::snapshot::Snapshot;
use eks_nlb_exporter::simulator::Sizes;
use eks_nlb_exporter::{checks, clock};

use gather::{EXPIRY, Gathered, cpu_time, gather};

/// Pictures that are measured, after a few that are not.
const RUNS: usize = 31;
const WARM_UP: usize = 3;
/// Target groups whose change is timed.
const REACTIONS: usize = 110;

/// A tenth of world L.
fn middle() -> Sizes {
    let large = Sizes::large();
    Sizes {
        load_balancers: 100,
        target_groups: 300,
        targets: 3_000,
        services: 100,
        endpoints: 3_000,
        security_groups: 110,
        ..large
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let only = arguments.iter().position(|one| one == "--only").and_then(|at| arguments.get(at + 1)).map(String::as_str);
    let rows = arguments.iter().any(|one| one == "--rows");
    let say = |what: &str, measured: &str, bar: &str| {
        if rows {
            println!("| {what} | {measured} | {bar} |");
        } else {
            println!("{what}: {measured}{}{bar}", if bar.is_empty() { "" } else { ", " });
        }
    };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut large = runtime.block_on(gather(Sizes::large()))?;
    let picture = large.snapshot();
    let problems = check(&large, &picture);
    if only != Some("picture") {
        let mut middle = runtime.block_on(gather(middle()))?;
        let (of_middle, of_large) = runtime.block_on(async {
            middle.slow_down();
            large.slow_down();
            tokio::join!(reaction::reactions(&middle, REACTIONS), reaction::reactions(&large, REACTIONS))
        });
        for (groups, took) in [("300", of_middle?), ("3,000", of_large?)] {
            let (middle, p99, most) = (quantile(&took, 0.5), quantile(&took, 0.99), quantile(&took, 1.0));
            say(
                &format!(
                    "change in Kubernetes → its health sampled again; {groups} groups, 5 calls/s, 2 changed groups/s, {} changes",
                    took.len()
                ),
                &format!("p50 {:.2} s, p99 {:.2} s, most {:.2} s", middle.as_secs_f64(), p99.as_secs_f64(), most.as_secs_f64()),
                "p99 ≤ 5 s",
            );
        }
    }
    drop(large);
    runtime.shutdown_timeout(Duration::from_secs(5));

    if only != Some("reaction") {
        let cost = measure(&picture)?;
        let ms = |step: fn(&Cost) -> Duration| {
            let all: Vec<Duration> = cost.iter().map(step).collect();
            format!("{:.0}", quantile(&all, 0.5).as_secs_f64() * 1e3)
        };
        say(
            &format!("new picture: join + judge + render and gzip, CPU of one core, median of {RUNS}"),
            &format!(
                "{} ms ({} + {} + {})",
                ms(Cost::whole),
                ms(|cost| cost.join),
                ms(|cost| cost.judge),
                ms(|cost| cost.render)
            ),
            "≤ 250 ms",
        );
        if !rows {
            for (check, took) in by_check(&picture) {
                println!("  {check}: {:.1} ms", took.as_secs_f64() * 1e3);
            }
        }
    }
    say("series of the picture; those per target", &series(&picture), "≤ 100,000 without per-target ones");
    say(
        "wrong values against the world; findings on the healthy world",
        &format!("{}; {}", problems.0.len(), problems.1.len()),
        "0; 0",
    );
    for problem in problems.0.iter().chain(&problems.1) {
        eprintln!("{problem}");
    }
    ensure!(problems.0.is_empty() && problems.1.is_empty(), "the picture of a healthy world is not true");
    Ok(())
}

/// Wrong values and findings.
fn check(large: &Gathered, picture: &Snapshot) -> (Vec<String>, Vec<String>) {
    let outcome = judge(picture);
    let wrong = large.simulator.world.read(|world| truth::wrong_values(&outcome, world));
    let mut problems = wrong;
    problems.extend(outcome.runs.iter().filter(|run| !run.success).map(|run| format!("the check {} failed", run.check)));
    let findings =
        outcome.findings.iter().map(|finding| format!("{} {}: {}", finding.kind.code, finding.subject, finding.message));
    (problems, findings.collect())
}

fn judge(picture: &Snapshot) -> Outcome {
    let started = Instant::now();
    checks::run_all(picture, &Policy::default(), picture.taken_at, || started.elapsed())
}

/// The median time of each check, for whoever looks for what to make faster.
fn by_check(picture: &Snapshot) -> Vec<(&'static str, Duration)> {
    let outcomes: Vec<Outcome> = (0..9).map(|_| judge(picture)).collect();
    let of = |at: usize| outcomes.iter().map(|outcome| outcome.runs[at].duration).collect::<Vec<_>>();
    outcomes[0].runs.iter().enumerate().map(|(at, run)| (run.check, quantile(&of(at), 0.5))).collect()
}

fn series(picture: &Snapshot) -> String {
    let outcome = judge(picture);
    let count = |per_target: bool| -> usize {
        let families = outcome.families.iter().filter(|family| (family.description.name == "target_health") == per_target);
        families.map(|family| family.samples.len()).sum()
    };
    format!("{}; {}", grouped(count(false)), grouped(count(true)))
}

/// CPU of the steps of one picture.
struct Cost {
    join: Duration,
    judge: Duration,
    render: Duration,
}

impl Cost {
    fn whole(&self) -> Duration {
        self.join + self.judge + self.render
    }
}

/// Makes pictures one after the other on one thread at a time, nothing else running, as the daemon does: each is joined from
/// the same parts, judged, rendered in the one form that was asked for, and the one before is let go.
fn measure(picture: &Snapshot) -> anyhow::Result<Vec<Cost>> {
    // A thread that ends takes its CPU time out of the sum.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(Duration::from_secs(600)).build()?;
    let exposition = Exposition::new(OwnMetrics::new(), ExpositionSettings::default());
    let form = Form { format: Format::Text, encoding: Encoding::Gzip };
    runtime.block_on(exposition.body(form))?;
    let mut costs = Vec::new();
    for run in 0..WARM_UP + RUNS {
        let parts = picture.parts.clone();
        let start = cpu_time()?;
        let snapshot = Snapshot::join(parts, picture.taken_at, EXPIRY);
        let joined = cpu_time()?;
        let outcome = Arc::new(judge(&snapshot));
        let picture = Judged { snapshot: Arc::new(snapshot), outcome, policy: Arc::default() };
        let judged = cpu_time()?;
        runtime.block_on(exposition.publish(picture))?;
        let rendered = cpu_time()?;
        if run >= WARM_UP {
            costs.push(Cost { join: joined - start, judge: judged - joined, render: rendered - judged });
        }
    }
    let shown = runtime.block_on(exposition.body(form))?;
    ensure!(shown.observed.len() > 100_000, "nothing was rendered");
    let age = clock::now().duration_since(exposition.latest().context("no picture")?.outcome.evaluated_at);
    ensure!(age.as_secs() < 600, "the picture is {age:#} old");
    Ok(costs)
}

fn quantile(all: &[Duration], q: f64) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort();
    let at = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len());
    sorted[at - 1]
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
