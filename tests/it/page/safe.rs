//! Can a stranger's text do anything but be read, and does the page keep secrets?

use eks_nlb_exporter::inventory::part::{Failure, FailureCategory};
use eks_nlb_exporter::inventory::parts::source;
use eks_nlb_exporter::simulator::SimulatorSettings;
use eks_nlb_exporter::simulator::world::World;
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::browser::{Look, look};
use super::stage::{Broken, HOSTILE, Served, break_everything, parts};

/// Everything broken, and every text that a stranger can write hostile.
fn hostile(world: &mut World) -> Broken {
    let broken = break_everything(world);
    for subnet in world.subnets.values_mut() {
        subnet.tags.insert("Name".into(), HOSTILE.into());
    }
    let key = format!("service.beta.kubernetes.io/aws-load-balancer-{}", "healthcheck-path");
    world.annotate(&broken.failing, key, Some(HOSTILE), eks_nlb_exporter::clock::now()).unwrap();
    for group in world.security_groups.values_mut() {
        group.name = HOSTILE.into();
    }
    broken
}

fn paths(broken: &Broken) -> Vec<String> {
    let mut paths: Vec<String> =
        ["/", "/findings", "/services", "/subnets", "/security-groups", "/quotas", "/drift", "/orphans", "/muted", "/sources"]
            .map(str::to_owned)
            .into();
    for service in [&broken.failing, &broken.dark, &broken.blocked, &broken.drifting] {
        paths.push(format!("/services/{}/{}", service.namespace, service.name));
    }
    paths.push(format!("/subnets/{}", broken.subnet));
    paths.push(format!("/security-groups/{}", broken.group));
    paths.push("/?namespace=%3Cscript%3Ealert(1)%3C/script%3E".to_owned());
    paths.push("/services/%3Cscript%3E/%22%3E%3Cimg%20src=x%3E".to_owned());
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_strangers_is_only_text_on_every_page() {
    let (parts, broken) = parts(SimulatorSettings::default(), hostile).await;
    let served = Served::ready(parts).await;
    let tag = Regex::new(r"<([a-zA-Z][a-zA-Z0-9]*)").unwrap();
    // An attribute's value never leaves its quotes, so whatever stands outside of tags and quotes is the page's own.
    let attribute = Regex::new(r#"\s(on[a-z]+|style|srcdoc|action)="#).unwrap();
    let quoted = Regex::new(r#""[^"]*""#).unwrap();
    let address = Regex::new(r#"(?:href|src)="([^"]*)""#).unwrap();
    let mut shown = 0;
    for path in paths(&broken) {
        let (_, page) = served.get(&path).await;
        shown += usize::from(page.contains("&lt;script&gt;alert('x')&lt;/script&gt;"));
        for found in tag.captures_iter(&page) {
            assert!(!matches!(&found[1], "script" | "img" | "iframe" | "object" | "style" | "base"), "{path}: {}", &found[0]);
        }
        for element in Regex::new(r"<[^>]*>").unwrap().find_iter(&page) {
            let bare = quoted.replace_all(element.as_str(), "=\"\"");
            assert!(!attribute.is_match(&bare), "{path}: {}", element.as_str());
        }
        for found in address.captures_iter(&page) {
            assert!(found[1].starts_with(['.', '?', '#']), "{path}: a link leads to {}", &found[1]);
        }
    }
    assert!(shown >= 5, "the hostile text was on {shown} pages only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_runs_none_of_it() {
    let (parts, broken) = parts(SimulatorSettings::default(), hostile).await;
    let served = Served::ready(parts).await;
    let looks = paths(&broken).into_iter().map(Look::at);
    for saw in look(&served.base(), looks).await {
        let refused: Vec<_> =
            saw.console.iter().filter(|line| !line.contains("the server responded with a status of 4")).collect();
        assert!(refused.is_empty() && saw.violations.is_empty(), "{}: {refused:?} {:?}", saw.path, saw.violations);
        assert_eq!((saw.scripts, saw.inline_styles, saw.inline_handlers), (0, 0, 0), "{}", saw.path);
        assert!(saw.requests.iter().all(|url| url.starts_with(&served.base())), "{}: {:?}", saw.path, saw.requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_no_secret_and_nobody_who_the_exporter_is() {
    const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/very-secret-role/session-of-mine";
    let (mut parts, _) = parts(SimulatorSettings::default(), break_everything).await;
    let mut sources = (*parts.sources).clone();
    let failure = Failure {
        category: FailureCategory::Denied,
        operation: "ec2:DescribeSubnets".into(),
        message: format!("User: {ROLE} is not authorized, token AKIAIOSFODNN7EXAMPLE"),
    };
    sources.get_mut(source::SUBNETS).unwrap().failure = Some(Arc::new(failure));
    parts.sources = Arc::new(sources);
    let served = Served::ready(parts).await;
    for path in ["/", "/findings", "/sources"] {
        let page = served.page(path).await;
        assert!(page.contains("ec2:DescribeSubnets"), "{path}: {page}");
        for secret in ["very-secret-role", "session-of-mine", "AKIA", "assumed-role"] {
            assert!(!page.contains(secret), "{path} tells {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_forbids_what_it_does_not_need() {
    let (parts, broken) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<bytes::Bytes>>();
    for path in paths(&broken).into_iter().chain(["/services/a/b".to_owned(), "/?page=x".to_owned()]) {
        let answer = client.get(format!("{}{path}", served.base()).parse().unwrap()).await.unwrap();
        let headers: BTreeMap<String, String> =
            answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let policy = &headers["content-security-policy"];
        for rule in ["default-src 'none'", "style-src 'self'", "img-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}
