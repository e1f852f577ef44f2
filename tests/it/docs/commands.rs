//! Do the README's commands do what it says? Each is run as it stands there, with the demonstration, simulated endpoints, and
//! stand-ins for programs that need a cluster.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::pages::{PAGES, root};
use crate::check::Simulation;
use crate::support::{Program, eventually, get};

/// What cannot be run here, and why.
const NOT_RUN: &[(&str, &str)] = &[("make test", "it is what runs this test; that the target is there is asked instead")];

/// The words of a command line, as a shell takes them apart; up to what ends the command.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | ';' | '&' | '<') => break,
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// The command lines of a block, what continues on a next line in one.
pub(crate) fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The runs of this program in a block: also behind a pipe, and in a job of a CI system.
pub(crate) fn programs(block: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in lines(block) {
        for part in line.split(['|', ';', '&']) {
            let part = part.trim().trim_start_matches("- ").trim_start_matches("run: ").trim();
            if part.starts_with("eks-nlb-exporter ") {
                found.push(words(part));
            }
        }
    }
    found
}

#[test]
fn a_command_line_is_taken_apart_as_a_shell_does() {
    assert_eq!(words("a --b='c d' \"e|f\" g#h # i"), ["a", "--b=c d", "e|f", "g#h"]);
    assert_eq!(words("a > b"), ["a"]);
    let block = "# no\nhelm template x |\\\n  eks-nlb-exporter plan -f - # yes\n- run: eks-nlb-exporter plan -f m > p\n";
    assert_eq!(programs(block), [vec!["eks-nlb-exporter", "plan", "-f", "-"], vec!["eks-nlb-exporter", "plan", "-f", "m"]]);
}

/// What the README's reader has before him: a checkout, the program in his path, a cluster, and a Service of his own.
pub(crate) struct Reader {
    folder: tempfile::TempDir,
    simulation: Simulation,
    demo: Option<(Program, String)>,
    /// What the block has exported so far.
    exports: String,
}

const OWN_SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: mine\n  annotations:\n    \
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip\nspec:\n  type: LoadBalancer\n  \
    loadBalancerClass: service.k8s.aws/nlb\n  ports:\n  - port: 80\n";

impl Drop for Reader {
    fn drop(&mut self) {
        self.end_demo();
    }
}

impl Reader {
    /// As a reader ends it.
    fn end_demo(&mut self) {
        let Some((mut program, address)) = self.demo.take() else { return };
        // Asked to end, make ends what it has started; killed, it would leave that running for ever.
        let asked = Command::new("kill").args(["-s", "TERM", &program.id().to_string()]).status().unwrap();
        program.close(Duration::from_secs(30));
        let listening = std::net::TcpStream::connect(address.trim_start_matches("http://")).is_ok();
        if !std::thread::panicking() {
            assert!(asked.success() && !listening, "the demonstration goes on at {address}");
        }
    }

    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(root()).unwrap() {
            let path = entry.unwrap().path();
            symlink(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        fs::write(folder.path().join("service.yaml"), OWN_SERVICE).unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_eks-nlb-exporter"), folder.path().join("bin/eks-nlb-exporter")).unwrap();
        for name in ["helm", "kubectl"] {
            symlink(root().join("tests/docs/bin").join(name), folder.path().join("bin").join(name)).unwrap();
        }
        let simulation = Simulation::start(&[]).await;
        // The README calls its cluster prod.
        let kubeconfig = fs::read_to_string(simulation.folder().join("kubeconfig")).unwrap();
        fs::write(folder.path().join("kubeconfig"), kubeconfig.replace("simulated", "prod")).unwrap();
        Self { folder, simulation, demo: None, exports: String::new() }
    }

    /// The line in a shell, with the reader's surroundings.
    fn shell(&self, line: &str) -> Command {
        let bin = self.folder.path().join("bin");
        let (_, path) = std::env::vars_os().find(|(name, _)| name == "PATH").expect("there is a PATH");
        let path = format!("{}:{}", bin.display(), path.to_string_lossy());
        let line = match &self.demo {
            Some((_, address)) => line.replace("http://127.0.0.1:10669", address),
            None => line.to_owned(),
        };
        // The program is replaced by this test's, that it need not be built a second time.
        let make = format!("make CARGO=true EXPORTER={} ", env!("CARGO_BIN_EXE_eks-nlb-exporter"));
        let line = line.strip_prefix("make ").map_or_else(|| line.clone(), |rest| make + rest);
        let line = line.split(" # ").next().unwrap().trim().to_owned();
        // Of a pipe the shell is the parent, of a single command it takes the place.
        let exec = if line.contains('|') { "" } else { "exec " };
        let mut command = Command::new("sh");
        let simulated = self.simulation.command(&[]);
        let endpoint = simulated.get_args().last().unwrap().to_owned();
        command
            .args(["-c", &format!("{}{exec}{line}", self.exports)])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("EKS_NLB_AWS_ENDPOINT_URL", endpoint)
            .env("EKS_NLB_WEB_LISTEN_ADDRESS", "127.0.0.1:0")
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(Stdio::null());
        command
    }

    /// `make demo`: it goes on until the reader ends it.
    pub(crate) async fn make_demo(&mut self) {
        self.end_demo();
        let program = Program::start(&mut self.shell("make demo DEMO_FLAGS=--log.level=warn"));
        let address = eventually("the demonstration says where to look", Duration::from_secs(30), async || {
            let output = program.output();
            let line = output.lines().find_map(|line| line.strip_prefix("Look at ").map(str::to_owned));
            line.and_then(|line| line.split("/ and ").next().map(str::to_owned)).ok_or(output)
        })
        .await;
        self.demo = Some((program, address));
    }

    /// Where the demonstration listens.
    pub(crate) fn demo_address(&self) -> &str {
        &self.demo.as_ref().expect("it was started").1
    }

    /// Where the reader stands.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The daemon against a cluster: it becomes ready, and is ended.
    async fn daemon(&self, line: &str) {
        let program = Program::start(&mut self.shell(line));
        let address = eventually("the daemon listens", Duration::from_secs(30), async || {
            let output = program.output();
            let listening = output.lines().find(|line| line.contains("Listening on")).ok_or_else(|| output.clone())?;
            let address = listening.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
            address.map(str::to_owned).ok_or(output)
        })
        .await;
        eventually(line, Duration::from_secs(60), async || match get(&format!("http://{address}/-/ready")).await {
            Ok((200, _)) => Ok(()),
            other => Err(other),
        })
        .await;
    }

    /// Runs it to its end: its exit code and what it printed.
    pub(crate) async fn run(&self, line: &str) -> (i32, String) {
        let mut command = self.shell(line);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    }
}

/// Whether what is shown comes out, in that order; `…` stands for what is left out.
pub(crate) fn missing(shown: &str, output: &str) -> Option<String> {
    let mut rest = output;
    for part in shown.lines().flat_map(|line| line.split('…')).map(str::trim).filter(|part| !part.is_empty()) {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return Some(part.to_owned()),
        }
    }
    None
}

