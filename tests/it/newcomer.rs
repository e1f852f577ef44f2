//! Does somebody who reads nothing but the README get from its first command to an explained finding, and from a wrong manifest to
//! the line that says why? The steps of its section "Five minutes", one by one.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docs::commands::{Reader, lines};
use crate::docs::pages::{PAGES, Page, root};
use crate::support::{eventually, get};

/// What the README promises.
const PROMISED: Duration = Duration::from_secs(5 * 60);

const SECTION: &str = "## Five minutes";

/// The section's text, and its blocks of commands.
fn section() -> (String, Vec<String>) {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = text.split_once(SECTION).unwrap_or_else(|| panic!("the README has no section {SECTION:?}"));
    let section = rest.split("\n## ").next().unwrap().to_owned();
    let blocks = Page::read(&section).blocks.into_iter().filter(|(language, _)| language == "sh");
    let commands = blocks.flat_map(|(_, block)| lines(&block)).collect();
    (section, commands)
}

/// What a browser shows of it: the text without the markup.
fn shown(page: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for character in page.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(character),
            _ => {}
        }
    }
    for (entity, character) in [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")] {
        text = text.replace(entity, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The code that the section tells the reader to look for.
fn promised_code(section: &str) -> String {
    let at = section.find("NLB").expect("the section names a finding");
    section[at..at + 6].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_leads_from_its_first_command_to_an_explained_finding() {
    let (section, commands) = section();
    assert!(commands[0].starts_with("make demo"), "{commands:?}");
    let code = promised_code(&section);
    let began = Instant::now();
    let mut reader = Reader::start().await;
    reader.make_demo().await;
    let address = reader.demo_address();
    let finding = eventually("the finding is there", PROMISED, async || {
        let (_, body) = get(&format!("{address}/api/v1/findings")).await?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let findings = answer["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|finding| finding["code"] == code.as_str()).ok_or(body)
    })
    .await;

    // In the browser: what, about whom, and what to do. The picture may have moved on since the API told it.
    let told = |what: &str| finding[what].as_str().unwrap_or_else(|| panic!("{finding} has no {what}")).to_owned();
    eventually("the page tells the finding and what to do", PROMISED, async || {
        let (status, page) = get(&format!("{address}/")).await?;
        let text = shown(&page);
        let action = told("action");
        if status == 200 && text.contains(&code) && text.contains(&action) { Ok(()) } else { Err(format!("{status}: {text}")) }
    })
    .await;

    // And from its code to the documentation, where the same is said.
    let page = &PAGES[Path::new("docs/findings.md")];
    assert!(page.anchors.contains(&code.to_lowercase()), "{code} has no heading");
    let explained = fs::read_to_string(root().join("docs/findings.md")).unwrap();
    let (_, explained) = explained.split_once(&format!("## {code}\n")).unwrap();
    let explained = explained.split("\n## ").next().unwrap();
    assert!(explained.contains(&told("title")) && explained.contains(&told("action")), "{explained}");
    assert!(section.contains(&format!("docs/findings.md#{}", code.to_lowercase())), "the README does not lead there");
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_manifest_leads_to_the_lines_that_say_why() {
    let (_, commands) = section();
    let command = commands.iter().find(|command| command.contains(" plan ")).expect("the section plans a manifest");
    let path = command.split(" -f ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let manifest: Vec<String> = fs::read_to_string(root().join(path)).unwrap().lines().map(str::to_owned).collect();
    let reader = Reader::start().await;
    let (code, output) = reader.run(command).await;
    assert_eq!(code, 1, "{output}");

    // Every mistake by its line, its code and what to do; and the line is the one that is wrong.
    let wrong = [
        ("NLB601", "aws-load-balancer-schema:"),
        ("NLB604", "aws-load-balancer-healthcheck-port:"),
        ("NLB609", "aws-load-balancer-eip-allocations:"),
    ];
    for (finding, annotation) in wrong {
        let at = manifest.iter().position(|line| line.contains(annotation)).unwrap() + 1;
        let place = format!("{finding} line {at}:");
        let told = output.split_once(&place).unwrap_or_else(|| panic!("{place} is not in\n{output}")).1;
        let told = told.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(told.contains('→'), "{place} says nothing of what to do: {told}");
        assert!(PAGES[Path::new("docs/findings.md")].anchors.contains(&finding.to_lowercase()));
    }

    // And with what it says done there is nothing left to say.
    let text = manifest.join("\n");
    let mended = text
        .replace("aws-load-balancer-schema", "aws-load-balancer-scheme")
        .replace("port: traffic\n", "port: traffic-port\n")
        .replace("eipalloc-0a1b2c3d4e5f60718", "eipalloc-0a1b2c3d4e5f60718, eipalloc-0b1c2d3e4f5061728");
    fs::write(reader.folder().join("mended.yaml"), mended).unwrap();
    let (code, output) = reader.run(&command.replace(path, "mended.yaml")).await;
    assert_eq!(code, 0, "{output}");
}
