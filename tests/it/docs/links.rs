//! Does every link lead somewhere, and is every page found by who begins with the README?

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::pages::{PAGES, root};

/// Where a relative link leads, from the root of the repository; and the anchor there.
fn resolve(page: &Path, link: &str) -> (PathBuf, Option<String>) {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor.to_owned())));
    if path.is_empty() {
        return (page.to_owned(), anchor);
    }
    let mut target = PathBuf::new();
    for part in page.parent().unwrap().join(path).components() {
        match part {
            Component::ParentDir => assert!(target.pop(), "{}: {link} leads out of the repository", page.display()),
            Component::Normal(part) => target.push(part),
            Component::CurDir => {}
            other => panic!("{}: {link} has {other:?}", page.display()),
        }
    }
    (target, anchor)
}

fn is_external(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let mut wrong = Vec::new();
    for (path, page) in PAGES.iter() {
        for link in page.links.iter().filter(|link| !is_external(link)) {
            let (target, anchor) = resolve(path, link);
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link}: there is no {}", path.display(), target.display()));
            } else if let Some(anchor) = anchor {
                match PAGES.get(&target) {
                    None => wrong.push(format!("{}: {link}: an anchor of what is no page", path.display())),
                    Some(page) if !page.anchors.contains(&anchor) => {
                        wrong.push(format!("{}: {link}: no such heading", path.display()));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_external_link_is_a_whole_url_over_https() {
    for (path, page) in PAGES.iter() {
        for link in page.links.iter().filter(|link| is_external(link)) {
            let url: http::Uri = link.parse().unwrap_or_else(|error| panic!("{}: {link}: {error}", path.display()));
            assert_eq!(url.scheme_str(), Some("https"), "{}: {link}", path.display());
            let host = url.host().unwrap();
            assert!(host.contains('.') && !host.ends_with(".example"), "{}: {link}", path.display());
        }
    }
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut next = vec![PathBuf::from("README.md")];
    while let Some(path) = next.pop() {
        if let Some(page) = PAGES.get(&path)
            && reached.insert(path.clone())
        {
            next.extend(page.links.iter().filter(|link| !is_external(link)).map(|link| resolve(&path, link).0));
        }
    }
    let documented = |path: &&PathBuf| path.starts_with("docs") || path.parent() == Some(Path::new(""));
    let lost: Vec<_> = PAGES.keys().filter(documented).filter(|path| !reached.contains(*path)).collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
    let index = &PAGES[Path::new("docs/README.md")];
    let listed: BTreeSet<_> =
        index.links.iter().filter(|link| !is_external(link)).map(|link| resolve(Path::new("docs/README.md"), link).0).collect();
    let missing: Vec<_> = PAGES.keys().filter(|path| path.parent() == Some(Path::new("docs"))).collect();
    let missing: Vec<_> = missing.into_iter().filter(|path| !path.ends_with("README.md") && !listed.contains(*path)).collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}
