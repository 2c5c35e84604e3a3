//! Damage with structure: what is left looks like the real thing nearly everywhere.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{Json, scalar};

/// One change at one place.
#[derive(Clone, Debug)]
enum Damage {
    Replace(Json),
    Remove,
    /// The same name once more with another value, before or after.
    Repeat(Json, bool),
    /// The same name and value once more.
    Echo,
    Rename(Spelling),
    /// Within so many lists, or members of that name.
    Wrap(u8, bool),
    /// A number as a string, a string without its quotes.
    Requote,
    /// Blanks around the text within a string, or around a number.
    Pad(&'static str),
    /// With the value of another place.
    Exchange(Index),
    /// So many more elements, or members of other names.
    Crowd(u16, Json),
}

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

fn change() -> impl Strategy<Value = Damage> {
    use Spelling::*;
    prop_oneof![
        6 => scalar().prop_map(Damage::Replace),
        2 => Just(Damage::Remove),
        2 => (scalar(), any::<bool>()).prop_map(|(value, first)| Damage::Repeat(value, first)),
        1 => Just(Damage::Echo),
        2 => select(vec![Upper, Lower, Padded, Escaped, Nul, Empty]).prop_map(Damage::Rename),
        1 => (1u8..200, any::<bool>()).prop_map(|(depth, named)| Damage::Wrap(depth, named)),
        2 => Just(Damage::Requote),
        1 => select(vec![" ", "\t", "\\u00a0", "\\u0000", "\\u200b", "\n"]).prop_map(Damage::Pad),
        1 => any::<Index>().prop_map(Damage::Exchange),
        1 => (1u16..200, scalar()).prop_map(|(n, value)| Damage::Crowd(n, value)),
    ]
}

fn apply(body: &mut Json, place: usize, change: Damage) {
    match change {
        Damage::Remove | Damage::Repeat(..) | Damage::Echo | Damage::Rename(_) => {
            if let Some((parent, i)) = parent_of(body, place) {
                of_member(parent, i, change);
            }
        }
        Damage::Exchange(with) => {
            let with = with.index(body.size());
            // Not into itself: a value cannot stand within its own copy's place.
            let (Some(a), Some(b)) = (body.at(place).cloned(), body.at(with).cloned()) else {
                return;
            };
            if let Some(value) = body.at(place) {
                *value = b;
            }
            if let Some(value) = body.at(with) {
                *value = a;
            }
        }
        Damage::Replace(value) => with(body, place, |old| *old = value),
        Damage::Wrap(depth, named) => with(body, place, |old| {
            for _ in 0..depth {
                let inner = std::mem::replace(old, Json::List(Vec::new()));
                *old = if named {
                    Json::Members(vec![("\"x\"".to_owned(), inner)])
                } else {
                    Json::List(vec![inner])
                };
            }
        }),
        Damage::Requote => with(body, place, |old| {
            let Json::Leaf(raw) = old else { return };
            *raw = match raw
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
            {
                Some(within) => within.to_owned(),
                None => format!("\"{raw}\""),
            };
        }),
        Damage::Pad(blank) => with(body, place, |old| {
            let Json::Leaf(raw) = old else { return };
            *raw = match raw
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
            {
                Some(within) => format!("\"{blank}{within}{blank}\""),
                None => format!("{blank}{raw}{blank}"),
            };
        }),
        Damage::Crowd(n, value) => with(body, place, |old| match old {
            Json::Leaf(_) => {}
            Json::List(elements) => elements.extend((0..n).map(|_| value.clone())),
            Json::Members(members) => {
                members.extend((0..n).map(|i| (format!("\"x{i}\""), value.clone())))
            }
        }),
    }
}

fn with(body: &mut Json, place: usize, change: impl FnOnce(&mut Json)) {
    if let Some(value) = body.at(place) {
        change(value);
    }
}

/// What a place stands in, and as the how manieth.
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

fn of_member(parent: &mut Json, i: usize, change: Damage) {
    match (parent, change) {
        (Json::List(elements), Damage::Remove) => drop(elements.remove(i)),
        (Json::List(elements), Damage::Echo) => elements.insert(i, elements[i].clone()),
        (Json::List(elements), Damage::Repeat(value, first)) => {
            elements.insert(if first { i } else { i + 1 }, value)
        }
        (Json::Members(members), Damage::Remove) => drop(members.remove(i)),
        (Json::Members(members), Damage::Echo) => members.insert(i, members[i].clone()),
        (Json::Members(members), Damage::Repeat(value, first)) => {
            let name = members[i].0.clone();
            members.insert(if first { i } else { i + 1 }, (name, value));
        }
        (Json::Members(members), Damage::Rename(spelling)) => {
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

    fn after(place: usize, change: Damage) -> String {
        let mut json = Json::read(r#"{"a":1,"b":["x",{"c":2}]}"#);
        apply(&mut json, place, change);
        json.to_string()
    }

    #[test]
    fn each_change_is_what_it_says() {
        let nine = || Json::Leaf("9".to_owned());
        for (place, change, expected) in [
            (4, Damage::Replace(nine()), r#"{"a":1,"b":["x",9]}"#),
            (1, Damage::Remove, r#"{"b":["x",{"c":2}]}"#),
            (3, Damage::Remove, r#"{"a":1,"b":[{"c":2}]}"#),
            (
                1,
                Damage::Repeat(nine(), true),
                r#"{"a":9,"a":1,"b":["x",{"c":2}]}"#,
            ),
            (
                5,
                Damage::Repeat(nine(), false),
                r#"{"a":1,"b":["x",{"c":2,"c":9}]}"#,
            ),
            (3, Damage::Echo, r#"{"a":1,"b":["x","x",{"c":2}]}"#),
            (
                1,
                Damage::Rename(Spelling::Escaped),
                r#"{"\u0061":1,"b":["x",{"c":2}]}"#,
            ),
            (
                1,
                Damage::Wrap(2, false),
                r#"{"a":[[1]],"b":["x",{"c":2}]}"#,
            ),
            (1, Damage::Requote, r#"{"a":"1","b":["x",{"c":2}]}"#),
            (3, Damage::Requote, r#"{"a":1,"b":[x,{"c":2}]}"#),
            (
                4,
                Damage::Crowd(2, nine()),
                r#"{"a":1,"b":["x",{"c":2,"x0":9,"x1":9}]}"#,
            ),
            (0, Damage::Remove, r#"{"a":1,"b":["x",{"c":2}]}"#),
        ] {
            let said = format!("{change:?}");
            assert_eq!(after(place, change), expected, "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_damage_is_carried_out(body in damage(Json::read(r#"{"a":1,"b":["x",{"c":2}]}"#))) {
            prop_assert!(body.to_string().len() < 1_000_000);
        }
    }
}
