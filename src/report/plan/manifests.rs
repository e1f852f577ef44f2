//! Which Services stand in these manifests, and on which lines? YAML of several documents, Lists, and whatever else Helm prints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::checks::lint::problem::Field;
use crate::excerpt::excerpt;
use crate::inventory::kube::Service;
use crate::report::text::plain;
use crate::sources::kube::manifest;

/// A Service as somebody wrote it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file; `-` is standard input.
    pub file: String,
    /// The line that names the Service; 1 is the first.
    pub line: usize,
    /// What it says.
    pub service: Service,
    /// The lines of its annotations, by their full key.
    annotations: BTreeMap<String, usize>,
    /// The lines of its document, with their numbers, for fields of the spec.
    spec: BTreeMap<String, usize>,
}

impl Manifest {
    /// The line of a field: its own where it is written, else that of the Service's name.
    pub fn line_of(&self, field: &Field) -> usize {
        let found = match field {
            Field::Annotation(key) => self.annotations.get(key),
            Field::Spec(path) => self.spec.get(path.rsplit('.').next().unwrap_or(path)),
        };
        found.copied().unwrap_or(self.line)
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not YAML.
    #[error("{file}:{line}: this is no YAML: {why}")]
    Yaml {
        /// The file.
        file: String,
        /// Where the document begins.
        line: usize,
        /// Why.
        why: String,
    },
    /// A Service in it is none.
    #[error("{file}:{line}: this Service cannot be read: {why}")]
    Service {
        /// The file.
        file: String,
        /// Where it stands.
        line: usize,
        /// Why.
        why: String,
    },
}

impl ManifestError {
    /// The closed category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Yaml { .. } => "yaml",
            Self::Service { .. } => "service",
        }
    }
}

/// Reads the Services of one file; `namespace` is of those that name none.
pub fn read(file: &str, text: &str, namespace: &str, now: Timestamp) -> Result<Vec<Manifest>, ManifestError> {
    let mut found = Vec::new();
    for (first, document) in documents(text) {
        let tree: Option<Value> = serde_saphyr::from_str_with_options(&document, options()).map_err(|error| {
            let why = format!("{}{}", in_words(&error, first), unrendered(&document));
            ManifestError::Yaml { file: file.to_owned(), line: first, why: plain(&why) }
        })?;
        let mut objects = Vec::new();
        flatten(tree.unwrap_or_default(), &mut objects);
        let lines = Lines::of(first, &document);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for object in objects {
            let metadata = &object["metadata"];
            let line = match metadata["name"].as_str() {
                Some(name) => lines.of_name(name, count(&mut seen, &format!("name: {name}"))),
                None => None,
            };
            let line = line.unwrap_or(first);
            let mut annotations = BTreeMap::new();
            for key in metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
                // Of several objects with one annotation the n-th has the n-th line.
                if let Some(line) = lines.of_key(key, count(&mut seen, key)) {
                    annotations.insert(key.clone(), line);
                }
            }
            let keys = object["spec"].as_object().into_iter().flatten();
            let spec = keys.filter_map(|(key, _)| Some((key.clone(), lines.of_key_after(key, line)?))).collect();
            if object["kind"] == "Service" && matches!(object["apiVersion"].as_str(), Some("v1") | None) {
                let refuse = |line, why: &str| ManifestError::Service { file: file.to_owned(), line, why: plain(&excerpt(why)) };
                let object = readable(object)
                    .map_err(|(key, why)| refuse(key.and_then(|key| lines.nearest_of_key(&key, line)).unwrap_or(line), &why))?;
                let service = manifest(object, namespace, now).map_err(|why| refuse(line, &why))?;
                found.push(Manifest { file: file.to_owned(), line, service, annotations, spec });
            }
        }
    }
    Ok(found)
}

/// The limits are those of a file that somebody made for himself: a whole cluster's Services are a million nodes.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 100_000_000, max_nodes: 50_000_000, max_total_scalar_bytes: 1 << 30 },
        with_snippet: false,
    }
}

