//! What does the JSON API answer? Its description as OpenAPI 3.1, made from the types that are answered with.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::expose::view::query::Parameter;
use crate::version;

/// One path as data.
#[derive(Debug)]
pub struct Operation {
    /// The path; what stands in braces is a name.
    pub path: &'static str,
    /// A name for programs that are made from the document.
    pub id: &'static str,
    /// What it answers, one sentence.
    pub summary: &'static str,
    /// What the names in its path are.
    pub names: &'static [(&'static str, &'static str)],
    /// What may come after the question mark.
    pub query: &'static [Parameter],
    /// Whether it needs a picture; what does not is answered before the first one.
    pub needs_picture: bool,
    /// The answer's schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Why there is no answer.
#[derive(Debug, Clone, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Problem {
    /// One sentence.
    pub error: String,
}

/// The schema of a type that is answered with.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The document.
pub fn document<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let paths: BTreeMap<&str, Value> =
        operations.into_iter().map(|operation| (operation.path, json!({"get": described(operation, &mut generator)}))).collect();
    let problem = schema_of::<Problem>(&mut generator);
    let response = |description| json!({"description": description, "content": {"application/json": {"schema": problem}}});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "eks-nlb-exporter",
            "version": version::VERSION,
            "summary": "The judged picture of the Network Load Balancers of an EKS cluster.",
            "description": "Every answer is of one picture, the one that /metrics shows, and every number in it is one of that page's. \
                            Moments are of UTC. What is not known is null, never 0. Within v1 fields are only added: the schemas are closed to say exactly \
                            what this version answers, and a client made from them has to let later ones say more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {
                "BadRequest": response("A parameter is not understood; the sentence names it and its value."),
                "NotFound": response("There is no such thing in the picture."),
                "MethodNotAllowed": response("Only GET and HEAD are answered."),
                "Failed": response("The answer could not be made: a defect of the exporter, told in its log."),
                "NoPicture": response("There is no picture yet."),
            },
        },
    })
}

fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let Operation { id, summary, names, query, needs_picture, schema, .. } = operation;
    let in_path = names.iter().map(|(name, description)| {
        json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
    });
    let in_query = query.iter().map(|parameter| {
        json!({"name": parameter.as_str(), "in": "query", "description": parameter.description(), "schema": parameter.schema()})
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let problem = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let mut responses = json!({
        "200": {"description": summary, "content": {"application/json": {"schema": schema(generator)}}},
        "400": problem("BadRequest"),
        "405": problem("MethodNotAllowed"),
        "500": problem("Failed"),
    });
    if !names.is_empty() {
        responses["404"] = problem("NotFound");
    }
    if *needs_picture {
        responses["503"] = problem("NoPicture");
    }
    json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expose::routes::operations;

    #[test]
    fn every_object_names_all_of_its_fields_and_says_what_they_are() {
        let document = document(operations());
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert!(schemas.len() > 30, "{:?}", schemas.keys());
        let mut wrong = Vec::new();
        for (name, schema) in schemas {
            if schema["description"].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{name} is not described"));
            }
            let Some(properties) = schema["properties"].as_object() else { continue };
            let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if schema["additionalProperties"] != json!(false) || required.len() != properties.len() {
                wrong.push(format!("{name} is open: {required:?}"));
            }
            for (field, of) in properties {
                if of["description"].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{name}.{field} is not described: {of}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn names_in_paths_are_described_and_ids_are_unique() {
        let mut ids: Vec<_> = operations().map(|operation| operation.id).collect();
        for operation in operations() {
            let braced = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            assert_eq!(braced.collect::<Vec<_>>(), operation.names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            assert!(operation.summary.ends_with('.'), "{}", operation.summary);
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
