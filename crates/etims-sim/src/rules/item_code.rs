//! The item codes that the gateway accepts (certification facts 4.1 and 4.2): country, item type,
//! package and unit as the separate fields have them, then the next running number.

use crate::codes::{PACKAGES, UNITS};
use crate::refusal::{Refusal, RefusalKind};

/// The fields of an item that its code repeats.
pub(crate) struct CodedFields<'a> {
    pub(crate) country: &'a str,
    pub(crate) item_type: &'a str,
    pub(crate) package: &'a str,
    pub(crate) unit: &'a str,
}

impl CodedFields<'_> {
    /// Checks that package and unit are in KRA's own lists. That of packages is shorter than the
    /// code list call says.
    pub(crate) fn check_lists(&self) -> Result<(), Refusal> {
        if !PACKAGES.contains(&self.package) {
            return Err(Refusal::broken_rule(format!(
                "The Package unit code can ony be among the following list: [{}]",
                PACKAGES.join(", ")
            )));
        }
        if !UNITS.contains(&self.unit) {
            return Err(Refusal::broken_rule("Invalid Quantity Unit Code".into()));
        }
        Ok(())
    }

    /// Checks that the code is made up of the fields, each slice exactly two characters long, and
    /// returns its running number.
    pub(crate) fn check_code(&self, code: &str) -> Result<i64, Refusal> {
        let begins = code.get(..2) == Some(self.country) && code.get(2..3) == Some(self.item_type);
        if !begins {
            return Err(Refusal::broken_rule(
                "The ItemCd isn't made up of correct orgnNatCd and itemTyCd".into(),
            ));
        }
        if code.get(3..5) != Some(self.package) {
            return Err(Refusal::broken_rule(
                "Incorrect Packaging Unit Prefix".into(),
            ));
        }
        match code.get(5..7) {
            Some(slice) if slice == self.unit => {}
            Some(slice) if UNITS.contains(&slice) && self.unit.len() == 2 => {
                return Err(Refusal::broken_rule(
                    "The ItemCd isn't made up of correct QtyUnitCd".into(),
                ));
            }
            _ => return Err(Refusal::broken_rule("Incorrect QtyUnitCd Prefix".into())),
        }
        code.get(7..)
            .filter(|digits| digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Refusal::broken_rule("Invalid itemCd Sequence".into()))
    }
}

/// Checks that the running number is the next one. The hint is masked but for its last digit.
pub(crate) fn check_number(found: i64, expected: i64) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    let text = format!(
        "Invalid itemCd Sequence. Expected sequence ending with: ********{}",
        expected % 10
    );
    let message = format!("Request parameter error[{text}]");
    Err(Refusal::new(RefusalKind::Sequence, "910", &message, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: CodedFields<'_> = CodedFields {
        country: "KE",
        item_type: "2",
        package: "NT",
        unit: "NO",
    };

    fn problem<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.unwrap_err().gateway_message
    }

    #[test]
    fn code_repeats_the_fields_and_ends_with_its_number() {
        assert_eq!(NUMBERS.check_code("KE2NTNO0000012").unwrap(), 12);
        assert_eq!(NUMBERS.check_code("KE2NTNO00000012").unwrap(), 12);
        let cases = [
            ("KE1NTNO0000001", "orgnNatCd and itemTyCd"),
            ("UG2NTNO0000001", "orgnNatCd and itemTyCd"),
            ("KE2CTNO0000001", "Incorrect Packaging Unit Prefix"),
            ("KE2NTKG0000001", "isn't made up of correct QtyUnitCd"),
            ("KE2NTU0000001", "Incorrect QtyUnitCd Prefix"),
            ("KE2NTNO000001", "Invalid itemCd Sequence"),
            ("KE2NTNO000000X", "Invalid itemCd Sequence"),
            ("KE2NT", "Incorrect QtyUnitCd Prefix"),
            ("KÉ2NTNO0000001", "orgnNatCd and itemTyCd"),
        ];
        for (code, text) in cases {
            let found = problem(NUMBERS.check_code(code));
            assert!(found.contains(text), "{code}: {found}");
        }
    }

    #[test]
    fn longer_package_and_unit_never_fit_their_slices() {
        let carton = CodedFields {
            package: "CTN",
            ..NUMBERS
        };
        carton.check_lists().unwrap();
        let found = problem(carton.check_code("KE2CTNNO0000001"));
        assert_eq!(found, "Incorrect Packaging Unit Prefix");

        for unit in ["U", "LTR"] {
            let long = CodedFields { unit, ..NUMBERS };
            long.check_lists().unwrap();
            let code = format!("KE2NT{unit}0000001");
            assert_eq!(
                problem(long.check_code(&code)),
                "Incorrect QtyUnitCd Prefix"
            );
        }
    }

    #[test]
    fn lists_are_those_of_the_refusals() {
        let box_of = CodedFields {
            package: "BX",
            ..NUMBERS
        };
        assert!(problem(box_of.check_lists()).starts_with("The Package unit code can ony be"));
        let unknown = CodedFields {
            unit: "XU",
            ..NUMBERS
        };
        assert_eq!(problem(unknown.check_lists()), "Invalid Quantity Unit Code");
    }

    #[test]
    fn hint_shows_the_last_digit_only() {
        check_number(12, 12).unwrap();
        for found in [11, 13] {
            let text = problem(check_number(found, 12));
            assert!(text.ends_with("ending with: ********2"), "{text}");
        }
    }
}
