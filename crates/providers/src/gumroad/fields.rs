//! The fields of a ping, in either encoding.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::Unreadable;
use crate::identifier::identifier;
use crate::json::{self, Members, Node};

/// Longest name of an object whose members are read. Gumroad sends no longer one. The name is
/// copied for each member, which a hostile body could turn into gigabytes. An object with a longer
/// name is kept as one text.
const NAME_BYTES_MAX: usize = 128;
/// Pings have about forty fields.
const USUAL_FIELDS: usize = 64;

/// The names that Gumroad's server puts in after the seller's custom fields.
const LATE_NAMES: [&str; 6] = [
    "is_gift_receiver_purchase",
    "gift_price",
    "refunded",
    "resource_name",
    "disputed",
    "dispute_won",
];

/// Names and values in the order of the body.
///
/// A question of the seller's checkout may be called like a real field. Its answer is the buyer's
/// and stands here twice, as `custom_fields[NAME]` and as NAME.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Reads a form. Brackets in a name may be raw or encoded: `card[type]`, `card%5Btype%5D`.
    ///
    /// Any bytes are a form. Those that are not UTF-8 read as U+FFFD.
    pub(super) fn form(body: &'a [u8]) -> Self {
        let mut fields = Vec::with_capacity(USUAL_FIELDS);
        fields.extend(form_urlencoded::parse(body));
        Self(fields)
    }

    /// Reads JSON. A member of an inner object is named as in a form: `card[type]`. Deeper ones are
    /// ignored.
    pub(super) fn json(root: Node<'a>) -> Result<Self, Unreadable> {
        let mut fields = Vec::with_capacity(USUAL_FIELDS);
        for (name, raw) in root.object()?.into_members() {
            match serde_json::from_str(raw.get()) {
                Ok(Members(inner)) if name.len() <= NAME_BYTES_MAX => {
                    fields.extend(inner.into_iter().filter_map(|(key, raw)| {
                        Some((format!("{name}[{key}]").into(), scalar(raw)?))
                    }));
                }
                Ok(_) => fields.push((name, raw.get().into())),
                Err(_) => fields.extend(scalar(raw).map(|text| (name, text))),
            }
        }
        Ok(Self(fields))
    }

    /// The server's value without surrounding blanks. `None` when missing or blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let text = if LATE_NAMES.contains(&name) {
            self.values(name).next_back()
        } else {
            self.first_that_is_not_the_buyers(name)
        };
        text.filter(|text| !text.is_empty())
    }

    /// The first value of a name that the server puts in before the custom fields, or puts in only
    /// when it is true.
    fn first_that_is_not_the_buyers(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        if let Some(answer) = self.answer_to(name) {
            let copies = self.values(name).filter(|text| *text == answer).count();
            // Beside a second copy, the buyer typed the real value.
            if copies == 1 {
                return values.find(|text| *text != answer);
            }
        }
        values.next()
    }

    /// What the buyer answered to a question of that name.
    fn answer_to(&self, name: &str) -> Option<&str> {
        let is_question = |field: &str| {
            let inner = field.strip_prefix("custom_fields[");
            inner.and_then(|inner| inner.strip_suffix(']')) == Some(name)
        };
        let (_, text) = self.0.iter().find(|(field, _)| is_question(field))?;
        Some(text.trim())
    }

    fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, text)| text.trim())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    pub(super) fn identifier(&self, name: &'static str) -> Result<Option<String>, Unreadable> {
        self.get(name)
            .map(|text| identifier(name, text.to_owned()))
            .transpose()
    }

    pub(super) fn required_identifier(&self, name: &'static str) -> Result<String, Unreadable> {
        self.identifier(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> Unreadable {
        Unreadable::new(name, "is missing or blank")
    }

    /// SHA-256 over all fields but `retry_count`, which retries add.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, text) in self.0.iter().filter(|(name, _)| name != "retry_count") {
            hash.update(format!("{}:{name}{}:{text}", name.len(), text.len()));
        }
        hex::encode(hash.finalize())
    }
}

