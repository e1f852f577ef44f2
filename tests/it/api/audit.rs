//! Which value of the API is which series of /metrics? Each field of each view by name, and what no field said is found.

use std::collections::{BTreeMap, BTreeSet};

use eks_nlb_exporter::checks;
use jiff::Timestamp;
use serde_json::Value;

use crate::support::Scrape;

/// Every series of a family by its labels.
type Family = Vec<(BTreeMap<String, String>, f64)>;

/// Holds answers against the metrics of the same picture.
pub(super) struct Audit<'a> {
    scrape: &'a Scrape,
    families: BTreeMap<&'static str, Family>,
    /// Series that an answer told.
    pub(super) told: BTreeSet<String>,
    /// Values that were looked at, by where they lie in memory.
    seen: BTreeSet<*const Value>,
    /// What is not so.
    pub(super) wrong: Vec<String>,
}

type Labels<'a> = [(&'a str, &'a Value)];

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl<'a> Audit<'a> {
    pub(super) fn of(scrape: &'a Scrape) -> Self {
        let families = checks::families().map(|family| (family.name, scrape.family(family.name).into_iter().collect())).collect();
        Self { scrape, families, told: BTreeSet::new(), seen: BTreeSet::new(), wrong: Vec::new() }
    }

    /// A value is that of the series; `null` where there is none.
    fn is(&mut self, value: &Value, family: &str, labels: &Labels<'_>) {
        self.seen.insert(value);
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", text(value))).collect();
        let series = format!("{family}{{{}}}", labels.join(","));
        let shown = self.scrape.value(&series);
        let same = match (value, shown) {
            (Value::Null, None) => true,
            (Value::Bool(truth), Some(shown)) => *truth == (shown > 0.0),
            (Value::Number(number), Some(shown)) => number.as_f64() == Some(shown),
            (Value::String(moment), Some(shown)) => {
                // The metrics have milliseconds, or what a float has of more.
                moment.parse::<Timestamp>().is_ok_and(|at| (at.as_duration().as_secs_f64() - shown).abs() < 0.001_001)
            }
            _ => false,
        };
        if !same {
            self.wrong.push(format!("{series} is {shown:?}, and the API says {value}"));
        }
        self.told.insert(series_name(family, &labels));
    }

    /// As `is`, of a count whose missing series stands for 0.
    fn is_or_zero(&mut self, value: &Value, family: &str, labels: &Labels<'_>) {
        if value.as_u64() == Some(0) {
            self.seen.insert(value);
        } else {
            self.is(value, family, labels);
        }
    }

    /// There is a series with these labels and the value 1; others of its labels may be anything.
    fn exists(&mut self, family: &str, labels: &Labels<'_>) {
        let wanted: BTreeMap<String, String> = labels.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        let has = |have: &BTreeMap<String, String>| wanted.iter().all(|(name, value)| have.get(name) == Some(value));
        let found = self.families[family].iter().find(|(have, value)| *value == 1.0 && has(have));
        match found {
            Some((labels, _)) => {
                let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
                self.told.insert(series_name(family, &labels));
            }
            None => self.wrong.push(format!("there is no {family} with {wanted:?}")),
        }
    }

    /// A value that is no series: it follows from others, or from the picture's names.
    fn follows(&mut self, value: &Value, expected: impl Into<Value>) {
        self.seen.insert(value);
        let expected: Value = expected.into();
        let same = value == &expected || value.as_f64().is_some_and(|value| Some(value) == expected.as_f64());
        if !same {
            self.wrong.push(format!("{value} should be {expected}"));
        }
    }

    /// A value that no other bears out.
    fn free(&mut self, value: &Value) {
        self.seen.insert(value);
    }

    /// Says so of every number, truth and moment in an answer that was not looked at.
    pub(super) fn nothing_is_left(&mut self, path: &str, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| self.nothing_is_left(&format!("{path}[]"), one)),
            Value::Object(all) => all.iter().for_each(|(key, one)| self.nothing_is_left(&format!("{path}.{key}"), one)),
            Value::String(text) if text.parse::<Timestamp>().is_err() => {}
            Value::Null => {}
            _ if self.seen.contains(&std::ptr::from_ref(value)) => {}
            _ => self.wrong.push(format!("{path} is {value}, and nothing says whether that is so")),
        }
    }

    pub(super) fn status(&mut self, view: &Value) {
        self.verdict(&view["verdict"]);
        let scope = &view["scope"];
        let labels =
            [("account_id", "account_id"), ("aws_region", "region"), ("cluster_name", "cluster_name"), ("vpc_id", "vpc_id")];
        self.exists("exporter_scope_info", &labels.map(|(label, key)| (label, &scope[key])));
        for controller in list(&scope["controllers"]) {
            let by = [("controller", &controller["name"])];
            self.exists("controller_info", &[("controller", &controller["name"]), ("version", &controller["version"])]);
            self.is(&controller["replicas"], "controller_replicas", &by);
            self.is(&controller["available_replicas"], "controller_available_replicas", &by);
            self.is(&controller["leader_since"], "controller_leader_since_timestamp_seconds", &by);
        }
    }

    fn verdict(&mut self, verdict: &Value) {
        self.is(&verdict["evaluated_at"], "picture_timestamp_seconds", &[]);
        let sum = |scrape: &Scrape, family, severity: Option<&str>| -> f64 {
            let all = scrape.family(family).into_iter();
            all.filter(|(labels, _)| severity.is_none_or(|wanted| labels["severity"] == wanted)).map(|(_, count)| count).sum()
        };
        for severity in ["critical", "warning", "info"] {
            let count = sum(self.scrape, "findings", Some(severity));
            self.follows(&verdict["findings"][severity], count);
        }
        let muted = sum(self.scrape, "findings_muted", None);
        self.follows(&verdict["muted"], muted);
    }

    pub(super) fn findings(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.verdict(&view["verdict"]);
        self.follows(&view["total"], list(&view["findings"]).count());
        let mut counts: BTreeMap<(&str, String, String), u64> = BTreeMap::new();
        for (family, key) in [("findings", "findings"), ("findings_muted", "muted")] {
            for finding in list(&view[key]) {
                *counts.entry((family, text(&finding["code"]), text(&finding["severity"]))).or_default() += 1;
            }
        }
        for ((family, code, severity), count) in counts {
            self.is(&count.into(), family, &[("code", &code.into()), ("severity", &severity.into())]);
        }
        self.details_of_findings(&view["findings"]);
        self.details_of_findings(&view["muted"]);
    }

    fn details_of_findings(&mut self, findings: &Value) {
        for finding in list(findings) {
            self.free(&finding["since"]);
            self.free(&finding["seen_since"]);
        }
    }

    fn counted(&mut self, counts: &Value, findings: &Value) {
        for severity in ["critical", "warning", "info"] {
            self.follows(&counts[severity], list(findings).filter(|finding| finding["severity"] == severity).count());
        }
    }

    pub(super) fn services(&mut self, view: &Value) {
        self.list(view, "services");
        list(&view["services"]).for_each(|row| self.service_row(row));
        list(&view["other_load_balancers"]).for_each(|load_balancer| self.load_balancer(load_balancer));
        list(&view["other_target_groups"]).for_each(|group| self.target_group(group));
    }

    fn list(&mut self, view: &Value, key: &str) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.free(&view["complete"]);
        self.follows(&view["total"], list(&view[key]).count());
    }

    /// What the list says of a Service. Its sums are held against its target groups where all of it is shown.
    fn service_row(&mut self, row: &Value) {
        let by = [("namespace", &row["namespace"]), ("service", &row["name"])];
        if row["controller"].is_string() {
            let info = [("controller", &row["controller"]), ("load_balancer_class", &row["load_balancer_class"])];
            self.exists("service_info", &[&by[..], &info[..]].concat());
        }
        for (key, family) in [
            ("created_at", "service_created_timestamp_seconds"),
            ("deleting_since", "service_deletion_timestamp_seconds"),
            ("provisioned", "service_provisioned"),
            ("load_balancer_missing", "service_load_balancer_missing"),
            ("load_balancer_count", "service_load_balancers"),
            ("drifted_annotations", "service_drifted_annotations"),
            ("edited_annotations", "service_edited_annotations"),
            ("lint_problems", "service_lint_problems"),
        ] {
            self.is(&row[key], family, &by);
        }
        for reason in list(&row["blocked"]) {
            self.exists("service_blocked", &[by[0], by[1], ("reason", reason)]);
        }
        list(&row["load_balancers"]).for_each(|load_balancer| self.load_balancer_row(load_balancer));
        for key in ["missing", "unexpected", "cross_zone"] {
            self.free(&row[key]);
        }
        list(&row["targets"]).for_each(|state| self.free(&state["count"]));
        list(&row["zones"])
            .for_each(|zone| ["healthy", "other", "failing"].map(|key| self.free(&zone[key])).into_iter().collect());
        ["critical", "warning", "info"].into_iter().for_each(|severity| self.free(&row["findings"][severity]));
    }

    pub(super) fn service(&mut self, view: &Value, in_list: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        let row = &view["service"];
        if row != in_list {
            self.wrong.push(format!("the list says {in_list}, and the page {row}"));
        }
        self.service_row(row);
        list(&view["load_balancers"]).for_each(|load_balancer| self.load_balancer(load_balancer));
        list(&view["target_groups"]).for_each(|group| self.target_group(group));
        self.sums(row, &view["target_groups"]);
        let by = [("namespace", &row["namespace"]), ("service", &row["name"])];
        let mut drifted = BTreeSet::new();
        for drift in list(&view["drift"]) {
            drifted.insert(drift["annotation"].to_string());
            let told = [("annotation", &drift["annotation"]), ("repair", &drift["repair"])];
            self.exists("service_annotation_drift", &[&by[..], &told[..]].concat());
            if drift["expected"] == drift["actual"] {
                self.wrong.push(format!("both sides are the same: {drift}"));
            }
        }
        let counts = [
            ("drifted_annotations", drifted.len()),
            ("edited_annotations", list(&view["edited"]).count()),
            ("lint_problems", list(&view["lint"]).count()),
        ];
        for (key, count) in counts {
            if !row[key].is_null() {
                self.follows(&row[key], count);
            }
        }
        list(&view["edited"]).for_each(|edited| self.free(&edited["edited_at"]));
        for binding in list(&view["blocked_bindings"]) {
            let told = [("target_group_binding", &binding["name"]), ("reason", &binding["reason"])];
            self.exists("target_group_binding_blocked", &[&by[..1], &told[..]].concat());
        }
        list(&view["muted_codes"]).for_each(|code| self.exists("service_muted", &[by[0], by[1], ("code", code)]));
        self.is(&view["windows_backends"], "service_windows_backends", &by);
        self.counted(&row["findings"], &view["findings"]);
        self.details_of_findings(&view["findings"]);
        self.details_of_findings(&view["muted"]);
    }

    /// Sums of the list against the groups: unknown as soon as one of them is.
    fn sums(&mut self, row: &Value, groups: &Value) {
        let none = list(groups).next().is_none();
        let sum = |of: &dyn Fn(&Value) -> Option<u64>| if none { None } else { list(groups).map(of).sum::<Option<u64>>() };
        for key in ["missing", "unexpected"] {
            self.follows(&row[key], sum(&|group| group[key].as_u64()));
        }
        self.follows(&row["targets"].is_null().into(), none || list(groups).any(|group| group["targets"].is_null()));
        self.follows(&row["zones"].is_null().into(), none || list(groups).any(|group| group["zones"].is_null()));
        for state in list(&row["targets"]) {
            let of_state = |group: &Value| {
                list(&group["targets"]).find(|it| it["state"] == state["state"]).map_or(Some(0), |it| it["count"].as_u64())
            };
            self.follows(&state["count"], sum(&of_state));
        }
        let mut cross_zone = list(groups).map(|group| &group["cross_zone"]);
        let same = cross_zone.next().filter(|first| cross_zone.all(|other| other == *first));
        self.follows(&row["cross_zone"], same.cloned().unwrap_or(Value::Null));
        for zone in list(&row["zones"]) {
            for key in ["healthy", "other"] {
                let of_zone = |group: &Value| {
                    list(&group["zones"]).find(|it| it["zone"] == zone["zone"]).map_or(Some(0), |it| it[key].as_u64())
                };
                self.follows(&zone[key], sum(&of_zone));
            }
            let its: Vec<&Value> =
                list(groups).flat_map(|group| list(&group["zones"])).filter(|it| it["zone"] == zone["zone"]).collect();
            let known: u64 = its.iter().filter_map(|it| it["failing"].as_u64()).sum();
            let unknown = known == 0 && its.iter().any(|it| it["failing"].is_null());
            self.follows(&zone["failing"], if unknown { Value::Null } else { known.into() });
        }
    }

    fn load_balancer_row(&mut self, row: &Value) {
        let by = [("load_balancer", &row["id"])];
        self.exists("load_balancer_info", &[by[0], ("dns_name", &row["dns_name"]), ("scheme", &row["scheme"])]);
        self.exists("load_balancer_state", &[by[0], ("state", &row["state"])]);
        self.is(&row["created_at"], "load_balancer_created_timestamp_seconds", &by);
    }

    fn load_balancer(&mut self, view: &Value) {
        self.load_balancer_row(view);
        self.exists(
            "load_balancer_info",
            &[
                ("load_balancer", &view["id"]),
                ("vpc_id", &view["vpc_id"]),
                ("controller", &view["controller"]),
                ("owner_kind", &view["owner_kind"]),
                ("owner_name", &view["owner_name"]),
                ("namespace", &view["owner_namespace"]),
            ],
        );
        self.quota_uses(&view["quotas"], "load_balancer_quota_usage", ("load_balancer", &view["id"]));
    }

    fn quota_uses(&mut self, uses: &Value, family: &str, of: (&str, &Value)) {
        for used in list(uses) {
            self.is(&used["used"], family, &[of, ("quota", &used["quota"])]);
            self.is(&used["limit"], "quota_limit", &[("quota", &used["quota"])]);
        }
    }

    fn target_group(&mut self, view: &Value) {
        let by = [("target_group", &view["id"])];
        let same = ["load_balancer", "namespace", "service", "service_port", "target_type", "protocol"];
        self.exists("target_group_info", &[&by[..], &same.map(|key| (key, &view[key]))[..]].concat());
        for (key, family) in [
            ("cross_zone", "target_group_cross_zone_enabled"),
            ("expected", "target_group_expected_targets"),
            ("expected_healthy", "target_group_expected_healthy_targets"),
            ("missing", "target_group_missing_targets"),
            ("unexpected", "target_group_unexpected_targets"),
            ("sampled_at", "target_group_sampled_timestamp_seconds"),
            ("changed_at", "target_group_changed_timestamp_seconds"),
        ] {
            self.is(&view[key], family, &by);
        }
        for weight in list(&view["weights"]) {
            let labels = [("load_balancer", &weight["load_balancer"]), ("listener_port", &weight["port"]), by[0]];
            self.is(&weight["weight"], "target_group_weight", &labels);
        }
        for state in list(&view["targets"]) {
            self.is(&state["count"], "target_group_targets", &[by[0], ("state", &state["state"])]);
        }
        for reason in list(&view["unhealthy_reasons"]) {
            self.is(&reason["count"], "target_group_unhealthy_targets", &[by[0], ("reason", &reason["reason"])]);
        }
        for zone in list(&view["zones"]) {
            let place = ("availability_zone", &zone["zone"]);
            for state in ["healthy", "other"] {
                self.is(&zone[state], "target_group_zone_targets", &[by[0], place, ("state", &state.into())]);
            }
            if !zone["failing"].is_null() {
                self.is_or_zero(&zone["failing"], "target_group_failing_targets", &[by[0], place]);
            }
        }
        for condition in ["ready", "not_ready", "terminating"] {
            self.is(&view["endpoints"][condition], "target_group_endpoints", &[by[0], ("condition", &condition.into())]);
        }
        self.quota_uses(&view["quotas"], "target_group_quota_usage", by[0]);
        for target in list(&view["shown_targets"]) {
            let labels = [
                ("target", "target"),
                ("target_port", "port"),
                ("availability_zone", "zone"),
                ("pod", "pod"),
                ("node", "node"),
                ("state", "state"),
                ("reason", "reason"),
            ];
            self.exists("target_health", &[&by[..], &labels.map(|(label, key)| (label, &target[key]))[..]].concat());
        }
    }

    pub(super) fn subnets(&mut self, view: &Value) {
        self.list(view, "subnets");
        self.follows(&view["needed_addresses"], 8);
        for scheme in list(&view["schemes"]) {
            self.is(&scheme["usable_zones"], "scheme_usable_zones", &[("scheme", &scheme["scheme"])]);
        }
        list(&view["subnets"]).for_each(|row| self.subnet_row(row));
    }

    fn subnet_row(&mut self, row: &Value) {
        let by = [("subnet_id", &row["id"])];
        let labels = [
            ("subnet_name", "name"),
            ("vpc_id", "vpc_id"),
            ("availability_zone", "zone"),
            ("zone_id", "zone_id"),
            ("cidr", "cidr"),
        ];
        self.exists("subnet_info", &[&by[..], &labels.map(|(label, key)| (label, &row[key]))[..]].concat());
        self.is(&row["available_addresses"], "subnet_available_ip_addresses", &by);
        self.is(&row["addresses"], "subnet_ip_addresses", &by);
        if !row["route"].is_null() {
            self.exists("subnet_route", &[by[0], ("route", &row["route"])]);
        }
        for found in list(&row["discovery"]) {
            self.exists("subnet_discovery", &[by[0], ("scheme", &found["scheme"]), ("verdict", &found["verdict"])]);
            if found["reason"].as_str().is_none_or(str::is_empty) {
                self.wrong.push(format!("{found} has no reason"));
            }
        }
        self.free(&row["load_balancer_count"]);
        self.details_of_findings(&row["findings"]);
    }

    pub(super) fn subnet(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.follows(&view["needed_addresses"], 8);
        self.subnet_row(&view["subnet"]);
        self.follows(&view["subnet"]["load_balancer_count"], list(&view["load_balancers"]).count());
    }

    pub(super) fn security_groups(&mut self, view: &Value) {
        self.list(view, "security_groups");
        self.rules_limit(view);
        list(&view["security_groups"]).for_each(|row| self.security_group_row(row, &view["limit"]));
    }

    fn rules_limit(&mut self, view: &Value) {
        let quota = [("quota", &"rules_per_security_group".into())];
        self.is(&view["limit"], "quota_limit", &quota);
        self.is(&view["limit_assumed"], "quota_limit_assumed", &quota);
    }

    fn security_group_row(&mut self, row: &Value, limit: &Value) {
        let by = ("security_group_id", &row["id"]);
        for rules in list(&row["rules"]) {
            let labels = [by, ("direction", &rules["direction"]), ("ip_family", &rules["ip_family"])];
            self.is(&rules["used"], "security_group_rules", &labels);
            self.is(&rules["needed"], "security_group_rules_needed_per_load_balancer", &labels);
            let left = limit.as_f64().zip(rules["used"].as_f64()).map(|(limit, used)| limit - used);
            self.follows(&rules["left"], left);
        }
        if list(&row["rules"]).next().is_some() {
            self.exists("security_group_info", &[by, ("group_name", &row["name"]), ("vpc_id", &row["vpc_id"])]);
        }
        for role in list(&row["roles"]) {
            let labels = [by, ("role", &role["role"]), ("namespace", &role["namespace"]), ("service", &role["service"])];
            self.exists("security_group_role", &labels);
        }
        self.details_of_findings(&row["findings"]);
    }

    pub(super) fn security_group(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.rules_limit(view);
        self.security_group_row(&view["security_group"], &view["limit"]);
    }

    pub(super) fn quotas(&mut self, view: &Value) {
        self.list(view, "quotas");
        for quota in list(&view["quotas"]) {
            let by = [("quota", &quota["name"])];
            for (key, family) in [
                ("limit", "quota_limit"),
                ("limit_assumed", "quota_limit_assumed"),
                ("used", "quota_usage"),
                ("needed", "quota_needed_per_load_balancer"),
                ("requested", "quota_requested"),
            ] {
                self.is(&quota[key], family, &by);
            }
            self.free(&quota["adjustable"]);
            self.free(&quota["increase"]["desired"]);
            for request in list(&quota["requests"]) {
                self.free(&request["desired"]);
                self.free(&request["requested_at"]);
            }
            for fullest in list(&quota["fullest"]) {
                let id = &fullest["id"];
                match fullest["kind"].as_str().unwrap_or_default() {
                    "load_balancer" => self.is(&fullest["used"], "load_balancer_quota_usage", &[("load_balancer", id), by[0]]),
                    "target_group" => self.is(&fullest["used"], "target_group_quota_usage", &[("target_group", id), by[0]]),
                    _ => {
                        let place = [("direction", &fullest["direction"]), ("ip_family", &fullest["ip_family"])];
                        self.is(&fullest["used"], "security_group_rules", &[("security_group_id", id), place[0], place[1]]);
                    }
                }
            }
            self.details_of_findings(&quota["findings"]);
        }
        for addresses in list(&view["elastic_ips"]) {
            self.free(&addresses["associated"]);
            let labels = [("managed_by", &addresses["managed_by"]), ("associated", &addresses["associated"])];
            self.is(&addresses["count"], "elastic_ips", &labels);
        }
    }

    pub(super) fn headroom(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.free(&view["complete"]);
        for scheme in list(&view["schemes"]) {
            let walls = list(&scheme["walls"]).chain([&scheme["first_wall"]]);
            for wall in walls {
                let labels = [("scheme", &scheme["scheme"]), ("constraint", &wall["constraint"])];
                self.is(&wall["load_balancers"], "headroom_load_balancers", &labels);
            }
            let least = list(&scheme["walls"]).filter_map(|wall| wall["load_balancers"].as_u64()).min();
            self.follows(&scheme["first_wall"]["load_balancers"], least);
            self.follows(&(scheme["first_wall"] == scheme["walls"][0]).into(), true);
        }
    }

    pub(super) fn orphans(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        self.free(&view["complete"]);
        for count in list(&view["counts"]) {
            self.is(&count["count"], "orphaned_resources", &[("kind", &count["kind"])]);
        }
        for duplicate in list(&view["duplicates"]) {
            let by = [("namespace", &duplicate["namespace"]), ("service", &duplicate["service"])];
            self.is(&duplicate["count"], "service_load_balancers", &by);
            self.follows(&duplicate["count"], list(&duplicate["load_balancers"]).count());
            list(&duplicate["load_balancers"]).for_each(|load_balancer| self.load_balancer_row(load_balancer));
        }
        self.details_of_findings(&view["findings"]);
    }

    pub(super) fn sources(&mut self, view: &Value) {
        self.is(&view["evaluated_at"], "picture_timestamp_seconds", &[]);
        for source in list(&view["sources"]) {
            let by = [("source", &source["name"])];
            self.is(&source["last_attempt"], "source_last_attempt_timestamp_seconds", &by);
            self.is(&source["last_success"], "source_last_success_timestamp_seconds", &by);
            self.is_or_zero(&source["interval_seconds"], "source_refresh_interval_seconds", &by);
            self.free(&source["age_seconds"]);
            if source["state"] == "up" || source["state"] == "down" {
                self.is(&(source["state"] == "up").into(), "source_up", &by);
                self.is(&source["missing"], "source_missing_resources", &by);
            } else {
                self.is_or_zero(&source["missing"], "source_missing_resources", &by);
            }
        }
        for service in list(&view["api_services"]) {
            let sum = |key: &str| list(&service["operations"]).filter_map(|operation| operation[key].as_f64()).sum::<f64>();
            for key in ["calls", "waited_seconds"] {
                self.follows(&service[key], sum(key));
            }
            self.follows(&service["allowed_per_second"], 2.5);
            let failed = list(&service["failures"]).filter_map(|failure| failure["count"].as_f64()).sum::<f64>();
            self.follows(&sum("failed").into(), failed);
            list(&service["failures"]).for_each(|failure| self.free(&failure["count"]));
            for operation in list(&service["operations"]) {
                let by = [("api_service", &service["name"]), ("operation", &operation["name"])];
                self.is(&operation["calls"], "aws_api_requests_total", &by);
                self.is(&operation["waited_seconds"], "aws_api_budget_wait_seconds_total", &by);
                let own = self.scrape.family("aws_api_request_failures_total").into_iter();
                let own = own.filter(|(labels, _)| labels["operation"] == text(&operation["name"])).map(|(_, count)| count);
                self.follows(&operation["failed"], own.sum::<f64>());
            }
        }
    }
}

/// A series in the spelling of `Scrape::names`.
fn series_name(family: &str, labels: &[String]) -> String {
    let mut labels = labels.to_vec();
    labels.sort();
    if labels.is_empty() { format!("eks_nlb_{family}") } else { format!("eks_nlb_{family}{{{}}}", labels.join(",")) }
}
