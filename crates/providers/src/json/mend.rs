//! A second reading of a body that is not JSON because of single bytes.
//!
//! A payer's name or an account number may hold bytes of another encoding or a raw tab. Daraja
//! never sends a message again, so such a byte must cost the name at most, and never the money.

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The body as text, in which U+FFFD stands for each byte that JSON does not allow within a string.
///
/// No identifier may hold U+FFFD and no amount can, so a damaged byte in one of those still makes
/// the body unreadable. Outside strings, nothing but a byte order mark is forgiven.
pub(super) fn mend(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);

    let mut is_in_string = false;
    let mut is_escaped = false;
    text.chars()
        .map(|c| {
            let was_escaped = std::mem::take(&mut is_escaped);
            match c {
                '"' if !was_escaped => is_in_string = !is_in_string,
                '\\' if is_in_string && !was_escaped => is_escaped = true,
                '\0'..='\x1f' if is_in_string => return char::REPLACEMENT_CHARACTER,
                _ => {}
            }
            c
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_within_strings_are_replaced() {
        for (body, expected) in [
            (&b"{\"a\":\"Jos\xe9\"}"[..], "{\"a\":\"Jos\u{fffd}\"}"),
            (
                b"{\"a\":\"b\tc\nd\0\"}",
                "{\"a\":\"b\u{fffd}c\u{fffd}d\u{fffd}\"}",
            ),
            (b"\xef\xbb\xbf{\n\t}", "{\n\t}"),
            (
                b"{\"a\\\"\t\":\"\\\\\"\t}",
                "{\"a\\\"\u{fffd}\":\"\\\\\"\t}",
            ),
            // The byte before the quote starts a character of UTF-8 and does not swallow the quote.
            (b"{\"a\":\"\xc3\"}", "{\"a\":\"\u{fffd}\"}"),
            (b"{\0}", "{\0}"),
        ] {
            assert_eq!(mend(body), expected);
        }
    }
}