/// Text, or a number or boolean as it is written. `None` for null and lists.
fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().as_bytes().first()? {
        b'"' => json::string(raw),
        b't' | b'f' | b'-' | b'0'..=b'9' => Some(raw.get().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_fields(json: &str) -> Fields<'_> {
        Fields::json(Node::root(json).unwrap()).unwrap()
    }

    #[test]
    fn first_field_of_a_name_counts() {
        let form = Fields::form(b"price=2500&price=1&a=&a=2");
        let json = json_fields(r#"{"price":2500,"price":1,"a":"","a":2}"#);
        for fields in [form, json] {
            assert_eq!(fields.get("price"), Some("2500"));
            assert_eq!(fields.get("a"), None);
        }
    }

    #[test]
    fn last_field_of_a_late_name_counts() {
        let form = Fields::form(b"refunded=No&custom_fields%5Brefunded%5D=No&refunded=true");
        let json =
            json_fields(r#"{"refunded":"No","custom_fields":{"refunded":"No"},"refunded":true}"#);
        for fields in [form, json] {
            assert_eq!(fields.get("refunded"), Some("true"));
        }
        let overwritten = Fields::form(b"refunded=false&custom_fields[refunded]=true");
        assert!(!overwritten.is_true("refunded"));
    }

    #[test]
    fn buyers_answer_is_not_the_field_of_its_name() {
        let get = |form: &str, name: &str| {
            let fields = Fields::form(form.as_bytes());
            fields.get(name).map(str::to_owned)
        };
        for name in ["test", "is_recurring_charge", "is_preorder_authorization"] {
            let answer = format!("{name}=true&custom_fields[{name}]=true");
            assert_eq!(get(&answer, name), None);
            assert_eq!(
                get(&format!("{name}=true&{answer}"), name),
                Some("true".to_owned())
            );
        }
        for prices in ["price=2500&price=1", "price=1&price=2500"] {
            let form = format!("{prices}&custom_fields[price]=1");
            assert_eq!(get(&form, "price"), Some("2500".to_owned()));
        }
        assert_eq!(get("price=1&custom_fields[price]=1", "price"), None);
        assert_eq!(
            get("price=1&custom_fields[Price]=1", "price"),
            Some("1".to_owned())
        );
    }

    #[test]
    fn brackets_may_be_raw_encoded_or_an_object() {
        for fields in [
            Fields::form(b"card%5Btype%5D=visa"),
            Fields::form(b"card[type]=visa"),
            json_fields(r#"{"card":{"type":"visa","bin":null}}"#),
            json_fields(r#"{"card[type]":"visa"}"#),
        ] {
            assert_eq!(fields.get("card[type]"), Some("visa"));
        }
    }

    #[test]
    fn object_with_an_overlong_name_is_one_text() {
        let json = |inner: &str| format!(r#"{{"{}":{{"a":{inner}}},"price":1}}"#, "n".repeat(129));
        let json_with_1 = json("1");
        let fields = json_fields(&json_with_1);
        assert_eq!(fields.0.len(), 2);
        assert_eq!(fields.get("price"), Some("1"));
        assert_ne!(fields.digest(), json_fields(&json("2")).digest());
    }

    #[test]
    fn invalid_utf8_is_not_an_identifier() {
        let fields = Fields::form(b"sale_id=%ff%fe&test=TRUE");
        assert!(fields.required_identifier("sale_id").is_err());
        assert!(fields.is_true("test"));
        assert_eq!(
            fields.missing("price").to_string(),
            "price: is missing or blank"
        );
    }

    #[test]
    fn digest_ignores_the_retry_count() {
        let digest = |body: &[u8]| Fields::form(body).digest();
        assert_eq!(digest(b"a=1&b=2"), digest(b"a=1&b=2&retry_count=3"));
        assert_ne!(digest(b"a=1&b=2"), digest(b"a=12&b="));
    }
}
