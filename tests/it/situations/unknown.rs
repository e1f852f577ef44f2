//! Is what is not known ever taken for zero? Every piece of a healthy picture, and every pair of pieces, is taken away, cut in
//! half and left incomplete: no finding may come of it, and no value may change: it stays or vanishes.

use serde_json::Value;

use super::*;

/// Pieces that are no knowledge of the world.
const NOT_PIECES: [&str; 2] = ["scope", "sources"];

/// How a piece is taken away.
type Take = fn(&mut Value, &str);

/// The piece was never heard of.
fn absent(parts: &mut Value, piece: &str) {
    parts.as_object_mut().unwrap().remove(piece);
}

/// Only some of it arrived.
fn half(parts: &mut Value, piece: &str) {
    let piece = &mut parts[piece];
    let is_list = piece.get("value").is_some();
    if is_list {
        piece.as_object_mut().unwrap().remove("fetched_at");
    }
    let entries = if is_list { &mut piece["value"] } else { piece };
    if let Some(entries) = entries.as_object_mut() {
        let mut number = 0;
        entries.retain(|_, _| {
            number += 1;
            number % 2 == 0
        });
    }
}

/// Everything of it arrived, and nobody knows that it is everything.
fn incomplete(parts: &mut Value, piece: &str) {
    let piece = &mut parts[piece];
    if piece.get("value").is_some() {
        piece.as_object_mut().unwrap().remove("fetched_at");
    } else {
        for one in piece.as_object_mut().unwrap().values_mut() {
            one.as_object_mut().unwrap().remove("fetched_at");
        }
    }
}

#[tokio::test]
async fn no_piece_that_is_missing_makes_a_finding_or_changes_a_value() {
    let healthy = Situation::healthy().await;
    let whole = serde_json::to_value(&healthy.parts).unwrap();
    let truth = series(&healthy.judge());
    let pieces: Vec<String> =
        whole.as_object().unwrap().keys().filter(|key| !NOT_PIECES.contains(&key.as_str())).cloned().collect();
    let ways: [(&str, Take); 3] = [("absent", absent), ("half there", half), ("incomplete", incomplete)];
    let mut wrong = BTreeSet::new();
    let mut check = |what: String, parts: Value| {
        let situation = Situation { parts: serde_json::from_value(parts).unwrap(), now: healthy.now };
        let outcome = situation.judge();
        wrong.extend(told(&outcome).into_iter().map(|finding| format!("{what}: {finding}")));
        let other = |(name, value): &(String, f64)| truth.get(name) != Some(value) && !is_relabelled(name);
        wrong.extend(
            series(&outcome)
                .into_iter()
                .filter(other)
                .map(|(name, value)| format!("{what}: {name} is {value}, not {:?}", truth.get(&name))),
        );
    };
    for (how, take) in ways {
        for (number, one) in pieces.iter().enumerate() {
            // A limit that was asked for and is not there is a guess, and said to be one. Half of one object is none.
            if how == "half there" && ["quotas", "eks_cluster"].contains(&one.as_str()) {
                continue;
            }
            let mut parts = whole.clone();
            take(&mut parts, one);
            check(format!("{one} {how}"), parts.clone());
            for other in &pieces[number + 1..] {
                let mut parts = parts.clone();
                absent(&mut parts, other);
                check(format!("{one} {how}, {other} absent"), parts);
            }
        }
    }
    let all: Vec<_> = wrong.iter().cloned().collect();
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all[..all.len().min(60)].join("\n"));
}

/// Series whose labels show less while less is known: they are info families, or name what stands behind a target.
fn is_relabelled(name: &str) -> bool {
    [
        "target_group_info{",
        "load_balancer_info{",
        "service_info{",
        "target_health{",
        "exporter_scope_info{",
        "security_group_role{",
    ]
    .iter()
    .any(|family| name.starts_with(family))
}
