//! How do the simulated endpoints run, alone or under the daemon?

use std::io::Write;

use anyhow::Context;

use super::serve::{Settings, end_requested, serve};
use crate::cli::SimulateArgs;
use crate::simulator::{self, SimulatorSettings};
use crate::sources::aws::FixedCredentials;

/// The daemon over a simulated cluster and AWS: the same clients, another endpoint.
pub(super) async fn demo(mut settings: Settings, mut simulation: SimulatorSettings) -> anyhow::Result<()> {
    simulation.scenario = true;
    let simulator = simulator::start(simulation, narrate).await?;
    settings.aws.region = Some(simulator.region().to_owned());
    settings.aws.endpoint_url = Some(simulator.aws_url().to_owned());
    settings.aws.credentials =
        Some(FixedCredentials { access_key_id: "simulator".to_owned(), secret_access_key: "simulator".to_owned() });
    settings.kube.url = Some(simulator.kube_url().to_owned());
    for address in &settings.web.listen_addresses {
        let address = if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.clone() };
        narrate(&format!("Look at http://{address}{} and http://{address}/; Ctrl-C ends it.", settings.web.telemetry_path));
    }
    serve(settings, end_requested()).await
}

/// The endpoints alone.
pub(super) async fn simulate(args: SimulateArgs) -> anyhow::Result<()> {
    let simulator = simulator::start(args.simulator, narrate).await?;
    if let Some(path) = &args.kubeconfig {
        std::fs::write(path, kubeconfig(simulator.kube_url())).with_context(|| format!("cannot write {}", path.display()))?;
    }
    narrate(&format!("kubernetes {}\naws {}", simulator.kube_url(), simulator.aws_url()));
    end_requested().await;
    Ok(())
}

/// For people and scripts, on standard output; a reader that has gone is no failure.
fn narrate(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: simulator\n\
         clusters: [{{name: simulator, cluster: {{server: '{url}'}}}}]\n\
         users: [{{name: simulator, user: {{}}}}]\n\
         contexts: [{{name: simulator, context: {{cluster: simulator, user: simulator}}}}]\n"
    )
}
