//! What was sent and received, without credentials and personal data.

use std::sync::{Arc, Mutex, PoisonError};

use risiti_etims::{Exchange, Witness};
use serde_json::{Value, json};

/// Keys whose values are blanked at any depth. They hold credentials or name a person.
const BLANKED: [&str; 8] = [
    "cmcKey",
    "access_token",
    "refresh_token",
    "consumerSecret",
    "custMblNo",
    "mgrNm",
    "mgrTelNo",
    "mgrEmail",
];

/// The exchanges since the last [`Captures::take`]. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures {
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Captures {
    pub(crate) fn witness(&self) -> Witness {
        let seen = Arc::clone(&self.seen);
        Witness::new(move |exchange| {
            // The list is complete at any time, so it is usable even after a panic elsewhere.
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(capture(exchange));
        })
    }

    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn capture(exchange: &Exchange<'_>) -> Value {
    json!({
        "method": exchange.method,
        "path": exchange.path,
        "request": body(exchange.request),
        "status": exchange.status,
        "answer": body(exchange.answer),
    })
}

/// A body as it may be kept. Without JSON nothing can be blanked, so only the length is kept.
fn body(bytes: &[u8]) -> Value {
    match serde_json::from_slice(bytes) {
        Ok(value) => blanked(value),
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => json!(format!("{} bytes that are not JSON", bytes.len())),
    }
}

fn blanked(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let blank = |key: &str| {
                BLANKED
                    .iter()
                    .any(|blanked| blanked.eq_ignore_ascii_case(key))
            };
            let fields = fields.into_iter().map(|(key, value)| {
                let value = match value {
                    Value::Null => Value::Null,
                    _ if blank(&key) => json!("[blanked]"),
                    value => blanked(value),
                };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(blanked).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange<'a>(request: &'a [u8], answer: &'a [u8]) -> Exchange<'a> {
        Exchange {
            method: "POST",
            path: "/x",
            request,
            status: Some(200),
            answer,
        }
    }

    #[test]
    fn credentials_and_persons_are_blanked_at_any_depth() {
        let request =
            br#"{"cmckey":"k","receipt":{"custMblNo":"254712345678","custTin":null},"invcNo":1}"#;
        let answer =
            br#"{"data":{"info":[{"mgrTelNo":"0712345678","sdcId":"KRACU1"}]},"access_token":"t"}"#;
        let kept = capture(&exchange(request, answer));
        assert_eq!(
            kept["request"],
            json!({ "cmckey": "[blanked]", "receipt": { "custMblNo": "[blanked]", "custTin": null }, "invcNo": 1 })
        );
        assert_eq!(
            kept["answer"]["data"]["info"][0],
            json!({ "mgrTelNo": "[blanked]", "sdcId": "KRACU1" })
        );
        assert!(!kept.to_string().contains("\"t\""));
    }

    #[test]
    fn of_a_body_without_json_only_the_length_is_kept() {
        let kept = capture(&exchange(b"", b"<html>cmcKey=k</html>"));
        assert_eq!(
            (&kept["request"], &kept["answer"]),
            (&Value::Null, &json!("21 bytes that are not JSON"))
        );
    }

    #[test]
    fn taken_exchanges_are_gone() {
        let captures = Captures::default();
        captures.seen.lock().unwrap().push(json!(1));
        assert_eq!(captures.take().len(), 1);
        assert!(captures.take().is_empty());
    }
}
