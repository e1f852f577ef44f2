//! What does Chromium see? Runs `tests/browser/look.mjs`, which looks and does not judge.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// No look takes this long unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(180);

/// One look at one page.
#[derive(Debug, Clone)]
pub(super) struct Look {
    path: String,
    options: BTreeMap<&'static str, Value>,
}

impl Look {
    /// At the size of a desk's screen, in the light.
    pub(super) fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), options: BTreeMap::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.options.insert(name, value.into());
        self
    }

    /// At the size of a phone's screen.
    pub(super) fn on_a_phone(self) -> Self {
        self.with("width", 375).with("height", 740)
    }

    pub(super) fn in_the_dark(self) -> Self {
        self.with("scheme", "dark")
    }

    pub(super) fn without_script(self) -> Self {
        self.with("script", false)
    }

    /// Held against the accessibility rules.
    pub(super) fn by_the_rules(self) -> Self {
        self.with("axe", true)
    }

    /// Walked through with the keyboard.
    pub(super) fn by_keyboard(self) -> Self {
        self.with("keys", true)
    }
}

/// What was seen.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saw {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) policy: Option<String>,
    pub(super) console: Vec<String>,
    pub(super) requests: Vec<String>,
    pub(super) refused: Vec<String>,
    #[serde(default)]
    pub(super) violations: Vec<String>,
    pub(super) load: Option<Load>,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) landmarks: Vec<String>,
    pub(super) headings: Vec<(u8, String)>,
    pub(super) tables: Vec<Table>,
    pub(super) focusable: usize,
    pub(super) scripts: usize,
    pub(super) inline_styles: usize,
    pub(super) inline_handlers: usize,
    pub(super) nodes: usize,
    pub(super) overflow: i64,
    pub(super) background: String,
    pub(super) axe: Option<Axe>,
    pub(super) skips_to: Option<String>,
    pub(super) walk: Option<Vec<Stop>>,
}

/// How a page was loaded.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Load {
    pub(super) milliseconds: f64,
    pub(super) answered: f64,
    pub(super) bytes: u64,
}

/// A table.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: usize,
    /// Rows without a header of their own.
    pub(super) unheaded: usize,
    /// Rows that are not as wide as the head.
    pub(super) odd: usize,
}

/// What the accessibility rules say.
#[derive(Debug, Deserialize)]
pub(super) struct Axe {
    pub(super) violations: Vec<String>,
    /// What a program cannot decide.
    pub(super) incomplete: Vec<String>,
    pub(super) passes: Vec<String>,
}

/// Where the Tab key stopped.
#[derive(Debug, Deserialize)]
pub(super) struct Stop {
    pub(super) what: String,
    pub(super) visible: bool,
}

/// Looks at the pages of a server, one after the other.
pub(super) async fn look(base: &str, looks: impl IntoIterator<Item = Look>) -> Vec<Saw> {
    let looks: Vec<Value> = looks
        .into_iter()
        .map(|look| {
            let mut one: Value = serde_json::to_value(&look.options).unwrap();
            one["path"] = look.path.into();
            one
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/look.mjs");
    let asked = json!({"base": base, "looks": looks}).to_string();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("node");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("node drives the browser: `make peers` installs it");
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = tokio::time::timeout(DEADLINE, output).await.expect("the browser is stuck").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
