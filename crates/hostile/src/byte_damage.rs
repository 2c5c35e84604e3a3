//! Damage to bytes, without regard to their structure: cut off, changed, or with bytes inserted.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change.
#[derive(Clone, Debug)]
enum ByteDamage {
    CutAt(Index),
    Set(Index, u8),
    Insert(Index, &'static [u8]),
    Delete(Index, u8),
    Append(&'static [u8]),
    Prepend(&'static [u8]),
    Twice,
    Utf16,
}

/// Byte order marks, and bytes that are not UTF-8, not JSON, or have a meaning in some format.
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

/// Bytes that a failing test prints as text.
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

/// Any bytes, up to `length_max` of them.
pub fn any_bytes(length_max: usize) -> impl Strategy<Value = Body> {
    proptest::collection::vec(any::<u8>(), 0..=length_max).prop_map(Body)
}

fn change() -> impl Strategy<Value = ByteDamage> {
    let splice = || select(SPLICES);
    prop_oneof![
        2 => any::<Index>().prop_map(ByteDamage::CutAt),
        4 => any::<(Index, u8)>().prop_map(|(at, byte)| ByteDamage::Set(at, byte)),
        4 => (any::<Index>(), splice()).prop_map(|(at, bytes)| ByteDamage::Insert(at, bytes)),
        2 => any::<(Index, u8)>().prop_map(|(at, n)| ByteDamage::Delete(at, n)),
        1 => splice().prop_map(ByteDamage::Append),
        1 => splice().prop_map(ByteDamage::Prepend),
        1 => Just(ByteDamage::Twice),
        1 => Just(ByteDamage::Utf16),
    ]
}

fn apply(mut bytes: Vec<u8>, change: ByteDamage) -> Vec<u8> {
    let end = bytes.len();
    match change {
        ByteDamage::CutAt(at) => bytes.truncate(at.index(end + 1)),
        ByteDamage::Set(at, byte) if end > 0 => bytes[at.index(end)] = byte,
        ByteDamage::Set(..) => {}
        ByteDamage::Insert(at, splice) => {
            let at = at.index(end + 1);
            bytes.splice(at..at, splice.iter().copied());
        }
        ByteDamage::Delete(at, n) => {
            let at = at.index(end + 1);
            bytes.drain(at..(at + usize::from(n)).min(end));
        }
        ByteDamage::Append(splice) => bytes.extend_from_slice(splice),
        ByteDamage::Prepend(splice) => drop(bytes.splice(0..0, splice.iter().copied())),
        ByteDamage::Twice => bytes.extend_from_within(..),
        ByteDamage::Utf16 => bytes = bytes.into_iter().flat_map(|byte| [byte, 0]).collect(),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn any_bytes_can_be_damaged(
            bytes in damage_bytes(b"{\"a\":1}".to_vec()),
            empty in damage_bytes(Vec::new()),
        ) {
            prop_assert!(bytes.0.len() < 1_000 && empty.0.len() < 1_000);
        }
    }
}
