//! Does the program run as it does in the image? Built without the simulator, in an empty root that is read only, with CA certificates
//! and three libraries, as user 65532 without capabilities, and with the arguments of the chart.
//!
//! The image itself is not built here: that takes registries and a release build of half an hour. What this leaves unproved is said in
//! docs/install.md.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::simulator::kube_api::CONFIG_MAPS;
use eks_nlb_exporter::simulator::{self, Simulator, SimulatorSettings, world};

use crate::chart::{deployment, root};
use crate::support::{Daemon, eventually, get, post};

/// The program as the image has it, but in the development profile.
fn binary() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_eks-nlb-exporter")).ancestors().nth(2).unwrap().join("image/eks-nlb-exporter");
    assert!(built.exists(), "{} is not there: `make image-binary` builds it", built.display());
    built
}

fn copy(from: &Path, root: &Path) {
    let to = root.join(from.strip_prefix("/").unwrap());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// A folder with the program, what it is linked against, and CA certificates.
fn empty_root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    let program = root.join("usr/local/bin/eks-nlb-exporter");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(binary(), &program).unwrap();
    let linked = Command::new("ldd").arg(binary()).output().unwrap();
    let mut libraries = Vec::new();
    for word in String::from_utf8(linked.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/')) {
        let word = PathBuf::from(word);
        copy(&word, root);
        libraries.push(word.file_name().unwrap().to_string_lossy().into_owned());
    }
    // All of them are in distroless' cc image.
    for library in &libraries {
        let known = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux"];
        assert!(known.iter().any(|name| library.starts_with(name)), "the image has no {library}");
    }
    copy(Path::new("/etc/ssl/certs/ca-certificates.crt"), root);
    folder
}

/// A command in that root as the chart's security context has it.
fn contained(root: &Path) -> Command {
    const ENTER: &str = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && root=$1 && shift && \
                         exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= \"$root\" \"$@\"";
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root() {
        // Who is not root is root in a namespace of its own; there is no other user in it to become.
        command.args(["--user", "--map-root-user"]);
    }
    let enter = if is_root() { ENTER.to_owned() } else { ENTER.replace("--userspec=65532:65532 --groups= ", "") };
    command.args(["sh", "-c", &enter, "sh"]).arg(root).arg("/usr/local/bin/eks-nlb-exporter");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The daemon's surroundings as the chart makes them: an empty root with its configuration, a cluster and an AWS.
struct Pod {
    simulator: Simulator,
    root: tempfile::TempDir,
}

impl Pod {
    async fn new() -> Self {
        let simulator = simulator::start(SimulatorSettings::default()).await.unwrap();
        let root = empty_root();
        let etc = root.path().join("etc/eks-nlb-exporter");
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join("config.yaml"), "# Everything as it is unless told.\n").unwrap();
        fs::write(etc.join("kubeconfig"), simulator.kubeconfig()).unwrap();
        Self { simulator, root }
    }

    /// Starts it with the chart's arguments, but for the port and the log that the test reads.
    async fn start(&self) -> Daemon {
        let container = &deployment()["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let arguments = arguments.map(|argument| match argument {
            "--web.listen-address=:10669" => "--web.listen-address=127.0.0.1:0",
            "--log.format=logfmt" => "--log.format=json",
            other => other,
        });
        let mut command = contained(self.root.path());
        command
            .args(arguments)
            .args(["--aws.endpoint-url", &self.simulator.aws_url, "--aws.region", world::REGION])
            .env("KUBECONFIG", "/etc/eks-nlb-exporter/kubeconfig")
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated");
        for variable in container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
        }
        Daemon::start_command(&mut command).await
    }

    async fn state_is_kept(&self) {
        eventually("it keeps its state in the cluster", Duration::from_secs(60), async || {
            if self.simulator.kube.len(CONFIG_MAPS) == 1 { Ok(()) } else { Err("not yet") }
        })
        .await;
    }
}

async fn end(daemon: &mut Daemon) {
    assert!(Command::new("kill").args(["-s", "TERM", &daemon.program.id().to_string()]).status().unwrap().success());
    assert_eq!(daemon.program.wait(Duration::from_secs(20)).await, 0);
}

#[tokio::test]
async fn in_the_image_it_serves_reloads_and_takes_its_state_up_again() {
    let pod = Pod::new().await;
    let mut daemon = pod.start().await;
    daemon.ready(Duration::from_secs(60)).await;
    for path in
        ["/", "/style.css", "/metrics", "/-/healthy", "/-/ready", "/livez", "/readyz", "/api/v1/findings", "/api/v1/sources"]
    {
        let (status, body) = get(&daemon.url(path)).await.unwrap();
        assert!(status == 200 && !body.is_empty(), "{path}: {status}");
    }
    let config = pod.root.path().join("etc/eks-nlb-exporter/config.yaml");
    fs::write(&config, "policy: {target_series: all}\n").unwrap();
    let (status, words) = post(&daemon.url("/-/reload"), "").await.unwrap();
    assert_eq!(status, 200, "{words}");
    fs::write(&config, "polcy: {}\n").unwrap();
    let (status, words) = post(&daemon.url("/-/reload"), "").await.unwrap();
    assert!(status == 500 && words.contains("polcy"), "{words}");
    assert_eq!(daemon.scrape().await.value("config_last_reload_successful"), Some(0.0));
    pod.state_is_kept().await;
    end(&mut daemon).await;

    // Somebody edits while it is away.
    fs::write(&config, "# Everything as it is unless told.\n").unwrap();
    let web = ObjectName::new("shop", "web");
    pod.simulator.world.edit(|world| {
        world.annotate(&web, world::annotation("healthcheck-interval"), Some("30"), eks_nlb_exporter::clock::now()).unwrap();
    });
    let mut daemon = pod.start().await;
    eventually("the edit is noticed over the restart", Duration::from_secs(60), async || {
        let scrape = daemon.scrape().await;
        let edited: f64 = scrape.family("service_edited_annotations").values().sum();
        if edited > 0.0 { Ok(()) } else { Err(format!("{edited}")) }
    })
    .await;
    end(&mut daemon).await;
}

