//! JSON as its text has it, with what a parser usually drops.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Values nested deeper than this are not taken apart.
const DEPTH_MAX: usize = 100;

/// A value whose leaves and names are text, well formed or not. So a body made of it need not be
/// JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// A number, string or word as it is in the text, with its quotes.
    Leaf(String),
    List(Vec<Json>),
    /// Names as they are in the text, with their quotes. They keep their order and may repeat.
    Members(Vec<(String, Json)>),
}

impl Json {
    /// Reads JSON.
    ///
    /// # Panics
    /// If the text is not JSON.
    pub fn read(text: &str) -> Self {
        Self::try_read(text).expect("the text is JSON")
    }

    /// Reads JSON, or returns `None` if the text is not JSON. A value that is nested too deep, or
    /// has names that are not text, becomes a leaf.
    pub fn try_read(text: &str) -> Option<Self> {
        Some(read(serde_json::from_str(text).ok()?, DEPTH_MAX))
    }

    /// A string with this text.
    pub fn quoted(text: &str) -> Self {
        Self::Leaf(serde_json::Value::from(text).to_string())
    }

    /// The text of a string or number. It is `None` for words, lists and objects, and for strings
    /// that are not well formed.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Leaf(raw) if raw.starts_with('"') => serde_json::from_str(raw).ok(),
            Self::Leaf(raw)
                if raw.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
            {
                Some(raw.clone())
            }
            _ => None,
        }
    }

    /// How many values there are, including this one.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Leaf(_) => 0,
            Self::List(elements) => elements.iter().map(Self::size).sum(),
            Self::Members(members) => members.iter().map(|(_, value)| value.size()).sum(),
        }
    }

    /// The value at a place in the order of the text. Place 0 is this value.
    pub fn at(&mut self, place: usize) -> Option<&mut Self> {
        if place == 0 {
            return Some(self);
        }
        let mut before = 1;
        let inner: Vec<&mut Self> = match self {
            Self::Leaf(_) => return None,
            Self::List(elements) => elements.iter_mut().collect(),
            Self::Members(members) => members.iter_mut().map(|(_, value)| value).collect(),
        };
        for value in inner {
            let size = value.size();
            if place < before + size {
                return value.at(place - before);
            }
            before += size;
        }
        None
    }

    /// Visits every value in the order of the text.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Leaf(_) => {}
            Self::List(elements) => elements.iter().for_each(|value| value.each(visit)),
            Self::Members(members) => members.iter().for_each(|(_, value)| value.each(visit)),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(raw) => f.write_str(raw),
            Self::List(elements) => {
                f.write_str("[")?;
                for (i, value) in elements.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Members(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name}:{value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("}")
            }
        }
    }
}

fn read(raw: &RawValue, depth_left: usize) -> Json {
    read_inside(raw.get(), depth_left).unwrap_or_else(|| Json::Leaf(raw.get().to_owned()))
}

/// Reads a list or an object. The result is `None` for a leaf.
fn read_inside(text: &str, depth_left: usize) -> Option<Json> {
    let depth_left = depth_left.checked_sub(1)?;
    if text.starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return Some(Json::List(
            elements
                .into_iter()
                .map(|raw| read(raw, depth_left))
                .collect(),
        ));
    }
    if !text.starts_with('{') {
        return None;
    }
    let Members(members) = serde_json::from_str(text).ok()?;
    let quoted = |name: String| serde_json::Value::from(name).to_string();
    let members = members
        .into_iter()
        .map(|(name, raw)| (quoted(name), read(raw, depth_left)));
    Some(Json::Members(members.collect()))
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

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

    #[test]
    fn number_texts_order_and_repeats_are_kept() {
        let text = r#"{"b":1500.10,"a":[1e3,"x\u0000",null],"a":{}}"#;
        let read = Json::read(text);
        assert_eq!(read.to_string(), text);
        assert_eq!(read.size(), 7);
        assert_eq!(Json::try_read(&"[".repeat(200)), None);
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(Json::read(&deep).to_string(), deep);
    }

    #[test]
    fn every_place_has_one_value() {
        let mut json = Json::read(r#"{"a":[1,{"b":2}],"c":3}"#);
        let places: Vec<String> = (0..json.size())
            .map(|place| json.at(place).unwrap().to_string())
            .collect();
        assert_eq!(places[1..], [r#"[1,{"b":2}]"#, "1", r#"{"b":2}"#, "2", "3"]);
        let mut seen = Vec::new();
        json.each(&mut |value| seen.push(value.to_string()));
        assert_eq!(seen, places);
        assert!(json.at(6).is_none());
    }

    #[test]
    fn strings_and_numbers_have_text() {
        assert_eq!(
            Json::Leaf("1.50".to_owned()).text().as_deref(),
            Some("1.50")
        );
        assert_eq!(Json::quoted("a\"b").text().as_deref(), Some("a\"b"));
        assert_eq!(Json::Leaf("null".to_owned()).text(), None);
    }
}
