//! A lenient view of JSON. Numbers keep their own text, so that no amount passes through a float
//! (protocol A9). Codes, amounts and phones may be numbers or strings.
//!
//! Nothing here recurses, so the depth of a body does not matter. What needs no copy is borrowed
//! from the body.

mod members;
mod mend;
mod path;

use std::borrow::Cow;

use serde::de::Deserializer as _;
use serde_json::value::RawValue;

use crate::Unreadable;
use crate::identifier::identifier;
use members::Pick;
pub(crate) use members::{Member, Members, string};
pub(crate) use path::Path;

/// One value and its path in the body.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    raw: &'a RawValue,
    path: Path,
}

/// The members of an object and its path in the body.
pub(crate) struct Object<'a> {
    members: Members<'a>,
    path: Path,
}

/// Reads a body. Bytes that JSON does not allow within a string cost only the text they stand in.
pub(crate) fn read<T>(
    body: &[u8],
    parse: impl FnOnce(Node<'_>) -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    if let Some(root) = std::str::from_utf8(body).ok().and_then(Node::root) {
        return parse(root);
    }

    let mended = mend::mend(body);
    let root = Node::root(&mended).ok_or_else(|| Unreadable::new("body", "is not JSON"))?;
    parse(root)
}

impl<'a> Node<'a> {
    pub(crate) fn root(text: &'a str) -> Option<Self> {
        let raw = serde_json::from_str(text).ok()?;
        Some(Self {
            raw,
            path: Path::ROOT,
        })
    }

    pub(crate) fn unreadable(&self, problem: &str) -> Unreadable {
        Unreadable::new(self.path, problem)
    }

    pub(crate) fn object(&self) -> Result<Object<'a>, Unreadable> {
        let members = serde_json::from_str(self.raw.get())
            .map_err(|_| self.unreadable("is not an object"))?;
        Ok(Object {
            members,
            path: self.path,
        })
    }

    /// The members of an object that have these names. The others are not kept, so a long list of
    /// objects costs little.
    pub(crate) fn members<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Member<'a>; N], Unreadable> {
        serde_json::Deserializer::from_str(self.raw.get())
            .deserialize_map(Pick(names))
            .map_err(|_| self.unreadable("is not an object"))
    }

    /// The elements of an array. A single object counts as an array of one, because Daraja writes
    /// some lists so.
    pub(crate) fn elements(&self) -> Result<impl ExactSizeIterator<Item = Self>, Unreadable> {
        let elements: Vec<&RawValue> = if self.raw.get().starts_with('{') {
            vec![self.raw]
        } else {
            serde_json::from_str(self.raw.get()).map_err(|_| self.unreadable("is not a list"))?
        };
        let path = self.path;
        Ok(elements.into_iter().map(move |raw| Self { raw, path }))
    }

    /// A string, or a number as it is written. Surrounding blanks are removed.
    pub(crate) fn text(&self) -> Result<Cow<'a, str>, Unreadable> {
        let raw = self.raw.get();
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text = string(self.raw).ok_or_else(|| self.unreadable("is not valid text"))?;
                Ok(match text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                    Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
                })
            }
            Some(b'-' | b'0'..=b'9') => Ok(Cow::Borrowed(raw)),
            _ => Err(self.unreadable("is neither text nor a number")),
        }
    }
}

impl<'a> Object<'a> {
    /// `None` when missing or null. A field that is repeated with another value is unreadable,
    /// because it could mean either.
    pub(crate) fn get(&self, name: &'static str) -> Result<Option<Node<'a>>, Unreadable> {
        let mut member = Member::Missing;
        for (_, raw) in self.members.0.iter().filter(|(key, _)| key == name) {
            member.add(raw);
        }
        member.node(self.path_of(name))
    }

    pub(crate) fn required(&self, name: &'static str) -> Result<Node<'a>, Unreadable> {
        self.get(name)?.ok_or_else(|| self.missing(name))
    }

    /// `None` when missing, null or blank.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let Some(node) = self.get(name)? else {
            return Ok(None);
        };
        Ok(Some(node.text()?).filter(|text| !text.is_empty()))
    }

    /// Text of a field that must never block a payment. `None` for anything odd.
    pub(crate) fn lenient_text(&self, name: &'static str) -> Option<Cow<'a, str>> {
        self.text(name).ok().flatten()
    }

    /// `None` when missing, null or blank. Text outside the bounds of protocol A8 is unreadable.
    pub(crate) fn identifier(&self, name: &'static str) -> Result<Option<String>, Unreadable> {
        self.text(name)?
            .map(|text| identifier(self.path_of(name), text.into_owned()))
            .transpose()
    }

    pub(crate) fn required_identifier(&self, name: &'static str) -> Result<String, Unreadable> {
        self.identifier(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &'static str) -> Unreadable {
        Unreadable::new(self.path_of(name), "is missing, null or blank")
    }

    pub(crate) fn into_members(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.members.0
    }

    pub(crate) fn path_of(&self, name: &'static str) -> Path {
        self.path.member(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object<'_> {
        Node::root(json).unwrap().object().unwrap()
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
            assert_eq!(object(&json).text("n"), Ok(Some(text.into())));
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
            Ok(Some("1".into()))
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
        let node = Node::root(r#"{"Body":{"stk":{"code":[]}}}"#).unwrap();
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
            Node::root("[1]")
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
        assert_eq!(object(&json).text("b"), Ok(Some("1".into())));
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
            b"{}\0",
            b"{\xff}",
        ] {
            let why = read(body, |_| Ok(())).unwrap_err();
            assert_eq!(why.to_string(), "body: is not JSON", "{body:?}");
        }
    }
}
