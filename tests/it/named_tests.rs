//! Does a test that a table names really exist? Looked up in the sources, so that a renamed test breaks the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where the proof of something is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Proof {
    /// A test function, by its name.
    Test(&'static str),
    /// An entry of the tables of situations, by its sentence.
    Situation(&'static str),
    /// A scenario folder.
    Scenario(&'static str),
    /// There is none; why.
    NotATest(&'static str),
}

/// Everything that a table can point to.
#[derive(Debug)]
pub(crate) struct Proofs {
    tests: BTreeSet<String>,
    situations: String,
}

impl Proofs {
    /// Reads the sources of this crate.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut tests = BTreeSet::new();
        for folder in ["src", "tests/it"] {
            collect(&root.join(folder), &mut tests);
        }
        let situations = ["everyday", "faults", "unknown"].map(|name| {
            let path = root.join(format!("tests/it/situations/{name}.rs"));
            fs::read_to_string(path).unwrap()
        });
        Self { tests, situations: situations.concat() }
    }

    /// Whether there is a test of this name.
    pub(crate) fn has_test(&self, name: &str) -> bool {
        self.tests.contains(name)
    }

    /// What is wrong with a proof.
    pub(crate) fn problem(&self, proof: Proof) -> Option<String> {
        match proof {
            Proof::Test(name) => (!self.tests.contains(name)).then(|| format!("there is no test {name}")),
            Proof::Situation(what) => {
                (!self.situations.contains(&format!("\"{what}\""))).then(|| format!("there is no situation {what:?}"))
            }
            Proof::Scenario(folder) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(folder).join("parts.yaml");
                (!path.exists()).then(|| format!("there is no scenario {folder}"))
            }
            Proof::NotATest(why) => (why.len() < 40).then(|| format!("{why:?} is no reason")),
        }
    }
}

/// The names of functions right below a test attribute.
fn collect(path: &Path, tests: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), tests);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).unwrap();
        let mut attributed = false;
        for line in text.lines().map(str::trim) {
            // `fn` inside `proptest!` has the attribute too.
            attributed |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            if let Some((_, rest)) = line.split_once("fn ").filter(|_| attributed) {
                let name = rest.split('(').next().unwrap_or_default();
                tests.insert(name.to_owned());
                attributed = false;
            }
        }
    }
}
