//! The JSON Schema of the file, from the same definitions that read it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::options::Options;
use crate::shape::{KeyInfo, Shape, TableInfo, paragraph};
use crate::value::Table as _;

/// Strings may hold a `${…}`, and then have any form until it is resolved.
const REFERENCE_PATTERN: &str = r"\$\{";

/// The file's JSON Schema, draft 2020-12. Editors complete and check by it.
#[must_use]
pub fn schema() -> Json {
    let mut definitions = BTreeMap::new();
    define(Options::INFO, &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Towpath configuration",
        "$ref": reference(Options::INFO),
        "$defs": definitions,
    })
}

fn reference(table: &TableInfo) -> String {
    format!("#/$defs/{}", table.name)
}

/// Adds a table and all tables within it.
fn define(table: &'static TableInfo, definitions: &mut BTreeMap<&'static str, Json>) {
    if definitions.contains_key(table.name) {
        return;
    }
    definitions.insert(table.name, Json::Null);
    let properties: serde_json::Map<_, _> =
        table.keys.iter().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    definitions.insert(
        table.name,
        json!({
            "type": "object",
            "description": paragraph(table.doc),
            "properties": properties,
            "additionalProperties": false,
        }),
    );
}

fn property(key: &KeyInfo, definitions: &mut BTreeMap<&'static str, Json>) -> Json {
    let mut schema = of_shape(&(key.shape)(), definitions);
    if let Json::Object(object) = &mut schema {
        object.insert("description".to_owned(), Json::from(paragraph(key.doc)));
    }
    schema
}

fn of_shape(shape: &Shape, definitions: &mut BTreeMap<&'static str, Json>) -> Json {
    match shape {
        Shape::Boolean => or_reference(json!({ "type": "boolean" })),
        Shape::Integer { min, max } => {
            or_reference(json!({ "type": "integer", "minimum": min, "maximum": max }))
        }
        Shape::Text { pattern: "", .. } => json!({ "type": "string" }),
        Shape::Text { pattern, example, .. } => {
            or_reference(json!({ "type": "string", "pattern": pattern, "examples": [example] }))
        }
        Shape::Words(words) => {
            let words: Vec<_> = words
                .iter()
                .map(|word| json!({ "const": word.word, "description": paragraph(word.doc) }))
                .collect();
            or_reference(json!({ "oneOf": words }))
        }
        Shape::Word(word) => json!({ "const": word }),
        Shape::List(of) => json!({ "type": "array", "items": of_shape(of, definitions) }),
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": of_shape(of, definitions) }),
        Shape::Table(table) => {
            define(table, definitions);
            json!({ "$ref": reference(table) })
        }
        Shape::Either(forms) => {
            let forms: Vec<_> = forms.iter().map(|form| of_shape(form, definitions)).collect();
            json!({ "anyOf": forms })
        }
    }
}

fn or_reference(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "string", "pattern": REFERENCE_PATTERN }] })
}
