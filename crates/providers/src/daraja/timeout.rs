//! Queue time-outs. Daraja echoes the request that it gave up on, credentials included.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::key_prefix;
use crate::Unreadable;
use crate::event::Event;
use crate::identifier::key;
use crate::json::{self, Members};

/// Names of the values that are never kept, in any letter case.
const CREDENTIALS: [&str; 2] = ["initiatorname", "securitycredential"];
/// Deepest nesting that is searched. No real request is as deep, and a deeper body is withheld
/// whole. Each level reads its values once more, so this also bounds the work on a hostile body.
const DEPTH_MAX: usize = 16;

/// Reads a queue time-out. It is not final: the outcome of the request has to be queried.
pub(crate) fn parse_timeout(body: &[u8]) -> Result<Event, Unreadable> {
    let body = redact(body);
    let id = json::read(&body, |root| {
        root.object()?.identifier("OriginatorConversationID")
    })?;
    let id = id.unwrap_or_else(|| hex::encode(Sha256::digest(&body)));
    Ok(Event::other(
        "queue_timeout",
        key(&[key_prefix::TIMEOUT, &id]),
        "a request timed out; its outcome has to be queried",
    ))
}

/// Blanks the values of credentials and changes no other byte. A body that cannot be searched and
/// may hold credentials is withheld whole. The text in its place is not JSON, so it stays
/// unreadable.
pub(crate) fn redact(body: &[u8]) -> Cow<'_, [u8]> {
    let Some(spans) = credential_spans(body) else {
        if !may_name_credentials(body) {
            return Cow::Borrowed(body);
        }
        return Cow::Owned(
            format!("[queue time-out echo of {} bytes, withheld]", body.len()).into_bytes(),
        );
    };
    if spans.is_empty() {
        return Cow::Borrowed(body);
    }

    let mut kept = Vec::with_capacity(body.len());
    let mut from = 0;
    for span in spans {
        kept.extend_from_slice(&body[from..span.start]);
        kept.extend_from_slice(br#""""#);
        from = span.end;
    }
    kept.extend_from_slice(&body[from..]);
    Cow::Owned(kept)
}

/// The byte ranges of the values to blank, in order. `None` when the body cannot be searched.
fn credential_spans(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let text = std::str::from_utf8(body).ok()?;
    let root: &RawValue = serde_json::from_str(text).ok()?;
    let mut search = Search {
        base: text.as_ptr().addr(),
        spans: Vec::new(),
    };
    search.value(root, 0)?;
    Some(search.spans)
}

/// A search for credentials. Its functions return `None` for what cannot be searched.
struct Search {
    /// Address of the body's first byte.
    base: usize,
    spans: Vec<Range<usize>>,
}

