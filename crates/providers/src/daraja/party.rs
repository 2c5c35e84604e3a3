//! The parties of an M-Pesa transaction, as its messages name them.

/// The id in front of a party's name: `600000` in `600000 - EXAMPLE LTD`.
pub(super) fn leading_id(party: &str) -> &str {
    party.split_once(" - ").map_or(party, |(id, _)| id).trim()
}

/// Short codes have five to seven digits; phone numbers have more.
pub(super) fn is_short_code(id: &str) -> bool {
    (5..=7).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}
