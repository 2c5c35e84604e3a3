//! The members of an object, as serde reads them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Node, Path};
use crate::Unreadable;

/// Objects with no more members than this are read with one allocation. Most have fewer.
const USUAL_MEMBERS: usize = 8;

/// Members in the order of the body, repeated keys included.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// What an object has under one name.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    Missing,
    Value(&'a RawValue),
    /// It appears twice with different values, and could mean either.
    Contradicting,
}

/// Collects the members of some names.
pub(super) struct Pick<const N: usize>(pub(super) [&'static str; N]);

/// Text that is borrowed from the body unless it has escapes. serde's own `Cow` always copies.
struct Text<'a>(Cow<'a, str>);

/// The text of a JSON string. `None` for other values, and for escapes that stand for no character.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text)
}

impl<'a> Member<'a> {
    pub(super) fn add(&mut self, raw: &'a RawValue) {
        *self = match *self {
            Self::Missing => Self::Value(raw),
            Self::Value(known) if known.get() == raw.get() => Self::Value(known),
            Self::Value(_) | Self::Contradicting => Self::Contradicting,
        };
    }

    /// `None` when missing or null.
    pub(crate) fn node(self, path: Path) -> Result<Option<Node<'a>>, Unreadable> {
        match self {
            Self::Missing => Ok(None),
            Self::Value(raw) => Ok((raw.get() != "null").then_some(Node { raw, path })),
            Self::Contradicting => {
                let problem = "appears twice with different values";
                Err(Unreadable::new(path, problem))
            }
        }
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = [Member::Missing; N];
        while let Some((Text(name), raw)) = map.next_entry()? {
            if let Some(place) = self.0.iter().position(|wanted| *wanted == name) {
                picked[place].add(raw);
            }
        }
        Ok(picked)
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
                while let Some((Text(name), raw)) = map.next_entry()? {
                    if members.is_empty() {
                        members.reserve(USUAL_MEMBERS);
                    }
                    members.push((name, raw));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}