/// The parser's words, without its advice to programmers, and with the line of the file.
fn in_words(error: &serde_saphyr::Error, first: usize) -> String {
    let text = excerpt(error.to_string().lines().next().unwrap_or_default());
    let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(&text);
    let Some(location) = error.location() else { return text.to_owned() };
    let (line, column) = (location.line(), location.column());
    let text = text.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(text);
    format!("line {} column {column}: {text}", first + usize::try_from(line).unwrap_or(1).saturating_sub(1))
}

/// What to do about a template that nobody rendered.
fn unrendered(text: &str) -> &'static str {
    if text.contains("{{") {
        "; it looks like a template: render it first, as in helm template CHART | eks-nlb-exporter plan -f -"
    } else {
        ""
    }
}

/// The key that is wrong, where it is one, and what is wrong.
type Unreadable = (Option<String>, String);

/// What the API server takes of it and the types do not, and what can be said more clearly than they do.
fn readable(mut object: Value) -> Result<Value, Unreadable> {
    if object["apiVersion"].is_null() {
        return Err((None, "it has no apiVersion, which is v1 for a Service".to_owned()));
    }
    let metadata = &mut object["metadata"];
    match metadata["name"].as_str() {
        None if metadata["generateName"].is_string() => {
            return Err((
                None,
                "it has generateName, and what it is called is known only when it is made: give it a name to plan it".to_owned(),
            ));
        }
        None => return Err((None, "it has no name".to_owned())),
        Some(name) if name.contains("{{") => return Err((None, format!("its name is {name}{}", unrendered(name)))),
        Some(_) => {}
    }
    for field in ["annotations", "labels"] {
        for (key, value) in metadata[field].as_object_mut().into_iter().flatten() {
            match value {
                // The API server takes nothing for the empty text.
                Value::Null => *value = Value::String(String::new()),
                Value::String(_) => {}
                Value::Bool(_) | Value::Number(_) => {
                    let why = format!(
                        "{key} of metadata.{field} is {value} to YAML, and the API server takes only text there: write it in quotes"
                    );
                    return Err((Some(key.clone()), why));
                }
                Value::Array(_) | Value::Object(_) => {
                    return Err((Some(key.clone()), format!("{key} of metadata.{field} is no text")));
                }
            }
        }
    }
    Ok(object)
}

/// How often this was counted before.
fn count(seen: &mut BTreeMap<String, usize>, what: &str) -> usize {
    let times = seen.entry(what.to_owned()).or_default();
    *times += 1;
    *times - 1
}

/// The documents of a stream, each with the number of its first line.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut documents = vec![(1, String::new())];
    for (line, number) in text.lines().zip(1..) {
        let separates = line == "---" || line.starts_with("--- ") || line == "...";
        if separates {
            // What follows the dashes on their own line belongs to the next document.
            let rest = line.strip_prefix("--- ").map(|rest| format!("    {rest}\n")).unwrap_or_else(|| "\n".to_owned());
            documents.push((number, rest));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let has_content = |document: &str| {
        // A line that begins with a percent sign is a directive of the document after it.
        let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#') && !line.starts_with('%');
        document.lines().any(is_content)
    };
    documents.retain(|(_, document)| has_content(document));
    documents
}

/// The objects of a tree: a List's items, and a document that is a sequence.
fn flatten(tree: Value, objects: &mut Vec<Value>) {
    match tree {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, objects)),
        Value::Object(mut fields) => {
            let is_list = fields.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
            match fields.get_mut("items").filter(|_| is_list).map(Value::take) {
                Some(items) => flatten(items, objects),
                None => objects.push(Value::Object(fields)),
            }
        }
        _ => {}
    }
}

