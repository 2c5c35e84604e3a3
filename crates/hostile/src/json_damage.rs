//! Damage to JSON that keeps its structure, so that the result looks real nearly everywhere.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{Json, scalar};

/// One change at one place.
#[derive(Clone, Debug)]
enum JsonDamage {
    Replace(Json),
    Remove,
    /// The same name again with another value, before the value if the flag is set, else after it.
    Repeat(Json, bool),
    /// The same name and value again.
    Echo,
    Rename(Spelling),
    /// The value inside nested lists, or inside nested objects if the flag is set.
    Wrap(u8, bool),
    /// A number becomes a string, or a string loses its quotes.
    Requote,
    /// Blanks around the text of a string, or around a number.
    Pad(&'static str),
    /// The value changes places with another one.
    Exchange(Index),
    /// More elements, or more members with other names.
    Crowd(u16, Json),
}

/// How a member's name is changed.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Upper,
    Lower,
    Padded,
    Escaped,
    Nul,
    Empty,
}

/// The body with one to four changes.
pub fn damage(whole: Json) -> impl Strategy<Value = Json> {
    proptest::collection::vec((any::<Index>(), change()), 1..5).prop_map(move |changes| {
        let mut body = whole.clone();
        for (place, change) in changes {
            let place = place.index(body.size());
            apply(&mut body, place, change);
        }
        body
    })
}

fn change() -> impl Strategy<Value = JsonDamage> {
    use Spelling::{Empty, Escaped, Lower, Nul, Padded, Upper};

    prop_oneof![
        6 => scalar().prop_map(JsonDamage::Replace),
        2 => Just(JsonDamage::Remove),
        2 => (scalar(), any::<bool>()).prop_map(|(value, first)| JsonDamage::Repeat(value, first)),
        1 => Just(JsonDamage::Echo),
        2 => select(vec![Upper, Lower, Padded, Escaped, Nul, Empty]).prop_map(JsonDamage::Rename),
        1 => (1u8..200, any::<bool>()).prop_map(|(depth, named)| JsonDamage::Wrap(depth, named)),
        2 => Just(JsonDamage::Requote),
        1 => select(vec![" ", "\t", "\\u00a0", "\\u0000", "\\u200b", "\n"]).prop_map(JsonDamage::Pad),
        1 => any::<Index>().prop_map(JsonDamage::Exchange),
        1 => (1u16..200, scalar()).prop_map(|(n, value)| JsonDamage::Crowd(n, value)),
    ]
}

fn apply(body: &mut Json, place: usize, change: JsonDamage) {
    match change {
        JsonDamage::Remove | JsonDamage::Repeat(..) | JsonDamage::Echo | JsonDamage::Rename(_) => {
            if let Some((parent, i)) = parent_of(body, place) {
                change_child(parent, i, change);
            }
        }
        JsonDamage::Exchange(other) => {
            let other = other.index(body.size());
            exchange(body, place, other);
        }
        JsonDamage::Replace(value) => change_value(body, place, |old| *old = value),
        JsonDamage::Wrap(depth, named) => change_value(body, place, |old| wrap(old, depth, named)),
        JsonDamage::Requote => change_value(body, place, |old| {
            let Json::Leaf(raw) = old else { return };
            *raw = match unquoted(raw) {
                Some(text) => text.to_owned(),
                None => format!("\"{raw}\""),
            };
        }),
        JsonDamage::Pad(blank) => change_value(body, place, |old| {
            let Json::Leaf(raw) = old else { return };
            *raw = match unquoted(raw) {
                Some(text) => format!("\"{blank}{text}{blank}\""),
                None => format!("{blank}{raw}{blank}"),
            };
        }),
        JsonDamage::Crowd(n, value) => change_value(body, place, |old| match old {
            Json::Leaf(_) => {}
            Json::List(elements) => elements.extend((0..n).map(|_| value.clone())),
            Json::Members(members) => {
                members.extend((0..n).map(|i| (format!("\"x{i}\""), value.clone())))
            }
        }),
    }
}

/// Exchanges the values at two places. If one is inside the other, the second place may be gone
/// after the first write, and then the second write is left out.
fn exchange(body: &mut Json, place: usize, other: usize) {
    let first = body.at(place).cloned();
    let second = body.at(other).cloned();
    let (Some(first), Some(second)) = (first, second) else {
        return;
    };
    change_value(body, place, |value| *value = second);
    change_value(body, other, |value| *value = first);
}

fn change_value(body: &mut Json, place: usize, change: impl FnOnce(&mut Json)) {
    if let Some(value) = body.at(place) {
        change(value);
    }
}

