//! Do we agree with a real controller? What it made of ten Services is replayed through the real clients, and its healthy Services
//! must give no drift, no missing target and no finding.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eks_nlb_exporter::checks::model::{Outcome, Subject};
use eks_nlb_exporter::inventory::ids::ObjectName;
use eks_nlb_exporter::inventory::parts::{Parts, source};
use eks_nlb_exporter::simulator::kube_api::{
    DEPLOYMENTS, ENDPOINT_SLICES, EVENTS, NODES, Resource, SERVICES, TARGET_GROUP_BINDINGS,
};
use eks_nlb_exporter::sources::kube::KubeSettings;
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::gather::judge;

fn world() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/worlds/lbc-2.8.2")
}

/// The text of a recorded answer.
fn recorded(name: &str) -> Option<String> {
    fs::read_to_string(world().join("aws").join(name)).ok()
}

/// Answers a query call with what was recorded for it.
async fn replay(headers: HeaderMap, body: Bytes) -> Response {
    if headers.contains_key("x-amz-target") {
        // Nothing was recorded of Service Quotas: as for credentials that lack the permission.
        let refusal = r#"{"__type":"AccessDeniedException","Message":"not authorized to perform: servicequotas"}"#;
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], refusal).into_response();
    }
    let form: BTreeMap<String, String> = serde_urlencoded(&body);
    let action = &form["Action"];
    let service = match form["Version"].as_str() {
        "2016-11-15" => "ec2",
        "2015-12-01" => "elbv2",
        _ => "sts",
    };
    let arns: Vec<&str> = form.iter().filter(|(key, _)| key.contains("Arn")).map(|(_, value)| value.as_str()).collect();
    let answer = if action == "DescribeTags" {
        Some(tags_of(&arns))
    } else {
        let resource = arns.first().and_then(|arn| arn.split('/').rev().nth(1));
        recorded(&resource.map_or_else(|| format!("{service}.{action}.xml"), |name| format!("{service}.{action}.{name}.xml")))
    };
    match answer {
        Some(xml) => ([(header::CONTENT_TYPE, "text/xml")], xml).into_response(),
        None => (StatusCode::NOT_IMPLEMENTED, format!("{service} {action} {arns:?} was not recorded")).into_response(),
    }
}

/// The recorded tags of these resources, as one answer.
fn tags_of(arns: &[&str]) -> String {
    let all = ["elbv2.DescribeTags.load-balancers.xml", "elbv2.DescribeTags.target-groups.xml"]
        .map(|name| recorded(name).unwrap())
        .concat();
    let members = arns.iter().map(|arn| {
        let start = all.find(&format!("<member><ResourceArn>{arn}</ResourceArn>")).unwrap_or_else(|| panic!("no tags of {arn}"));
        let end = start + all[start..].find("</Tags></member>").unwrap() + "</Tags></member>".len();
        &all[start..end]
    });
    format!(
        "<DescribeTagsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><DescribeTagsResult><TagDescriptions>{}\
         </TagDescriptions></DescribeTagsResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeTagsResponse>",
        members.collect::<String>()
    )
}

fn serde_urlencoded(body: &[u8]) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if *first == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let text = std::str::from_utf8(body).unwrap();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect()
}

/// The recorded objects, served by the simulated API server.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    let files: [(&str, Resource); 6] = [
        ("services", SERVICES),
        ("endpointslices", ENDPOINT_SLICES),
        ("nodes", NODES),
        ("targetgroupbindings", TARGET_GROUP_BINDINGS),
        ("events", EVENTS),
        ("deployments", DEPLOYMENTS),
    ];
    for (file, resource) in files {
        let list = fs::read_to_string(world().join(format!("kube/{file}.json"))).unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        for object in list["items"].as_array().unwrap() {
            cluster.put(resource, object.clone());
        }
    }
    cluster
}

/// Gathers the whole world through the real clients.
async fn gather() -> Parts {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(replay)).await });
    let cluster = cluster();
    let kube_settings = KubeSettings { kubeconfig: Some(cluster.kubeconfig()), ..KubeSettings::default() };
    // Of Service Quotas nothing was recorded; everything else was.
    let parts = crate::gather::gather(endpoint, kube_settings, &[source::SERVICE_QUOTAS, source::QUOTA_REQUESTS]).await;
    server.abort();
    parts
}

