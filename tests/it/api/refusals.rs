//! What is answered to a question that cannot be answered?

use super::stage::{Served, judged};
use crate::situations::Situation;

async fn served() -> Served {
    let served = Served::start().await;
    let Situation { parts, now } = Situation::healthy().await;
    served.show(&judged(parts, now)).await;
    served
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_a_sentence() {
    let served = served().await;
    for (path, status, sentence) in [
        ("/api/v1/findings?severity=bad", 400, "the parameter severity is \"bad\": it is critical, warning or info"),
        ("/api/v1/findings?severity=info&severity=info", 400, "the parameter severity is given twice"),
        ("/api/v1/services?limit=0", 400, "the parameter limit is \"0\": it is a whole number from 1 to 100000"),
        ("/api/v1/services?code=NLB999", 400, "the parameter code is \"NLB999\": there is no finding of this code"),
        (
            "/api/v1/services?namespace=A%20b",
            400,
            "the parameter namespace is \"A b\": namespaces have lower-case letters, digits and -",
        ),
        ("/api/v1/headroom?limit=1", 400, "there is no parameter \"limit\" here: there are none"),
        (
            "/api/v1/subnets?namespace=shop",
            400,
            "there is no parameter \"namespace\" here: there are severity, code, limit, offset",
        ),
        ("/api/v1/services/shop/nothing", 404, "no Service \"shop\"/\"nothing\" asks for a load balancer or has one"),
        ("/api/v1/subnets/%3Cb%3E", 404, "the cluster's VPC has no subnet \"<b>\""),
        ("/api/v1/security-groups/x", 404, "no security group \"x\" plays a part for the cluster's load balancers"),
        ("/api/v1/nothing", 404, "there is nothing under this path; /api/v1/openapi.json describes what there is"),
        ("/api", 404, "there is nothing under this path; /api/v1/openapi.json describes what there is"),
    ] {
        let answer = served.ask("GET", path).await;
        let told = (answer.status, &*answer.media_type, &*answer.cache_control);
        assert_eq!(told, (status, "application/json", "no-store"), "{path}");
        assert_eq!(answer.json(), serde_json::json!({"error": sentence}), "{path}");
    }
    let answer = served.ask("GET", "/api/v1/services/shop/%FF").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.json()["error"].as_str().is_some_and(|sentence| !sentence.is_empty()));
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let served = served().await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = served.ask(method, "/api/v1/findings").await;
        assert_eq!((answer.status, &*answer.allow), (405, "GET,HEAD"), "{answer:?}");
        assert_eq!(answer.json()["error"], "only GET and HEAD are answered here");
    }
    let head = served.ask("HEAD", "/api/v1/findings").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn before_the_first_picture_only_the_sources_are_told() {
    let served = Served::start().await;
    let answer = served.ask("GET", "/api/v1/findings").await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str().unwrap()),
        (503, "there is no picture yet: the first one is being made")
    );
    let sources = served.get("/api/v1/sources").await;
    assert_eq!(sources["evaluated_at"], serde_json::Value::Null);
    assert_eq!(sources["sources"][0]["state"], "pending");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_and_know_the_whole() {
    let served = Served::start().await;
    let mut situation = Situation::healthy().await;
    situation.targets("shop/web", crate::situations::unhealthy);
    served.show(&judged(situation.parts, situation.now)).await;
    let all = served.get("/api/v1/services").await;
    let rows = all["services"].as_array().unwrap();
    assert_eq!(all["total"].as_u64(), Some(rows.len() as u64));
    assert!(rows.len() > 3, "{all}");
    let page = served.get("/api/v1/services?limit=2&offset=1").await;
    assert_eq!(page["services"].as_array().unwrap()[..], rows[1..3]);
    assert_eq!(page["total"], all["total"]);

    let of_shop = served.get("/api/v1/services?namespace=shop").await;
    let named = |row: &serde_json::Value| row["namespace"] == "shop";
    assert_eq!(of_shop["services"].as_array().unwrap().len(), rows.iter().filter(|row| named(row)).count());
    let broken = served.get("/api/v1/services?code=NLB101").await;
    let [row] = &broken["services"].as_array().unwrap()[..] else { panic!("{broken}") };
    assert_eq!((&row["namespace"], &row["name"], &row["worst"]), (&"shop".into(), &"web".into(), &"critical".into()));
    let findings = served.get("/api/v1/findings?namespace=shop&code=NLB101").await;
    assert!(findings["total"].as_u64().unwrap() >= 1, "{findings}");
    let elsewhere = served.get("/api/v1/findings?namespace=pay&code=NLB101").await;
    assert_eq!((&elsewhere["total"], &elsewhere["verdict"]["findings"]), (&0.into(), &findings["verdict"]["findings"]));
}
