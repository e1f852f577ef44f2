//! How does curl ask, and what does it hear?

use std::process::Command;

/// What curl heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// curl's own exit code: 0 where an answer came, whatever its status.
    pub(super) exit: i32,
    /// The status; 0 without an answer.
    pub(super) status: u16,
    /// The head of the answer.
    pub(super) head: String,
    /// The body.
    pub(super) body: String,
    /// What it tells of the connection.
    pub(super) log: String,
}

impl Heard {
    /// The value of a header, whatever its case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Runs curl.
pub(super) fn curl<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Heard {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--verbose", "--include", "--max-time", "30", "--noproxy", "*"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("curl does not start: {error}; `make peers` installs it"));
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Heard {
        exit: output.status.code().unwrap(),
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