#[tokio::test]
async fn it_becomes_ready_in_an_empty_read_only_root_as_nobody() {
    let pod = Pod::new().await;
    let mut daemon = pod.start().await;
    assert_eq!(get(&daemon.url("/-/healthy")).await.unwrap().0, 200);
    daemon.ready(Duration::from_secs(60)).await;
    assert!(!daemon.scrape().await.family("target_group_targets").is_empty());
    pod.state_is_kept().await;

    let process = PathBuf::from(format!("/proc/{}", daemon.program.id()));
    let status = fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    if is_root() {
        assert_eq!((field("Uid:"), field("Gid:")), ("65532".to_owned(), "65532".to_owned()));
        assert_eq!(u64::from_str_radix(&field("CapEff:"), 16), Ok(0), "no capability");
    }
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
    let is_read_only = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        fields[4] == "/" && fields[5].split(',').any(|option| option == "ro")
    };
    assert!(mounts.lines().any(is_read_only), "{mounts}");

    end(&mut daemon).await;
}

#[test]
fn the_image_has_no_simulator() {
    for command in ["demo", "simulate"] {
        let output = Command::new(binary()).arg(command).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains(command));
    }
    assert!(Command::new(binary()).arg("--version").output().unwrap().status.success());
}

fn dockerfile() -> String {
    fs::read_to_string(root().join("Dockerfile")).unwrap()
}

#[test]
fn hadolint_finds_nothing_wrong_with_the_dockerfile() {
    let output = Command::new("hadolint").arg(root().join("Dockerfile")).output();
    let output = output.unwrap_or_else(|error| panic!("hadolint does not start: {error}; `make peers` installs it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_build_steps_end_with_the_program_for_both_architectures_and_refuse_others() {
    let output = Command::new("python").arg(root().join("tests/image/steps.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_image_is_built_locked_without_the_simulator_and_runs_as_nobody() {
    let text = dockerfile();
    let builds: Vec<_> = text.lines().filter(|line| line.contains("cargo build")).collect();
    assert_eq!(builds.len(), 2, "the dependencies and the program");
    for build in builds {
        assert!(["--release", "--locked", "--no-default-features"].iter().all(|flag| build.contains(flag)), "{build}");
    }
    let last = &text[text.rfind("\nFROM ").unwrap()..];
    assert!(last.contains("USER 65532:65532") && !last.contains("\nRUN ") && last.contains("ENTRYPOINT [\""), "{last}");
    for base in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let image = base.split(' ').find(|word| !word.starts_with("--")).unwrap();
        assert!(image == "scratch" || image.contains(':') && !image.ends_with(":latest"), "{image} is not pinned");
    }
    assert!(last.contains(&format!("ARG VERSION={}", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_image_says_what_it_is_and_its_dependencies_are_a_layer_of_their_own() {
    let text = dockerfile();
    let last = &text[text.rfind("\nFROM ").unwrap()..];
    for label in ["title", "description", "source", "version", "revision", "licenses"] {
        assert!(last.contains(&format!("org.opencontainers.image.{label}=")), "{label}");
    }
    assert!(last.contains("image.version=\"$VERSION\"") && last.contains("image.revision=\"$REVISION\""));
    // The revision changes with every commit: named before the dependencies are built it would build them anew each time.
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}"));
    assert!(place("COPY Cargo.toml Cargo.lock") < place("BUILD_REVISION=none cargo build"));
    assert!(place("BUILD_REVISION=none cargo build") < place("COPY src src") && place("COPY src src") < place("ARG REVISION"));
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    assert!(makefile.contains("test \"$$bytes\" -lt 40000000"), "`make image` refuses a large one");
}

#[test]
fn everything_that_is_built_from_gets_into_the_build() {
    let let_in: Vec<String> = fs::read_to_string(root().join(".dockerignore"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(str::to_owned)
        .collect();
    let text = dockerfile();
    for line in text.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for source in &words[1..words.len() - 1] {
            assert!(let_in.iter().any(|name| name == source), "{source} is kept out by .dockerignore");
            assert!(root().join(source).exists(), "{source}");
        }
    }
    // Nothing of the program reaches out of its folder at build time.
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let code = fs::read_to_string(&path).unwrap();
                let reaches = code
                    .split("#[cfg(test)]")
                    .next()
                    .unwrap()
                    .lines()
                    .any(|line| line.contains("include_") && line.contains("../../"));
                let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
                assert!(is_test || !reaches, "{}", path.display());
            }
        }
    }
}