/// The lines of one document by the key that each begins with. Sorted once: a file may hold a whole cluster's Services.
struct Lines<'a> {
    keys: BTreeMap<&'a str, Vec<usize>>,
    /// Those of `name` within `metadata`, by their value.
    names: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Lines<'a> {
    fn of(first: usize, document: &'a str) -> Self {
        let mut lines = Self { keys: BTreeMap::new(), names: BTreeMap::new() };
        // The keys that the line stands under, each with how far it is indented.
        let mut above: Vec<(usize, &str)> = Vec::new();
        let split = |(number, line)| Some((number, indentation(line), split(line)?));
        for (number, depth, (key, value)) in (first..).zip(document.lines()).filter_map(split) {
            lines.keys.entry(key).or_default().push(number);
            while above.last().is_some_and(|(other, _)| *other >= depth) {
                above.pop();
            }
            let parent = above.last().map(|(_, key)| *key);
            above.push((depth, key));
            if key == "name" && parent == Some("metadata") {
                lines.names.entry(value.trim_matches(['"', '\''])).or_default().push(number);
            }
        }
        lines
    }

    /// The line of the n-th time that this is a key.
    fn of_key(&self, key: &str, nth: usize) -> Option<usize> {
        self.keys.get(key)?.get(nth).copied()
    }

    /// The same, from a line on.
    fn of_key_after(&self, key: &str, line: usize) -> Option<usize> {
        let numbers = self.keys.get(key)?;
        numbers.get(numbers.partition_point(|number| *number < line)).copied()
    }

    /// The line with this key that is nearest to another one.
    fn nearest_of_key(&self, key: &str, line: usize) -> Option<usize> {
        let numbers = self.keys.get(key)?;
        numbers.iter().min_by_key(|number| number.abs_diff(line)).copied()
    }

    /// The line of the n-th time that something has this name.
    fn of_name(&self, name: &str, nth: usize) -> Option<usize> {
        self.names.get(name)?.get(nth).copied()
    }
}

/// How far a line is indented, dashes of a list included.
fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}

