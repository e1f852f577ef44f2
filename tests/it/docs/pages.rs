//! What stands in the Markdown pages of this repository?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// What the tests want to know of a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// What a heading is linked to by, as code hosts make it.
    pub(crate) anchors: Vec<String>,
    /// Targets of links and pictures.
    pub(crate) links: Vec<String>,
    /// What stands between backticks.
    pub(crate) spans: Vec<String>,
    /// Blocks of code with what they are said to be.
    pub(crate) blocks: Vec<(String, String)>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page by its path from the root.
pub(crate) static PAGES: LazyLock<BTreeMap<PathBuf, Page>> = LazyLock::new(|| {
    let mut found = BTreeMap::new();
    collect(&root(), &mut found);
    assert!(found.len() > 15, "{:?}", found.keys());
    found
});

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, Page>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
                collect(&path, found);
            }
        } else if name.ends_with(".md") {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path.strip_prefix(root()).unwrap().to_owned(), Page::read(&text));
        }
    }
}

impl Page {
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut block: Option<(String, String)> = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchor(&heading.take().unwrap_or_default()),
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((language, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => page.links.push(dest_url.to_string()),
                Event::Text(text) | Event::Code(text) if heading.is_some() => heading.as_mut().unwrap().push_str(&text),
                Event::Code(text) => page.spans.push(text.to_string()),
                Event::Text(text) => {
                    if let Some((_, block)) = &mut block {
                        block.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    fn anchor(&mut self, heading: &str) {
        let kept = heading.to_lowercase().replace(' ', "-");
        let anchor: String = kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
        let same = |other: &&String| **other == anchor || other.strip_prefix(&format!("{anchor}-")).is_some_and(is_number);
        let before = self.anchors.iter().filter(same).count();
        self.anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn a_page_is_read_as_code_hosts_show_it() {
    let page = Page::read(
        "# The `alerting` section: 2, or more?\n\n## A b\n\n## A b\n\nSee [x](y.md#z) and `code`.\n\n```sh\n# no heading\nls\n```\n\n| a |\n|---|\n| [t](u.md) `v` |\n",
    );
    assert_eq!(page.anchors, ["the-alerting-section-2-or-more", "a-b", "a-b-1"]);
    assert_eq!(page.links, ["y.md#z", "u.md"]);
    assert_eq!(page.spans, ["code", "v"]);
    assert_eq!(page.blocks, [("sh".to_owned(), "# no heading\nls\n".to_owned())]);
}
