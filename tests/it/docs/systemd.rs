//! Is the systemd unit one that starts the program, with nothing to spare?

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use eks_nlb_exporter::cli::Cli;

use super::commands::words;
use super::pages::root;

const PROGRAM: &str = "/usr/local/bin/eks-nlb-exporter";

fn unit() -> String {
    fs::read_to_string(root().join("deploy/systemd/eks-nlb-exporter.service")).unwrap()
}

/// The settings by section and name; one that comes several times with all its values.
fn settings(text: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line} is no setting"));
            found.entry((section.clone(), name.to_owned())).or_default().push(value.to_owned());
        }
    }
    found
}

#[test]
fn the_unit_runs_the_program_with_flags_that_it_knows_and_keeps_its_state_in_its_own_folder() {
    let settings = settings(&unit());
    let service = |name: &str| settings[&("Service".to_owned(), name.to_owned())].join(" ");
    for name in ["ExecStartPre", "ExecStart"] {
        let line = words(&service(name));
        assert_eq!(line[0], PROGRAM);
        let cli = Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(cli.serve.cluster.config_file.as_deref(), Some(Path::new("/etc/eks-nlb-exporter/config.yaml")));
        assert_eq!(cli.serve.config_check, name == "ExecStartPre", "{name}");
    }
    assert!(service("ExecStart").contains(&format!("--state.path=%S/{}/", service("StateDirectory"))));
    assert_eq!(service("ExecReload"), "/bin/kill -HUP $MAINPID");
    for (name, value) in
        [("DynamicUser", "yes"), ("ProtectSystem", "strict"), ("NoNewPrivileges", "yes"), ("CapabilityBoundingSet", "")]
    {
        assert_eq!(service(name), value, "{name}");
    }
}

/// systemd's own opinion: no unknown setting, and little that the service could do to the machine (0 is nothing, 100 everything).
#[test]
fn systemd_understands_the_unit_and_calls_it_well_confined() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("eks-nlb-exporter");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("eks-nlb-exporter.service");
    fs::write(&path, unit().replace(PROGRAM, &program.display().to_string())).unwrap();
    for arguments in [&["verify"][..], &["security", "--offline=true", "--threshold=20", "--no-pager"]] {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output();
        let output = output.unwrap_or_else(|error| panic!("systemd-analyze: {error}; `make peers` installs it"));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("Unknown"), "{said}");
    }
}
