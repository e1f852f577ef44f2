//! What is there under which address: filters, pages of lists, things that do not exist, and the time before the first picture.

use std::collections::BTreeSet;
use std::sync::Arc;

use eks_nlb_exporter::checks;
use eks_nlb_exporter::expose::readiness::Readiness;
use eks_nlb_exporter::inventory::part::{Failure, FailureCategory};
use eks_nlb_exporter::inventory::parts::{Parts, SourceStatus, source};
use eks_nlb_exporter::simulator::SimulatorSettings;

use super::html::{followed, links};
use super::stage::{Served, break_everything, judged, judged_by, parts};

const LISTS: [&str; 9] =
    ["/findings", "/services", "/subnets", "/security-groups", "/quotas", "/drift", "/orphans", "/muted", "/sources"];

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_page_leads_somewhere() {
    let (parts, broken) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    let mut waiting = vec!["/".to_owned()];
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let body = served.page(&path).await;
        // What is no page has no links to follow; pages with a filter are the same pages.
        if !body.starts_with("<!DOCTYPE html>") || path.contains('?') {
            continue;
        }
        for link in links(&body).iter().filter(|link| !link.starts_with('#')) {
            let next = followed(&path, link);
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    for path in LISTS.map(str::to_owned).into_iter().chain([
        format!("/services/{}/{}", broken.dark.namespace, broken.dark.name),
        format!("/subnets/{}", broken.subnet),
        format!("/security-groups/{}", broken.group),
        "/metrics".to_owned(),
        "/style.css".to_owned(),
        "/findings?code=NLB103".to_owned(),
    ]) {
        assert!(seen.contains(&path), "nothing leads to {path}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_the_rest_out_and_says_so() {
    let (parts, broken) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    let (dark, failing) = (broken.dark.to_string(), broken.failing.to_string());
    // Names in links: between the two parts of a name stands a place to break the line.
    let row = |name: &str| format!("<th scope=\"row\"><a href=\"./services/{name}\">");

    let everything = served.page("/").await;
    assert!(everything.contains(&row(&dark)) && everything.contains(&row(&failing)));
    // Those in trouble come first, however they are called.
    let at = |name: &str| everything.find(&row(name)).unwrap_or_else(|| panic!("{name} is missing"));
    assert!(at(&dark) < at(&failing) && at(&failing) < at("media/stream"));
    let of_pay = served.page("/?namespace=pay").await;
    assert!(of_pay.contains(&row(&dark)) && !of_pay.contains(&row(&failing)));
    assert!(of_pay.contains("Only <strong>namespace pay</strong>"), "{of_pay}");
    // Who goes on to a list keeps the filter, and is told where it cannot hold.
    assert!(of_pay.contains("href=\"./subnets?namespace=pay\"") && of_pay.contains("href=\"./drift?namespace=pay\""), "{of_pay}");
    assert!(served.page("/subnets?namespace=pay").await.contains("What is listed here belongs to no namespace."));
    assert!(!served.page("/services?namespace=pay").await.contains("belongs to no namespace"));
    assert!(of_pay.contains("NLB103") && !of_pay.contains("findings?code=NLB510\"><code>"));
    // The headline is that of the whole cluster all the same.
    let headline = |page: &str| page.split("<h1").nth(1).unwrap().split("</h1>").next().unwrap().to_owned();
    assert_eq!(headline(&of_pay), headline(&everything));

    let critical = served.page("/findings?severity=critical").await;
    assert!(critical.contains("<li class=\"critical\">") && !critical.contains("<li class=\"warning\">"));
    let none = served.page("/?namespace=nobody&severity=info").await;
    assert!(none.contains("Nothing of that was found.") && none.contains("No Service here asks for a load balancer."));
    let code = served.page("/findings?code=nlb103").await;
    assert!(code.contains("docs/findings.md#nlb103") && code.contains("NLB103") && !code.contains("<code>NLB510</code>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_or_not_there_is_a_page_with_a_sentence() {
    let (parts, _) = parts(SimulatorSettings::default(), break_everything).await;
    let served = Served::ready(parts).await;
    for (path, status, said) in [
        ("/?severity=urgent", 400, "The parameter severity is &quot;urgent&quot;"),
        ("/?namespace=Pay", 400, "The parameter namespace is &quot;Pay&quot;"),
        ("/services?page=0", 400, "The parameter page is &quot;0&quot;"),
        ("/services?page=two", 400, "The parameter page is &quot;two&quot;"),
        ("/?page=2", 400, "The parameter page is &quot;2&quot;"),
        ("/?colour=red", 400, "&quot;colour&quot;"),
        ("/findings?code=NLB000", 400, "The parameter code is &quot;NLB000&quot;"),
        ("/services/pay/checkout?severity=x", 400, "The parameter severity is"),
        ("/services?page=99", 404, "There is no page 99"),
        ("/services/pay/nothing", 404, "No Service pay/nothing asks for a load balancer or has one."),
        ("/subnets/subnet-0", 404, "The cluster&#39;s VPC has no subnet subnet-0."),
        ("/security-groups/sg-0", 404, "No security group sg-0"),
    ] {
        let (found, body) = served.get(path).await;
        let said = said.replace("&#39;", "'");
        assert!(found == status && body.contains(&said), "{path}: {found}: {body}");
        assert!(body.starts_with("<!DOCTYPE html>") && body.contains("<main"), "{path}: {body}");
    }
    let (status, body) = served.get("/nothing/here").await;
    assert_eq!((status, body.as_str()), (404, "There is nothing under this path.\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_picture_the_page_says_what_is_awaited() {
    let served = Served::start(None, Readiness::pending(["tags", "services"])).await;
    let page = served.page("/").await;
    assert!(page.contains("There is no picture yet.") && page.contains("It waits for services, tags."), "{page}");
    assert_eq!(served.page("/sources").await.matches("<h1").count(), 1);
    for path in ["/services", "/services/a/b", "/subnets/subnet-0"] {
        let (status, body) = served.get(path).await;
        assert!(status == 503 && body.contains("There is no picture yet."), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_nothing_says_unknown_and_never_all_clear() {
    // As the daemon judges until it knows what belongs to the cluster.
    let nothing = judged_by(&[&checks::freshness::CHECK], Parts::default());
    let served = Served::start(Some(nothing), Readiness::pending(["tags"])).await;
    let page = served.page("/").await;
    assert!(page.contains("It is not known yet whether everything is served."), "{page}");
    assert!(page.contains("<small>unknown</small>") && !page.contains("Everything is served"), "{page}");
    assert!(page.contains("<small>at least </small>") && !page.contains("Nothing was found."), "{page}");
    assert!(page.contains("No Service is known here; what was not seen may exist."), "{page}");
    assert!(page.contains("How many there are is not known."), "{page}");
    for path in LISTS {
        served.page(path).await;
    }

    // Ready once, and then no source answered for long.
    let failure = Failure { category: FailureCategory::Unreachable, operation: "everything".into(), message: String::new() };
    let lost = SourceStatus { failure: Some(Arc::new(failure)), ..SourceStatus::default() };
    let sources = source::ALL.iter().map(|name| (Arc::from(*name), lost.clone())).collect();
    let nothing = judged(Parts { sources: Arc::new(sources), ..Parts::default() });
    let served = Served::start(Some(nothing), Readiness::pending(Vec::<String>::new())).await;
    let page = served.page("/").await;
    assert!(page.contains("Nobody can say from here whether everything is served."), "{page}");
    assert!(page.contains("Blind: the checks ") && !page.contains("nothing is wrong"), "{page}");
}
