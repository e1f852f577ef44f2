//! What makes a shell complete commands and flags: the generator's text, with what it gets wrong put right.

use std::fmt::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

const NAME: &str = env!("CARGO_PKG_NAME");

/// What the surroundings say of the screen is in the definition and is no flag of anybody.
const HIDDEN: [&str; 3] = ["--screen.columns", "--screen.no-color", "--screen.term"];

/// The text for one shell.
pub(super) fn completions(shell: Shell) -> String {
    let mut generated = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut generated);
    let generated = String::from_utf8(generated).expect("the generator writes text");
    if shell == Shell::Bash { bash(&generated) } else { without_hidden(&generated) }
}

/// The generator writes the hyphens of the program's name in two ways, and then finds no command's flags.
fn bash(generated: &str) -> String {
    let (wrong, right) = (NAME.replace('-', "__subcmd__"), NAME.replace('-', "__"));
    let mut text = String::with_capacity(generated.len());
    for line in generated.replace(&wrong, &right).lines() {
        // What is offered stands in one line a command.
        let offers = line.trim_start().starts_with("opts=");
        let hidden = HIDDEN.iter().filter(|_| offers);
        let _ = writeln!(text, "{}", hidden.fold(line.to_owned(), |line, flag| line.replace(&format!(" {flag}"), "")));
    }
    text
}

/// The other shells have a line a flag.
fn without_hidden(generated: &str) -> String {
    let is_hidden = |line: &&str| HIDDEN.iter().any(|flag| line.contains(flag) || line.contains(&format!("-l {}", &flag[2..])));
    generated.lines().filter(|line| !is_hidden(line)).fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn no_shell_offers_what_is_no_flag() {
        for shell in Shell::value_variants() {
            let text = completions(*shell);
            // What bash does for the value of a flag that it never offers.
            let is_label = |line: &&str| shell == &Shell::Bash && line.trim().starts_with("--screen.");
            let offered: Vec<_> = text.lines().filter(|line| line.contains("screen.") && !is_label(line)).collect();
            assert!(offered.is_empty(), "{shell}: {offered:?}");
            assert!(text.contains("fail-on") && text.contains("web.listen-address"), "{shell}");
        }
    }
}
