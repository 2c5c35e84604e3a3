//! Queue time-outs: Daraja echoes the request it gave up on, credentials included.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::Unreadable;
use crate::event::Event;
use crate::identifier::key;
use crate::json::{Members, Node};

pub(super) const KEY: &str = "timeout";

/// Names whose values are never kept, in any letter case.
const CREDENTIALS: [&str; 2] = ["initiatorname", "securitycredential"];
/// Deeper than any request; what lies below is not looked through but withheld. Each level reads its values
/// once more, so this bounds the work on a body made to be expensive, too.
const DEPTH_MAX: usize = 16;

/// Not final: what became of the request has to be asked.
pub(crate) fn timeout(body: &[u8]) -> Result<Event, Unreadable> {
    let body = redact(body);
    let fields = Node::root(&body)?.object()?;
    let id = match fields.identifier("OriginatorConversationID")? {
        Some(id) => id,
        None => hex::encode(Sha256::digest(&body)),
    };
    Ok(Event::other(
        "queue_timeout",
        key(&[KEY, &id]),
        "a request timed out; its fate has to be asked",
    ))
}

/// Blanks the credentials' values and changes no other byte. A body that cannot be looked through and may
/// hold them is withheld whole; what stands for it is no JSON, so it stays unreadable.
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

/// Where the values to blank stand, in order; `None` when the body cannot be looked through.
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

struct Search {
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
        // Daraja also writes pairs: {"Key": "InitiatorName", "Value": …}.
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

/// A request within a string: JSON, a form or XML that names a credential with its value.
fn assigns_credentials(text: &str) -> bool {
    text.contains([':', '=', '>']) && names_credential(text)
}

fn names_credential(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    CREDENTIALS
        .iter()
        .any(|credential| text.contains(credential))
}

/// Of bytes that are no JSON: whether a name may stand there, in UTF-16 or behind escapes too.
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
    use super::*;
    use proptest::prelude::*;

    fn redacted(body: &str) -> String {
        String::from_utf8(redact(body.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn values_are_blanked_wherever_the_name_stands() {
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
    fn all_else_stays_as_it_is() {
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
    fn what_cannot_be_looked_through_is_withheld() {
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
            assert!(timeout(body.as_bytes()).is_err());
            assert_eq!(redacted(&kept), kept);
        }
    }

    #[test]
    fn without_an_id_the_redacted_body_is_the_key() {
        let event = |body: &str| timeout(body.as_bytes()).unwrap().delivery_key;
        let first = event(r#"{"Amount":1,"SecurityCredential":"secret"}"#);
        assert_eq!(first, event(r#"{"Amount":1,"SecurityCredential":""}"#));
        assert_eq!(first.len(), "timeout:".len() + 64);
        assert_ne!(first, event(r#"{"Amount":2,"SecurityCredential":""}"#));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_and_redacting_twice_changes_nothing(
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let once = redact(&body).into_owned();
            prop_assert_eq!(redact(&once).into_owned(), once);
        }

        #[test]
        fn other_members_survive_byte_for_byte(before in "[a-z0-9 ]{0,8}", after in "[a-z0-9 ]{0,8}") {
            let body = |value: &str| {
                format!(r#"{{"x":"{before}", "InitiatorName" : {value} ,"y":["{after}" , 1.50]}}"#)
            };
            prop_assert_eq!(redacted(&body(r#""hush""#)), body(r#""""#));
        }
    }
}
