//! What does a page say to a program? The numbers in it with their series, and the links.

use regex_lite::Regex;

/// A number of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// Its series without the prefix, or over which series it is the sum.
    pub(super) of: String,
    /// Its value.
    pub(super) value: f64,
    /// The text that people read.
    pub(super) text: String,
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn numbers(page: &str, attribute: &str) -> Vec<Number> {
    let data = Regex::new(&format!(r#"<data value="([^"]*)" {attribute}="([^"]*)">([^<]*)</data>"#)).unwrap();
    data.captures_iter(page)
        .map(|found| Number { of: unescaped(&found[2]), value: found[1].parse().unwrap(), text: unescaped(&found[3]) })
        .collect()
}

/// Numbers that are the value of one series.
pub(super) fn measured(page: &str) -> Vec<Number> {
    numbers(page, "data-series")
}

/// Numbers that are sums over series.
pub(super) fn summed(page: &str) -> Vec<Number> {
    numbers(page, "data-sum")
}

/// Series that a word of the page says to be 1.
pub(super) fn held(page: &str) -> Vec<String> {
    let word = Regex::new(r#"data-holds="([^"]*)""#).unwrap();
    word.captures_iter(page).map(|found| unescaped(&found[1])).collect()
}

/// Where the links lead to, as they are written.
pub(super) fn links(page: &str) -> Vec<String> {
    let link = Regex::new(r#"href="([^"]*)""#).unwrap();
    link.captures_iter(page).map(|found| unescaped(&found[1])).collect()
}

/// A relative link, followed from a page.
pub(super) fn followed(page: &str, link: &str) -> String {
    let path = page.split(['?', '#']).next().unwrap_or_default();
    if link.starts_with(['?', '#']) {
        return format!("{path}{link}");
    }
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    for step in link.split('/') {
        match step {
            "." => {}
            ".." => drop(folders.pop()),
            step => folders.push(step),
        }
    }
    let found = folders.join("/");
    if found.starts_with('/') { found } else { format!("/{found}") }
}
