//! Who runs, and who hears whom? The composition: everything is known here, and nothing knows this.

mod check;
mod completions;
mod evaluator;
mod pass;
mod plan;
mod policy;
mod reload;
mod rules;
mod serve;
#[cfg(feature = "simulator")]
mod simulation;
mod snapshot;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::{Cli, ClusterArgs, Command, ConfigFormat, MetricsFormat, ServeArgs};
use crate::config::{Config, ConfigError, reference};
use crate::expose::findings::findings_page;
use crate::expose::server::WebError;
use crate::expose::table::{TableFormat, metrics_table};
use crate::expose::web_config::WebConfig;
use crate::{permissions, telemetry};
pub use serve::Settings;

/// Exit code of a wrong flag or configuration, as clap's.
const USAGE: u8 = 2;
/// Exit code where what was asked for could not be written.
const UNWRITTEN: u8 = 1;

/// Does what the command line says, to its end.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        None => serve_from(&cli.serve),
        Some(Command::Serve(args)) => serve_from(&args),
        #[cfg(feature = "simulator")]
        Some(Command::Demo(args)) => {
            telemetry::init(args.serve.log.level, args.serve.log.format);
            match settings(&args.serve) {
                Ok(settings) if settings.recorded.is_some() => {
                    complain(USAGE, &"demo has a world of its own; show a picture with `serve --snapshot FILE`")
                }
                Ok(settings) => block_on(simulation::demo(settings, args.simulator)),
                Err(error) => complain(USAGE, &format_args!("{error:#}")),
            }
        }
        #[cfg(feature = "simulator")]
        Some(Command::Simulate(args)) => {
            telemetry::init(args.log.level, args.log.format);
            block_on(simulation::simulate(*args))
        }
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Plan(args)) => plan::plan(&args),
        Some(Command::Snapshot(args)) => snapshot::snapshot(&args),
        Some(Command::Completions(args)) => say(&completions::completions(args.shell)),
        Some(Command::Metrics(args)) => say(&metrics_table(table_format(args.format))),
        Some(Command::Rules(args)) => match rules::text(&args) {
            Ok(text) => say(&text),
            Err(error) => complain(USAGE, &error),
        },
        Some(Command::IamPolicy(args)) => match policy::text(&args) {
            Ok(text) => say(&text),
            Err(error) => complain(USAGE, &error),
        },
        Some(Command::Config(args)) => say(&match args.format {
            ConfigFormat::Yaml => reference::default_file(),
            ConfigFormat::Markdown => reference::page(),
        }),
        Some(Command::Rbac) => say(&permissions::kubernetes_table()),
        Some(Command::Findings(args)) => say(&findings_page(table_format(args.format))),
    }
}

fn table_format(format: MetricsFormat) -> TableFormat {
    match format {
        MetricsFormat::Markdown => TableFormat::Markdown,
        MetricsFormat::Json => TableFormat::Json,
    }
}

fn serve_from(args: &ServeArgs) -> ExitCode {
    telemetry::init(args.log.level, args.log.format);
    match settings(args) {
        Err(error) => complain(USAGE, &format_args!("{error:#}")),
        Ok(settings) if args.config_check => match settings.web.config_file.as_deref().map_or(Ok(()), WebConfig::check) {
            Ok(()) => say("The configuration is good.\n"),
            Err(error) => complain(USAGE, &format_args!("{:#}", anyhow::Error::from(error))),
        },
        Ok(settings) => block_on(async { serve::serve(settings, |_| (), serve::end_requested()).await }),
    }
}

/// The configuration file under the flags.
fn settings(args: &ServeArgs) -> anyhow::Result<Settings> {
    let mut settings = Settings::new(args, config(&args.cluster)?);
    settings.recorded = args.snapshot.as_deref().map(snapshot::read).transpose()?.map(Arc::new);
    Ok(settings)
}

fn config(args: &ClusterArgs) -> Result<Config, ConfigError> {
    Ok(args.config_file.as_deref().map(Config::load).transpose()?.unwrap_or_default())
}

fn block_on(task: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    run_to_end(task).map_or_else(|error| complain(exit_code(&error), &format_args!("{error:#}")), |()| ExitCode::SUCCESS)
}

fn run_to_end<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // The pictures are made on blocking threads; more workers than this only hold memory.
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let result = runtime.block_on(task);
        // What is still waiting for AWS has nothing to finish.
        runtime.shutdown_background();
        result
    })
}

/// A flag's value that is of no use is a mistake of usage, wherever it comes to light.
fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = error.downcast_ref::<WebError>().is_some_and(|error| error.category() == "setting");
    if is_usage { USAGE } else { 1 }
}

/// One sentence on standard error.
fn complain(code: u8, message: &dyn fmt::Display) -> ExitCode {
    // Nobody is left to tell when that fails.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::from(code)
}

/// Text on standard output, to the exit code.
fn say(text: &str) -> ExitCode {
    match print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(UNWRITTEN, &error),
    }
}

/// Text on standard output. A reader that has gone (`… | head`) is no failure; a full disk is one.
fn print(text: &str) -> Result<(), String> {
    let mut output = std::io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("cannot write to standard output: {error}")),
        _ => Ok(()),
    }
}
