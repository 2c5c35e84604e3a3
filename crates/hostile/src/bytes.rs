//! Damage without structure: cut off, flipped, spliced.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Clone, Debug)]
enum Damage {
    CutAt(Index),
    Set(Index, u8),
    Insert(Index, &'static [u8]),
    Delete(Index, u8),
    Append(&'static [u8]),
    Prepend(&'static [u8]),
    Twice,
    Utf16,
}

/// Marks and bytes that are no UTF-8, no JSON, or mean something elsewhere.
const SPLICES: &[&[u8]] = &[
    b"\xef\xbb\xbf",
    b"\0",
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%zz",
    b"+",
    b";",
    b"\r\n",
    b"\n",
    b" ",
    b"null",
    b"0",
    b"-",
    b"e9",
    b"//",
    b"/*",
];

/// Bytes that a failing test shows as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// The bytes with one to three changes.
pub fn damage_bytes(whole: Vec<u8>) -> impl Strategy<Value = Body> {
    proptest::collection::vec(change(), 1..4)
        .prop_map(move |changes| Body(changes.into_iter().fold(whole.clone(), apply)))
}

/// Up to so many bytes, of any kind.
pub fn any_bytes(at_most: usize) -> impl Strategy<Value = Body> {
    proptest::collection::vec(any::<u8>(), 0..=at_most).prop_map(Body)
}

fn change() -> impl Strategy<Value = Damage> {
    let splice = || select(SPLICES);
    prop_oneof![
        2 => any::<Index>().prop_map(Damage::CutAt),
        4 => any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Set(at, byte)),
        4 => (any::<Index>(), splice()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => any::<(Index, u8)>().prop_map(|(at, n)| Damage::Delete(at, n)),
        1 => splice().prop_map(Damage::Append),
        1 => splice().prop_map(Damage::Prepend),
        1 => Just(Damage::Twice),
        1 => Just(Damage::Utf16),
    ]
}

fn apply(mut bytes: Vec<u8>, change: Damage) -> Vec<u8> {
    let end = bytes.len();
    match change {
        Damage::CutAt(at) => bytes.truncate(at.index(end + 1)),
        Damage::Set(at, byte) if end > 0 => bytes[at.index(end)] = byte,
        Damage::Set(..) => {}
        Damage::Insert(at, splice) => {
            let at = at.index(end + 1);
            bytes.splice(at..at, splice.iter().copied());
        }
        Damage::Delete(at, n) => {
            let at = at.index(end + 1);
            bytes.drain(at..(at + usize::from(n)).min(end));
        }
        Damage::Append(splice) => bytes.extend_from_slice(splice),
        Damage::Prepend(splice) => drop(bytes.splice(0..0, splice.iter().copied())),
        Damage::Twice => bytes.extend_from_within(..),
        Damage::Utf16 => bytes = bytes.into_iter().flat_map(|byte| [byte, 0]).collect(),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn anything_can_be_damaged(bytes in damage_bytes(b"{\"a\":1}".to_vec()), none in damage_bytes(Vec::new())) {
            prop_assert!(bytes.0.len() < 1_000 && none.0.len() < 1_000);
        }
    }
}
