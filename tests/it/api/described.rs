//! Is every answer as the served OpenAPI document says?

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use eks_nlb_exporter::expose::routes::operations;
use serde_json::{Value, json};

use super::stage::{Answer, LISTS, Served, pictures};

/// What the document's own validator and a validator of JSON Schema do not accept.
fn disagreements(document: &Value, answers: &[Value]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/validate.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with openapi-spec-validator is a peer; `make peers` installs it");
    let given = serde_json::to_vec(&json!({"document": document, "answers": answers})).unwrap();
    child.stdin.take().unwrap().write_all(&given).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() || !told.trim().is_empty(), "the validator did not run; `make peers` installs it");
    told.trim().to_owned()
}

fn entry(path: &str, method: &str, answer: &Answer) -> Value {
    json!({"path": path, "method": method, "status": answer.status, "type": answer.media_type, "body": answer.json()})
}

/// What a schema sees of a value: keys, types, and the words of closed sets.
fn shape(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => if number.is_u64() { "natural" } else { "number" }.to_owned(),
        Value::String(text) if ["path", "method", "type", "severity", "worst", "state"].contains(&key) => format!("{text:?}"),
        Value::String(_) => if key.ends_with("_at") { "moment" } else { "text" }.to_owned(),
        Value::Array(all) => format!("{:?}", all.iter().map(|one| shape(key, one)).collect::<BTreeSet<_>>()),
        Value::Object(all) => format!("{:?}", all.iter().map(|(key, one)| (key, shape(key, one))).collect::<BTreeMap<_, _>>()),
    }
}

/// Answers of every path of the document, errors included.
async fn answers(served: &Served) -> Vec<Value> {
    let mut all = Vec::new();
    let mut add = |path: &str, method: &str, answer: Answer| {
        assert_eq!(answer.cache_control, "no-store", "{path}");
        all.push(entry(path, method, &answer));
    };
    for operation in operations() {
        let path = operation.path;
        let some = path.replace("{namespace}", "no-such").replace("{name}", "thing").replace("{id}", "no-such-id");
        add(path, "GET", served.ask("GET", &some).await);
        add(path, "GET", served.ask("GET", &format!("{some}?no-such=1")).await);
        add(path, "POST", served.ask("POST", &some).await);
        for parameter in operation.query {
            let value = match parameter.as_str() {
                "namespace" => "shop",
                "severity" => "warning",
                "code" => "nlb501",
                "limit" => "2",
                _ => "1",
            };
            add(path, "GET", served.ask("GET", &format!("{path}?{}={value}", parameter.as_str())).await);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_world_is_as_described() {
    let served = Served::start().await;
    let document = served.get("/api/v1/openapi.json").await;
    let mut all = answers(&served).await;
    let before: BTreeSet<u64> = all.iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(before, [200, 405, 503, 400].into(), "before the first picture");
    let pictures = pictures().await;
    for (at, (_, picture)) in pictures.iter().enumerate() {
        served.show(picture).await;
        if at == 0 {
            all.extend(answers(&served).await);
        }
        for path in LISTS {
            all.push(entry(path, "GET", &served.ask("GET", path).await));
        }
        for (path, real) in served.details().await {
            all.push(entry(path, "GET", &served.ask("GET", &real).await));
        }
    }
    let statuses: BTreeSet<u64> = all.iter().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 400, 404, 405, 503].into());
    assert!(pictures.len() > 40 && all.len() > 1_000, "{} answers of {} pictures", all.len(), pictures.len());
    // Of answers that differ only in their names and numbers one is enough.
    let shapes: BTreeMap<String, &Value> = all.iter().map(|answer| (shape("", answer), answer)).collect();
    let each: Vec<Value> = shapes.into_values().cloned().collect();
    assert!(each.len() > 100, "{} of {}", each.len(), all.len());
    let told = disagreements(&document, &each);
    assert!(told.is_empty(), "{told}");

    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let asked: BTreeSet<&str> = all.iter().map(|answer| answer["path"].as_str().unwrap()).collect();
    assert_eq!(described, asked, "every path is described, and asked");
    // And the validator does say no.
    let mut wrong = all.iter().find(|it| it["path"] == "/api/v1/headroom" && it["status"] == 200).unwrap().clone();
    wrong["body"]["schemes"] = json!([{"scheme": 1}]);
    assert!(disagreements(&document, &[wrong]).contains("headroom"));
}
