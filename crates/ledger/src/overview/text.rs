//! Stored values as text.

use serde_json::Value;

/// A value as a person reads it: nothing for null, and text without quotes.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
