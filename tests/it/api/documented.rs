//! Does docs/api.md name what there is, and do its commands work?

use std::process::Command;

use eks_nlb_exporter::expose::routes::operations;

use super::stage::{Served, judged};
use crate::situations::Situation;

const PAGE: &str = include_str!("../../../docs/api.md");

#[test]
fn the_page_names_every_path_and_its_parameters() {
    for operation in operations() {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{}` |", operation.path)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", operation.path));
        let parameters: Vec<String> = operation.query.iter().map(|parameter| format!("`{}`", parameter.as_str())).collect();
        assert_eq!(row.rsplit('|').nth(1).unwrap().trim(), parameters.join(", "), "{row}");
    }
    assert_eq!(PAGE.lines().filter(|line| line.starts_with("| `/api/")).count(), operations().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_work() {
    let served = Served::start().await;
    let Situation { parts, now } = Situation::healthy().await;
    served.show(&judged(parts, now)).await;
    let commands: Vec<String> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(|command| command.replace("localhost:10669", &served.address().to_string()))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let shell = command.clone();
        let output =
            tokio::task::spawn_blocking(move || Command::new("bash").args(["-o", "pipefail", "-c", &shell]).output()).await;
        let output = output.unwrap().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        // A gate that is closed says no by its exit code: here nothing is ready.
        let is_gate = command.contains("jq -e");
        assert!(
            output.status.success() != is_gate && complaint.is_empty(),
            "{command}: {output:?}; `make peers` installs curl and jq"
        );
    }
}
