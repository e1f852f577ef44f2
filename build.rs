//! Tells the binary which revision and compiler made it. `BUILD_REVISION` wins, for builds outside a checkout.

#![allow(clippy::disallowed_methods, reason = "a build script has no other input than its environment")]

use std::env;
use std::path::Path;
use std::process::Command;

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

fn main() {
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    // A file that does not exist would mean to run, and to build everything, every time.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let revision = env::var("BUILD_REVISION").ok().or_else(|| first_line("git", &["rev-parse", "--short=12", "HEAD"]));
    let rustc = env::var("RUSTC").ok().and_then(|rustc| first_line(&rustc, &["--version"]));
    println!("cargo::rustc-env=BUILD_REVISION={}", revision.unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo::rustc-env=BUILD_RUSTC={}", rustc.unwrap_or_else(|| "unknown".to_owned()));
}
