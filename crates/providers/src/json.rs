//! A lenient view of JSON. Numbers keep their own text, so that no amount passes through a float
//! (protocol A9). Codes, amounts and phones may be numbers or strings.
//!
//! Nothing here recurses, so the depth of a body does not matter.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Unreadable;
use crate::identifier::identifier;

/// One value and its path in the body.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    raw: &'a RawValue,
    path: String,
}

/// The members of an object and its path in the body.
pub(crate) struct Object<'a> {
    members: Members<'a>,
    path: String,
}

/// Members in the order of the body, repeated keys included.
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Node<'a> {
    pub(crate) fn root(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text =
            std::str::from_utf8(body).map_err(|_| Unreadable::new("body", "is not UTF-8"))?;
        let raw = serde_json::from_str(text).map_err(|_| Unreadable::new("body", "is not JSON"))?;
        Ok(Self {
            raw,
            path: String::new(),
        })
    }

    pub(crate) fn unreadable(&self, problem: &str) -> Unreadable {
        let field = if self.path.is_empty() {
            "body"
        } else {
            &self.path
        };
        Unreadable::new(field, problem)
    }

    pub(crate) fn object(&self) -> Result<Object<'a>, Unreadable> {
        let members = serde_json::from_str(self.raw.get())
            .map_err(|_| self.unreadable("is not an object"))?;
        Ok(Object {
            members,
            path: self.path.clone(),
        })
    }

    /// The elements of an array. A single object counts as an array of one, because Daraja writes
    /// some lists so.
    pub(crate) fn elements(&self) -> Result<Vec<Self>, Unreadable> {
        if self.raw.get().starts_with('{') {
            return Ok(vec![self.clone()]);
        }
        let elements: Vec<&RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| self.unreadable("is not a list"))?;
        Ok(elements
            .into_iter()
            .map(|raw| Self {
                raw,
                path: self.path.clone(),
            })
            .collect())
    }

    /// A string, or a number as it is written. Surrounding blanks are removed.
    pub(crate) fn text(&self) -> Result<String, Unreadable> {
        let raw = self.raw.get();
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text: String =
                    serde_json::from_str(raw).map_err(|_| self.unreadable("is not valid text"))?;
                Ok(text.trim().to_owned())
            }
            Some(b'-' | b'0'..=b'9') => Ok(raw.to_owned()),
            _ => Err(self.unreadable("is neither text nor a number")),
        }
    }
}

impl<'a> Object<'a> {
    /// `None` when missing or null. A field that is repeated with another value is unreadable,
    /// because it could mean either.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Node<'a>>, Unreadable> {
        let mut found = self
            .members
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, raw)| *raw);
        let Some(raw) = found.next() else {
            return Ok(None);
        };
        let node = Node {
            raw,
            path: self.path_of(name),
        };
        if found.any(|other| other.get() != raw.get()) {
            return Err(node.unreadable("appears twice with different values"));
        }
        Ok((raw.get() != "null").then_some(node))
    }

    pub(crate) fn required(&self, name: &str) -> Result<Node<'a>, Unreadable> {
        self.get(name)?.ok_or_else(|| self.missing(name))
    }

    /// `None` when missing, null or blank.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Unreadable> {
        let Some(node) = self.get(name)? else {
            return Ok(None);
        };
        Ok(Some(node.text()?).filter(|text| !text.is_empty()))
    }

    /// Text of a field that must never block a payment. `None` for anything odd.
    pub(crate) fn lenient_text(&self, name: &str) -> Option<String> {
        self.text(name).ok().flatten()
    }

    /// `None` when missing, null or blank. Text outside the bounds of protocol A8 is unreadable.
    pub(crate) fn identifier(&self, name: &str) -> Result<Option<String>, Unreadable> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        identifier(&self.path_of(name), text).map(Some)
    }

    pub(crate) fn required_identifier(&self, name: &str) -> Result<String, Unreadable> {
        self.identifier(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &str) -> Unreadable {
        Unreadable::new(self.path_of(name), "is missing, null or blank")
    }

    pub(crate) fn into_members(self) -> Vec<(String, &'a RawValue)> {
        self.members.0
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object<'_> {
        Node::root(json.as_bytes()).unwrap().object().unwrap()
    }

    #[test]
    fn numbers_keep_their_own_text() {
        for text in [
            "1500.10",
            "0.1000000000000000055511151231257827",
            "20260928101529",
            "1e3",
            "-0",
        ] {
            let json = format!(r#"{{"n": {text} }}"#);
            assert_eq!(object(&json).text("n"), Ok(Some(text.to_owned())));
        }
    }

    #[test]
    fn missing_null_and_blank_all_read_as_none() {
        for json in [r#"{}"#, r#"{"a":null}"#, r#"{"a":""}"#, r#"{"a":"  "}"#] {
            assert_eq!(object(json).text("a"), Ok(None));
            assert_eq!(
                object(json).required_identifier("a").unwrap_err().problem,
                "is missing, null or blank"
            );
        }
    }

    #[test]
    fn repeated_key_with_another_value_is_unreadable() {
        assert_eq!(
            object(r#"{"a":"1","a":"1"}"#).text("a"),
            Ok(Some("1".to_owned()))
        );
        let why = object(r#"{"a":"1","a":"2"}"#).text("a").unwrap_err();
        assert_eq!(
            (why.field.as_str(), why.problem.as_str()),
            ("a", "appears twice with different values")
        );
        assert!(object(r#"{"a":null,"a":"2"}"#).text("a").is_err());
        assert_eq!(object(r#"{"a":"1","a":"2"}"#).lenient_text("a"), None);
    }

    #[test]
    fn errors_name_the_full_path() {
        let node = Node::root(br#"{"Body":{"stk":{"code":[]}}}"#).unwrap();
        let inner = node
            .object()
            .unwrap()
            .required("Body")
            .unwrap()
            .object()
            .unwrap();
        let why = inner
            .required("stk")
            .unwrap()
            .object()
            .unwrap()
            .text("code")
            .unwrap_err();
        assert_eq!(
            why.to_string(),
            "Body.stk.code: is neither text nor a number"
        );
        assert_eq!(
            Node::root(b"[1]")
                .unwrap()
                .object()
                .err()
                .unwrap()
                .to_string(),
            "body: is not an object"
        );
    }

    #[test]
    fn deep_nesting_is_no_problem() {
        let json = format!(
            r#"{{"a":{}{},"b":"1"}}"#,
            "[".repeat(120_000),
            "]".repeat(120_000)
        );
        assert_eq!(object(&json).text("b"), Ok(Some("1".to_owned())));
        assert!(object(&json).text("a").is_err());
    }

    #[test]
    fn invalid_json_is_unreadable() {
        for body in [
            &b""[..],
            b"{",
            b"\xff",
            b"{} {}",
            b"a=b",
            b"{\"a\":1,}",
            b"\xef\xbb\xbf{}",
        ] {
            assert!(Node::root(body).is_err(), "{body:?}");
        }
    }
}
