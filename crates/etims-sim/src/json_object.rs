//! JSON objects as their text, so that amounts come back exactly as they were sent.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

pub(crate) type JsonObject = BTreeMap<String, Box<RawValue>>;

/// A JSON object with exactly these fields, in this order. Absent ones are null.
pub(crate) fn select(names: &[&str], fields: &JsonObject) -> String {
    let fields: Vec<String> = names
        .iter()
        .map(|name| {
            let value = fields.get(*name).map_or("null", |raw| raw.get());
            format!("\"{name}\":{value}")
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// Sets a field to a value that is JSON text.
pub(crate) fn set(object: &mut JsonObject, name: &str, json: String) {
    object.insert(name.to_owned(), raw(json));
}

/// `data` of an answer that is one list: `{"<name>":[…]}`.
pub(crate) fn list(name: &str, rows: &[String]) -> Box<RawValue> {
    raw(format!("{{\"{name}\":[{}]}}", rows.join(",")))
}

pub(crate) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("text put together from JSON")
}
