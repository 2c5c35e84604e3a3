//! Whom an invoice names as its buyer. KRA compares a credit note's buyer with its sale's.

use std::fmt;

/// The length of KRA's field `custNm`.
const NAME_CHARS_MAX: usize = 60;

/// The PIN of a taxpayer: `A` for an individual or `P` for others, nine digits, one letter. KRA
/// publishes no rule for a check digit. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KraPin(String);

/// The buyer's name as KRA gets it, with 1 to 60 characters. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BuyerName(String);

/// The buyer that an invoice names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Buyer {
    pub name: BuyerName,
    /// Without it the buyer cannot claim the expense.
    pub pin: Option<KraPin>,
}

impl KraPin {
    /// Reads a PIN, in any case and with blanks around it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 11
            && matches!(bytes[0], b'A' | b'P')
            && bytes[1..10].iter().all(u8::is_ascii_digit)
            && bytes[10].is_ascii_uppercase();
        shaped.then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BuyerName {
    /// Reads a name. It is cut to 60 characters here and nowhere else, because a credit note has to
    /// repeat it to the byte. `None` for a blank one.
    pub fn parse(text: &str) -> Option<Self> {
        let printable: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let cut: String = printable.trim().chars().take(NAME_CHARS_MAX).collect();
        let name = cut.trim_end();
        (!name.is_empty()).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BuyerName {
    /// What stands for a buyer whom nobody knows. KRA's own eTIMS Lite writes the same.
    fn default() -> Self {
        Self("N/A".to_owned())
    }
}

impl fmt::Debug for KraPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KraPin(…)")
    }
}

impl fmt::Debug for BuyerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BuyerName(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pins_have_one_shape() {
        let read = |text| KraPin::parse(text).map(|pin| pin.0);
        assert_eq!(read(" p059876543z ").as_deref(), Some("P059876543Z"));
        assert_eq!(read("A012345678Y").as_deref(), Some("A012345678Y"));
        for bad in [
            "",
            "B012345678Y",
            "A01234567Y",
            "A0123456789",
            "A012345678YY",
            "A01234567é",
            "A012 45678Y",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_of_a_buyer_shows_in_debug() {
        let buyer = Buyer {
            name: BuyerName::parse("Upendo Traders Ltd").unwrap(),
            pin: KraPin::parse("P059876543Z"),
        };
        let shown = format!("{buyer:?}");
        assert!(
            !shown.contains("Upendo") && !shown.contains("P05"),
            "{shown}"
        );
    }

    #[test]
    fn names_are_cut_once() {
        let name = BuyerName::parse(&format!("  {} tail", "é".repeat(58))).unwrap();
        assert_eq!(name.as_str(), format!("{} t", "é".repeat(58)));
        assert_eq!(BuyerName::parse(name.as_str()), Some(name));
        let cut_at_a_blank = BuyerName::parse(&format!("{} x", "a".repeat(59))).unwrap();
        assert_eq!(cut_at_a_blank.as_str(), "a".repeat(59));
        for blank in ["", "  ", "\u{0}\n"] {
            assert_eq!(BuyerName::parse(blank), None);
        }
    }

    proptest! {
        #[test]
        fn any_name_fits_and_reads_back_unchanged(text in any::<String>()) {
            if let Some(name) = BuyerName::parse(&text) {
                prop_assert!(name.as_str().chars().count() <= NAME_CHARS_MAX);
                prop_assert!(!name.as_str().contains(char::is_control));
                prop_assert_eq!(BuyerName::parse(name.as_str()), Some(name));
            }
        }
    }
}
