//! Do Grafana's own types accept the dashboards? The compiler compares each file, as it stands, with `@grafana/schema`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{dashboards, root};

/// The folder of Node's packages that `make peers` filled: the one whose compiler is in PATH beside Grafana's types.
fn packages() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.join("tsc").exists())
        .filter_map(|folder| folder.parent().map(Path::to_owned))
        .find(|packages| packages.join("@grafana/schema").exists())
        .expect("no @grafana/schema beside a tsc in PATH: `make peers` installs them")
}

/// What the compiler says of these files' texts; nothing where all is well.
fn complaints(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(packages(), folder.path().join("node_modules")).unwrap();
    fs::copy(root().join("tests/grafana/dashboard.ts"), folder.path().join("dashboard.ts")).unwrap();
    for (name, text) in files {
        let module = format!("import type {{ File }} from './dashboard';\nexport const dashboard: File =\n{text};\n");
        fs::write(folder.path().join(format!("{name}.ts")), module).unwrap();
    }
    let names = files.iter().map(|(name, _)| format!("{name}.ts"));
    let output = Command::new(packages().join(".bin/tsc"))
        .args(["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"])
        .args(names)
        .current_dir(folder.path())
        .output()
        .expect("node runs the compiler: `make peers` installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), said.trim().is_empty(), "{said}");
    said
}

#[test]
fn grafanas_types_accept_every_dashboard() {
    let all = dashboards();
    let files: Vec<_> = all.iter().map(|it| (it.uid(), it.text.as_str())).collect();
    let said = complaints(&files);
    assert!(said.is_empty(), "{said}");
}

#[test]
fn grafanas_types_refuse_what_is_misspelt() {
    let all = dashboards();
    let good = &all.iter().find(|it| it.uid() == "eks-nlb-overview").unwrap().text;
    let mistakes = [
        ("\"graphTooltip\": 1", "\"graphTooltip\": 7"),
        ("\"textMode\": \"auto\"", "\"textMode\": \"atuo\""),
        ("\"showHeader\"", "\"showHaeder\""),
        ("\"type\": \"table\"", "\"type\": \"tabel\""),
        ("\"noValue\"", "\"noVlaue\""),
        ("\"fillOpacity\": 40", "\"fillOpacity\": \"40\""),
        ("\"refresh\": 2", "\"refresh\": 9"),
    ];
    let files: Vec<_> = mistakes
        .iter()
        .enumerate()
        .map(|(number, (right, wrong))| {
            assert!(good.contains(right), "{right} stands nowhere");
            (format!("mistake-{number}"), good.replacen(right, wrong, 1))
        })
        .collect();
    let said = complaints(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>());
    for (name, _) in &files {
        assert!(said.contains(&format!("{name}.ts")), "{name} was accepted:\n{said}");
    }
}