/// The key that a line begins with, and what the line gives it.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    let (key, rest) = match line.chars().next()? {
        quote @ ('"' | '\'') => line[1..].split_once(quote)?,
        _ => line.split_at(line.find(':')?),
    };
    let value = rest.trim_start().strip_prefix(':')?;
    let value = value.split(" #").next().unwrap_or_default();
    Some((key.trim_end(), value.trim().trim_end_matches(',')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
# Source: chart/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-type: external
    \"service.beta.kubernetes.io/aws-load-balancer-scheme\": intern
spec:
  type: LoadBalancer
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: a
    namespace: shop
    annotations:
      service.beta.kubernetes.io/aws-load-balancer-type: external
  spec:
    ports:
    - port: 80
- apiVersion: v1
  kind: Service
  metadata:
    name: b
    annotations:
      service.beta.kubernetes.io/aws-load-balancer-type: nlb
  spec: {ports: [{port: 81}]}
";

    fn all(text: &str) -> Vec<Manifest> {
        read("x.yaml", text, "default", Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn services_are_found_among_others_and_in_lists_with_their_lines() {
        let found = all(TWO);
        let names: Vec<_> = found.iter().map(|it| (it.service.name.to_string(), it.line)).collect();
        assert_eq!(names, [("default/web".to_owned(), 5), ("shop/a".to_owned(), 23), ("default/b".to_owned(), 33)]);
        let line = |index: usize, name: &str| found[index].line_of(&Field::annotation(name));
        assert_eq!((line(0, "aws-load-balancer-type"), line(0, "aws-load-balancer-scheme")), (7, 8));
        assert_eq!((line(1, "aws-load-balancer-type"), line(2, "aws-load-balancer-type")), (26, 35));
        assert_eq!(line(1, "aws-load-balancer-scheme"), 23, "what is missing is missing from the Service");
        assert_eq!((found[1].line_of(&Field::Spec("spec.ports")), found[0].line_of(&Field::Spec("spec.ports"))), (28, 11));
    }

    #[test]
    fn json_and_nothing_are_read_too() {
        let json = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}"#;
        assert_eq!(all(json).len(), 1);
        for nothing in ["", "---\n---\n", "# a comment\n", "kind: Ingress\n", "[]"] {
            assert!(all(nothing).is_empty(), "{nothing:?}");
        }
    }

    fn refused(text: &str) -> String {
        let error = read("x.yaml", text, "default", Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    #[test]
    fn a_value_that_yaml_takes_for_something_else_than_text_is_shown_at_its_line() {
        let with = |value: &str| {
            format!(
                "kind: Service\napiVersion: v1\nmetadata:\n  name: web\n  annotations:\n    a: b\n    c: {value}\nspec: {{ports: [{{port: 80}}]}}\n"
            )
        };
        for value in ["8080", "true", "on", "yes", "1.5"] {
            let error = refused(&with(value));
            assert!(
                error.starts_with("x.yaml:7: ") && error.contains("c of metadata.annotations") && error.contains("quotes"),
                "{error}"
            );
        }
        assert!(refused(&with("[a]")).starts_with("x.yaml:7: "));
        for (value, read) in [("\"on\"", "on"), ("", ""), ("~", ""), ("x", "x")] {
            assert_eq!(all(&with(value))[0].service.annotations["c"].as_ref(), read, "{value:?}");
        }
    }

    #[test]
    fn what_is_missing_or_not_rendered_is_said_with_what_to_do() {
        let service =
            |metadata: &str| format!("kind: Service\napiVersion: v1\nmetadata: {metadata}\nspec: {{ports: [{{port: 80}}]}}\n");
        assert!(refused(&service("{generateName: web-}")).contains("give it a name"));
        assert!(refused(&service("{}")).contains("it has no name"));
        assert!(refused(&service("{name: '{{ .Release.Name }}'}")).contains("helm template"));
        assert!(refused("kind: Service\nmetadata: {name: web}\n").contains("it has no apiVersion"));
        let template = "a: 1\n---\nmetadata:\n  annotations:\n    {{- toYaml .Values.a | nindent 4 }}\n";
        let error = refused(template);
        assert!(error.starts_with("x.yaml:2: this is no YAML: line 5 column ") && error.contains("helm template"), "{error}");
        assert!(error.matches("line").count() == 1 && !refused("a: [\n").contains("template"), "{error}");
        let twice = refused("x: 1\n---\na: 1\nb: 2\na: 3\n");
        assert!(twice.contains("line 5 column 1: duplicate mapping key: a") && !twice.contains("Policy"), "{twice}");
        for namespace in ["", "~", "''"] {
            assert_eq!(
                all(&service(&format!("{{name: web, namespace: {namespace}}}")))[0].service.name.to_string(),
                "default/web"
            );
        }
    }

    #[test]
    fn the_line_of_a_name_is_not_that_of_a_label_or_a_port() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    labels:\n      name: web\n    name: web\n    namespace: a\n  spec:\n    ports:\n    - name: web\n      port: 80\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: web\n    namespace: b\n  spec: {ports: [{port: 80}]}\n";
        assert_eq!(all(text).iter().map(|it| it.line).collect::<Vec<_>>(), [9, 18]);
        let json = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Service\",\n  \"metadata\": {\n    \"labels\": {\"name\": \"web\"},\n    \"name\": \"web\"\n  },\n  \"spec\": {\"ports\": [{\"port\": 80}]}\n}\n";
        assert_eq!(all(json)[0].line, 6);
    }

    #[test]
    fn a_cluster_of_thousands_and_directives_are_read() {
        let item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: web, namespace: a, labels: {a: b, c: d, e: f, g: h}}\n  spec: {ports: [{port: 80}]}\n";
        let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
        (0..12_000).for_each(|_| text.push_str(item));
        assert_eq!(all(&text).len(), 12_000);
        assert_eq!(
            all("%YAML 1.2\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n").len(),
            1
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        for (text, words) in [
            ("a: [\n", "x.yaml:1: this is no YAML"),
            ("a: 1\n---\nb: {\n", "x.yaml:2: this is no YAML"),
            ("kind: Service\napiVersion: v1\nmetadata:\n  name: web\n", "x.yaml:4: this Service cannot be read: it has no spec"),
            ("kind: Service\napiVersion: v1\nmetadata:\n  name: web\nspec: {ports: [{port: 70000}]}\n", "x.yaml:4"),
        ] {
            let error = read("x.yaml", text, "default", Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(error.to_string().starts_with(words), "{error}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