/// Which exit codes the README lets the reader expect.
fn expected(line: &str) -> &'static [i32] {
    // It ends with 1 where it finds something, which a cluster of this size has or has not.
    if line.starts_with("eks-nlb-exporter check") {
        &[0, 1]
    } else if line.contains("wrong-service.yaml") {
        &[1]
    } else {
        &[0]
    }
}

fn is_daemon(line: &str) -> bool {
    words(line).get(1).is_some_and(|word| line.starts_with("eks-nlb-exporter") && word.starts_with("--"))
}

/// The README from its first command to its last.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_does_what_the_readme_shows() {
    let mut reader = Reader::start().await;
    let blocks = &PAGES[Path::new("README.md")].blocks;
    let mut run = 0;
    for (at, (_, block)) in blocks.iter().enumerate().filter(|(_, (language, _))| language == "sh") {
        let shown = blocks.get(at + 1).filter(|(language, _)| language == "text").map(|(_, text)| text.as_str());
        reader.exports.clear();
        for line in lines(block) {
            run += 1;
            if line.starts_with("export ") {
                reader.exports.push_str(&format!("{line}\n"));
            } else if let Some((command, _)) = NOT_RUN.iter().find(|(command, _)| line.starts_with(command)) {
                let (code, output) = reader.run(&command.replace("make ", "make --dry-run ")).await;
                assert_eq!(code, 0, "{command}: {output}");
            } else if line.starts_with("make demo") {
                reader.make_demo().await;
            } else if is_daemon(&line) {
                reader.daemon(&line).await;
            } else if line.starts_with("curl ") {
                // What the demonstration shows comes with its time: the README says two minutes.
                let shown = shown.expect("the README shows what comes out");
                eventually(&line, Duration::from_secs(400), async || {
                    let (_, output) = reader.run(&line).await;
                    missing(shown, &output).map_or(Ok(()), |part| Err(format!("{part:?} is not in {output}")))
                })
                .await;
            } else {
                let (code, output) = reader.run(&line).await;
                assert!(expected(&line).contains(&code), "{line}: ended with {code}\n{output}");
                if let Some(part) = shown.and_then(|shown| missing(shown, &output)) {
                    panic!("{line} does not print {part:?}, but\n{output}");
                }
            }
        }
    }
    assert!(run >= 8, "only {run} commands were run");
    for (command, why) in NOT_RUN {
        assert!(blocks.iter().any(|(_, block)| block.contains(command)) && why.len() > 20, "{command} is not in the README");
    }
}

#[test]
fn what_is_shown_has_to_come_out_in_order() {
    assert_eq!(missing("a … c\nd", "x a b c\nd"), None);
    assert_eq!(missing("c\na", "a c"), Some("a".to_owned()));
}