/// The values of a family whose labels hold all of these.
fn values(outcome: &Outcome, family: &str, having: &[(&str, &str)]) -> Vec<f64> {
    let Some(family) = outcome.families.iter().find(|candidate| candidate.description.name == family) else { return Vec::new() };
    let names = family.description.labels;
    let samples = family.samples.iter().filter(|sample| {
        having.iter().all(|(name, value)| {
            names.iter().position(|label| label == name).is_some_and(|at| sample.labels[at].as_str() == *value)
        })
    });
    samples.map(|sample| sample.value).collect()
}

const HEALTHY: [(&str, &str); 6] =
    [("shop", "web"), ("shop", "api"), ("ops", "ingress"), ("ops", "dns"), ("legacy", "old"), ("legacy", "classy")];

/// It is written in the form before `type: external`, which still works.
const DEPRECATED: (&str, &str) = ("legacy", "old");

/// They ask for tags, which their listeners carry too.
const TAGS_OF_LISTENERS_NOT_RECORDED: [(&str, &str); 1] = [("shop", "api")];

#[tokio::test]
async fn a_real_controllers_work_is_understood() {
    let (snapshot, outcome) = judge(gather().await);

    for (namespace, name) in HEALTHY {
        let service = ObjectName::new(namespace, name);
        let of = [("namespace", namespace), ("service", name)];
        assert_eq!(values(&outcome, "service_provisioned", &of), [1.0], "{service}");
        assert_eq!(values(&outcome, "service_load_balancers", &of), [1.0], "{service}");
        let said: Vec<_> =
            outcome.findings.iter().filter(|finding| finding.subject == Subject::Service(service.clone())).collect();
        let codes: Vec<_> = said.iter().map(|finding| finding.kind.code).collect();
        let expected: &[&str] = if (namespace, name) == DEPRECATED { &["NLB606"] } else { &[] };
        assert_eq!(codes, expected, "{service}: {said:#?}");
        let whole = values(&outcome, "service_drifted_annotations", &of);
        if TAGS_OF_LISTENERS_NOT_RECORDED.contains(&(namespace, name)) {
            assert_eq!(whole, [] as [f64; 0], "{service}: what is not known is not counted");
        } else {
            assert_eq!(whole, [0.0], "{service} was judged whole");
        }
        let groups: Vec<_> = snapshot.target_groups.iter().filter(|(_, group)| group.stack.as_ref() == Some(&service)).collect();
        assert!(!groups.is_empty(), "{service} has a target group");
        for (id, _) in groups {
            let of = [("target_group", id.as_str())];
            for family in ["target_group_missing_targets", "target_group_unexpected_targets"] {
                assert_eq!(values(&outcome, family, &of), [0.0], "{service} {id} {family}");
            }
            let expected = values(&outcome, "target_group_expected_targets", &of);
            assert!(expected.iter().all(|count| *count > 0.0) && expected.len() == 1, "{service} {id}: {expected:?}");
        }
    }
    let about_targets: Vec<_> = outcome.findings.iter().filter(|finding| finding.kind.code.starts_with("NLB1")).collect();
    assert!(about_targets.is_empty(), "{about_targets:#?}");
}

#[tokio::test]
async fn what_is_wrong_in_the_recorded_world_is_said_once_each() {
    let (_, outcome) = judge(gather().await);
    let codes_of = |namespace: &str, name: &str| -> Vec<&str> {
        let subject = Subject::Service(ObjectName::new(namespace, name));
        outcome.findings.iter().filter(|finding| finding.subject == subject).map(|finding| finding.kind.code).collect()
    };
    assert_eq!(codes_of("broken", "wrong-scheme"), ["NLB510"]);
    assert_eq!(codes_of("broken", "eip-count"), ["NLB510"]);
    assert_eq!(codes_of("legacy", "nobody"), ["NLB701"]);
    assert_eq!(codes_of("legacy", "intree"), ["NLB702"]);
    assert_eq!(codes_of("default", "kubernetes"), [] as [&str; 0]);
    let message = outcome.findings.iter().find(|finding| finding.kind.code == "NLB510").map(|finding| finding.message.clone());
    assert!(message.is_some_and(|message| message.contains("EIP allocations")), "the event's own words are in the message");
    assert_eq!(values(&outcome, "controller_info", &[("version", "v2.8.2")]), [1.0]);
}
