//! How do the simulated endpoints run, alone or under the daemon?

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;

use super::serve::{Settings, end_requested, serve};
use crate::cli::SimulateArgs;
use crate::simulator::{self, SimulatorSettings};
use crate::sources::aws::FixedCredentials;

/// The daemon over a simulated cluster and AWS: the same clients, another endpoint.
pub(super) async fn demo(mut settings: Settings, simulation: SimulatorSettings) -> anyhow::Result<()> {
    settings.aws.region = Some(simulation.partition.region().to_owned());
    let mut simulator = simulator::start(SimulatorSettings { scenario: false, ..simulation }).await?;
    simulator.set_scene();
    settings.aws.endpoint_url = Some(simulator.aws_url.clone());
    settings.aws.credentials =
        Some(FixedCredentials { access_key_id: "simulated".to_owned(), secret_access_key: "simulated".to_owned() });
    if settings.config_file.is_none() {
        // What waits for minutes in a real cluster is to be seen within the demonstration's.
        settings.config.policy.drift_hold_down_seconds = 15;
        settings.config.policy.target_hold_down_seconds = 15;
        settings.aws.intervals.after_hold_down = Duration::from_secs(17);
    }
    settings.kube.url = Some(simulator.kube_url.parse().context("the simulated API server's URL")?);
    let path = settings.web.telemetry_path.clone();
    let listening = |addresses: &[SocketAddr]| {
        for address in addresses {
            let address = reachable(*address);
            narrate(&format!("Look at http://{address}/ and http://{address}{path}; Ctrl-C ends it."));
        }
        simulator.play(narrate);
    };
    serve(settings, listening, end_requested()).await
}

/// Where a browser on this machine finds who listens on that address.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address }
}

/// The endpoints alone.
pub(super) async fn simulate(args: SimulateArgs) -> anyhow::Result<()> {
    let scenario = args.simulator.scenario;
    let mut simulator = simulator::start(SimulatorSettings { scenario: false, ..args.simulator }).await?;
    if let Some(path) = &args.kubeconfig {
        std::fs::write(path, simulator.kubeconfig()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    narrate(&format!("kubernetes {}\naws {}", simulator.kube_url, simulator.aws_url));
    if scenario {
        simulator.play(narrate);
    }
    end_requested().await;
    Ok(())
}

/// For people and scripts, on standard output; a reader that has gone is no failure.
fn narrate(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_every_interface_is_told_as_loopback() {
        for (listening, told) in [("[::]:80", "127.0.0.1:80"), ("0.0.0.0:80", "127.0.0.1:80"), ("10.0.0.1:80", "10.0.0.1:80")] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), told);
        }
    }
}