impl Search {
    fn value(&mut self, raw: &RawValue, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match raw.get().as_bytes().first() {
            Some(b'{') => self.object(raw, depth),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
                elements
                    .into_iter()
                    .try_for_each(|element| self.value(element, depth + 1))
            }
            Some(b'"') => {
                if assigns_credentials(&serde_json::from_str::<String>(raw.get()).ok()?) {
                    self.blank(raw);
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    fn object(&mut self, raw: &RawValue, depth: usize) -> Option<()> {
        let Members(members) = serde_json::from_str(raw.get()).ok()?;
        // Daraja also writes pairs, such as {"Key": "InitiatorName", "Value": …}.
        let is_pair = members.iter().any(|(_, value)| {
            serde_json::from_str::<String>(value.get()).is_ok_and(|text| is_credential(&text))
        });
        for (name, value) in members {
            if is_credential(&name) || (is_pair && name.eq_ignore_ascii_case("value")) {
                self.blank(value);
            } else {
                self.value(value, depth + 1)?;
            }
        }
        Some(())
    }

    fn blank(&mut self, raw: &RawValue) {
        let start = raw.get().as_ptr().addr() - self.base;
        if raw.get() != r#""""# {
            self.spans.push(start..start + raw.get().len());
        }
    }
}

fn is_credential(name: &str) -> bool {
    CREDENTIALS
        .iter()
        .any(|credential| name.trim().eq_ignore_ascii_case(credential))
}

/// Whether a string holds a request (JSON, a form or XML) that names a credential with its value.
fn assigns_credentials(text: &str) -> bool {
    text.contains([':', '=', '>']) && names_credential(text)
}

fn names_credential(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    CREDENTIALS
        .iter()
        .any(|credential| text.contains(credential))
}

/// Whether bytes that are not JSON may name a credential, be it in UTF-16 or in escapes.
fn may_name_credentials(body: &[u8]) -> bool {
    let text: String = body
        .iter()
        .filter(|byte| **byte != 0)
        .map(|byte| char::from(*byte))
        .collect();
    names_credential(&text) || text.contains("\\u")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(body: &str) -> String {
        String::from_utf8(redact(body.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn credentials_are_blanked_wherever_they_are_named() {
        for (body, expected) in [
            (r#"{"InitiatorName":"secret"}"#, r#"{"InitiatorName":""}"#),
            (
                r#" { "initiatorNAME" : "se\"cret" , "Amount":10.50 }"#,
                r#" { "initiatorNAME" : "" , "Amount":10.50 }"#,
            ),
            (
                r#"{"a":[{"b":{"SecurityCredential":"secret"}}]}"#,
                r#"{"a":[{"b":{"SecurityCredential":""}}]}"#,
            ),
            (
                r#"{"InitiatorName":"secret","InitiatorName":["secret"]}"#,
                r#"{"InitiatorName":"","InitiatorName":""}"#,
            ),
            (
                r#"{"\u0049nitiatorName":{"x":"secret"}}"#,
                r#"{"\u0049nitiatorName":""}"#,
            ),
            (
                r#"{"SECURITYCREDENTIAL":123}"#,
                r#"{"SECURITYCREDENTIAL":""}"#,
            ),
            (
                r#"[{"Key":"InitiatorName","Value":"secret"}]"#,
                r#"[{"Key":"InitiatorName","Value":""}]"#,
            ),
            (
                r#"{"Request":"{\"InitiatorName\":\"secret\"}"}"#,
                r#"{"Request":""}"#,
            ),
            (r#""InitiatorName=secret""#, r#""""#),
        ] {
            assert_eq!(redacted(body), expected);
        }
    }

    #[test]
    fn body_without_credentials_is_unchanged() {
        for body in [
            r#"{"Amount":10.50,"Remarks":"InitiatorName","A":1e3,"A":2}"#,
            r#"{"InitiatorName":""}"#,
            "not json",
            "",
            "[1,",
        ] {
            assert!(
                matches!(redact(body.as_bytes()), Cow::Borrowed(_)),
                "{body}"
            );
        }
    }

    #[test]
    fn body_that_cannot_be_searched_is_withheld() {
        let deep = format!(
            r#"{}{{"InitiatorName":"secret"}}{}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let utf16: String =
            r#"{"InitiatorName":"secret"}"#.chars().flat_map(|c| [c, '\0']).collect();
        for body in [
            r#"{"InitiatorName":"secret""#,
            "securitycredential=secret&x=1",
            r#"{"\u0049nitiatorName":"secret",}"#,
            r#"{"InitiatorName":"secret","x":"\ud800"}"#,
            &deep,
            &utf16,
        ] {
            let kept = redacted(body);
            assert!(
                kept.contains("withheld") && !kept.contains("secret"),
                "{body}"
            );
            assert!(parse_timeout(body.as_bytes()).is_err());
            assert_eq!(redacted(&kept), kept);
        }
    }

    #[test]
    fn redacted_body_is_the_key_where_there_is_no_id() {
        let event = |body: &str| parse_timeout(body.as_bytes()).unwrap().delivery_key;
        let first = event(r#"{"Amount":1,"SecurityCredential":"secret"}"#);
        assert_eq!(first, event(r#"{"Amount":1,"SecurityCredential":""}"#));
        assert_eq!(first.len(), "timeout:".len() + 64);
        assert_ne!(first, event(r#"{"Amount":2,"SecurityCredential":""}"#));
    }

    proptest! {
        #[test]
        fn redacting_any_bytes_twice_changes_nothing_more(
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let once = redact(&body).into_owned();
            prop_assert_eq!(redact(&once).into_owned(), once);
        }

        #[test]
        fn other_members_keep_every_byte(before in "[a-z0-9 ]{0,8}", after in "[a-z0-9 ]{0,8}") {
            let body = |value: &str| {
                format!(r#"{{"x":"{before}", "InitiatorName" : {value} ,"y":["{after}" , 1.50]}}"#)
            };
            prop_assert_eq!(redacted(&body(r#""hush""#)), body(r#""""#));
        }
    }
}
