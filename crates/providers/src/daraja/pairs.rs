//! Daraja's lists of named values. Their order and number vary, a value may be missing, and a name
//! may repeat.

use std::borrow::Cow;

use crate::Unreadable;
use crate::json::{Member, Object, Path};

/// One list of named values and its path in the body.
pub(super) struct Pairs<'a> {
    pairs: Vec<(Cow<'a, str>, Member<'a>)>,
    path: Path,
}

impl<'a> Pairs<'a> {
    /// Reads `object.{outer}.{inner}`, a list of objects that are named by `name_key` (`Name` or
    /// `Key`). A missing or null list is an empty one. Elements without a name are skipped.
    pub(super) fn read(
        object: &Object<'a>,
        outer: &'static str,
        inner: &'static str,
        name_key: &'static str,
    ) -> Result<Self, Unreadable> {
        let mut pairs = Vec::new();
        let path = object.path_of(outer).member(inner);
        let Some(outer) = object.get(outer)? else {
            return Ok(Self { pairs, path });
        };
        let Some(list) = outer.object()?.get(inner)? else {
            return Ok(Self { pairs, path });
        };
        let elements = list.elements()?;
        pairs.reserve(elements.len());
        for element in elements {
            let Ok([name, value]) = element.members([name_key, "Value"]) else {
                continue;
            };
            let name = name.node(path).ok().flatten();
            let name = name.and_then(|name| name.text().ok());
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                pairs.push((name, value));
            }
        }
        Ok(Self { pairs, path })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// The value of a name. `None` when missing, null or blank. Two values that differ are
    /// unreadable, because either could be meant.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let mut found: Option<Cow<'a, str>> = None;
        for (_, value) in self.pairs.iter().filter(|(known, _)| known == name) {
            let Some(value) = value.node(self.path_of(name))? else {
                continue;
            };
            let text = value.text()?;
            if found.as_ref().is_some_and(|known| *known != text) {
                let problem = "appears twice with different values";
                return Err(Unreadable::new(self.path_of(name), problem));
            }
            found = Some(text);
        }
        Ok(found.filter(|text| !text.is_empty()))
    }

    /// A value that must never block a payment. `None` for anything odd.
    pub(super) fn lenient_text(&self, name: &'static str) -> Option<Cow<'a, str>> {
        self.text(name).ok().flatten()
    }

    pub(super) fn path_of(&self, name: &'static str) -> Path {
        self.path.member(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read_and_check(list: &str, check: impl FnOnce(Result<Pairs<'_>, Unreadable>)) {
        let json = format!(r#"{{"Meta":{{"Item":{list}}}}}"#);
        json::read(json.as_bytes(), |root| {
            check(Pairs::read(&root.object()?, "Meta", "Item", "Name"));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn values_are_found_by_name_in_any_order() {
        let list = r#"[{"Value":2,"Name":"B"},null,7,{"Name":"Empty"},{"Value":1},{"Name":"A","Value":"1"}]"#;
        read_and_check(list, |pairs| {
            let pairs = pairs.unwrap();
            assert_eq!(pairs.text("A"), Ok(Some("1".into())));
            assert_eq!(pairs.text("B"), Ok(Some("2".into())));
            assert_eq!(pairs.text("Empty"), Ok(None));
            assert!(pairs.has("Empty") && !pairs.has("C"));
        });
        read_and_check(r#"{"Name":"A","Value":1}"#, |pairs| {
            assert_eq!(pairs.unwrap().text("A"), Ok(Some("1".into())));
        });
    }

    #[test]
    fn repeated_name_with_another_value_is_unreadable() {
        read_and_check(
            r#"[{"Name":"A","Value":1},{"Name":"A"},{"Name":"A","Value":"1"}]"#,
            |pairs| {
                assert_eq!(pairs.unwrap().text("A"), Ok(Some("1".into())));
            },
        );
        read_and_check(
            r#"[{"Name":"A","Value":1},{"Name":"A","Value":2}]"#,
            |pairs| {
                let pairs = pairs.unwrap();
                let why = pairs.text("A").unwrap_err();
                assert_eq!(
                    why.to_string(),
                    "Meta.Item.A: appears twice with different values"
                );
                assert_eq!(pairs.lenient_text("A"), None);
            },
        );
    }

    #[test]
    fn null_is_an_empty_list_and_a_number_is_unreadable() {
        read_and_check("null", |pairs| assert!(!pairs.unwrap().has("A")));
        read_and_check("7", |pairs| {
            assert_eq!(pairs.err().unwrap().to_string(), "Meta.Item: is not a list")
        });
        read_and_check(r#"[{"Name":"A","Value":[1]}]"#, |pairs| {
            let why = pairs.unwrap().text("A").unwrap_err();
            assert_eq!(why.to_string(), "Meta.Item.A: is neither text nor a number");
        });
    }
}