fn wrap(value: &mut Json, depth: u8, named: bool) {
    for _ in 0..depth {
        let inner = std::mem::replace(value, Json::List(Vec::new()));
        *value = if named {
            Json::Members(vec![("\"x\"".to_owned(), inner)])
        } else {
            Json::List(vec![inner])
        };
    }
}

/// The text between the quotes of a string.
fn unquoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// The list or object that a place is in, and its index there.
fn parent_of(body: &mut Json, place: usize) -> Option<(&mut Json, usize)> {
    let parent = (0..place).rev().find_map(|at| {
        let mut inner = at + 1;
        let sizes: Vec<usize> = match body.at(at)? {
            Json::Leaf(_) => return None,
            Json::List(elements) => elements.iter().map(Json::size).collect(),
            Json::Members(members) => members.iter().map(|(_, value)| value.size()).collect(),
        };
        sizes.into_iter().enumerate().find_map(|(i, size)| {
            let found = inner == place;
            inner += size;
            found.then_some((at, i))
        })
    });

    let (at, i) = parent?;
    Some((body.at(at)?, i))
}

fn change_child(parent: &mut Json, i: usize, change: JsonDamage) {
    match (parent, change) {
        (Json::List(elements), JsonDamage::Remove) => drop(elements.remove(i)),
        (Json::List(elements), JsonDamage::Echo) => elements.insert(i, elements[i].clone()),
        (Json::List(elements), JsonDamage::Repeat(value, first)) => {
            elements.insert(if first { i } else { i + 1 }, value)
        }
        (Json::Members(members), JsonDamage::Remove) => drop(members.remove(i)),
        (Json::Members(members), JsonDamage::Echo) => members.insert(i, members[i].clone()),
        (Json::Members(members), JsonDamage::Repeat(value, first)) => {
            let name = members[i].0.clone();
            members.insert(if first { i } else { i + 1 }, (name, value));
        }
        (Json::Members(members), JsonDamage::Rename(spelling)) => {
            members[i].0 = respelled(&members[i].0, spelling)
        }
        _ => {}
    }
}

fn respelled(name: &str, spelling: Spelling) -> String {
    let plain = name.trim_matches('"');
    match spelling {
        Spelling::Upper => name.to_uppercase(),
        Spelling::Lower => name.to_lowercase(),
        Spelling::Padded => format!("\"{plain} \""),
        Spelling::Nul => format!("\"{plain}\\u0000\""),
        Spelling::Empty => "\"\"".to_owned(),
        Spelling::Escaped => {
            let escaped: String = plain
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            format!("\"{escaped}\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"a":1,"b":["x",{"c":2}]}"#;

    fn after(place: usize, change: JsonDamage) -> String {
        let mut json = Json::read(BODY);
        apply(&mut json, place, change);
        json.to_string()
    }

    #[test]
    fn each_change_does_what_it_says() {
        let nine = || Json::Leaf("9".to_owned());
        for (place, change, expected) in [
            (4, JsonDamage::Replace(nine()), r#"{"a":1,"b":["x",9]}"#),
            (1, JsonDamage::Remove, r#"{"b":["x",{"c":2}]}"#),
            (3, JsonDamage::Remove, r#"{"a":1,"b":[{"c":2}]}"#),
            (
                1,
                JsonDamage::Repeat(nine(), true),
                r#"{"a":9,"a":1,"b":["x",{"c":2}]}"#,
            ),
            (
                5,
                JsonDamage::Repeat(nine(), false),
                r#"{"a":1,"b":["x",{"c":2,"c":9}]}"#,
            ),
            (3, JsonDamage::Echo, r#"{"a":1,"b":["x","x",{"c":2}]}"#),
            (
                1,
                JsonDamage::Rename(Spelling::Escaped),
                r#"{"\u0061":1,"b":["x",{"c":2}]}"#,
            ),
            (
                1,
                JsonDamage::Wrap(2, false),
                r#"{"a":[[1]],"b":["x",{"c":2}]}"#,
            ),
            (1, JsonDamage::Requote, r#"{"a":"1","b":["x",{"c":2}]}"#),
            (3, JsonDamage::Requote, r#"{"a":1,"b":[x,{"c":2}]}"#),
            (
                4,
                JsonDamage::Crowd(2, nine()),
                r#"{"a":1,"b":["x",{"c":2,"x0":9,"x1":9}]}"#,
            ),
            (0, JsonDamage::Remove, r#"{"a":1,"b":["x",{"c":2}]}"#),
        ] {
            let description = format!("{change:?}");
            assert_eq!(after(place, change), expected, "{description}");
        }
    }

    proptest! {
        #[test]
        fn any_damage_can_be_applied(body in damage(Json::read(BODY))) {
            prop_assert!(body.to_string().len() < 1_000_000);
        }
    }
}
