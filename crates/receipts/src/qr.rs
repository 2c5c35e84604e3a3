//! KRA's QR code: the link to its receipt page, and the squares that spell it.

use qrcode::{Color, EcLevel, QrCode};
use risiti_domain::Environment;

use crate::error::ReceiptError;

const PIN_CHARS: usize = 11;
const BRANCH_CHARS: usize = 2;
const SIGNATURE_CHARS: usize = 16;
/// The light border that a reader needs, in squares.
pub(crate) const QUIET_ZONE: usize = 4;

/// Builds the link, with the seller's PIN, KRA's branch code and the raw signature. A wrong part
/// makes a code that looks right and leads nowhere, so that it is refused.
pub(crate) fn link(
    environment: Environment,
    pin: &str,
    branch: &str,
    signature: &str,
) -> Result<String, ReceiptError> {
    check("the seller's PIN", pin, PIN_CHARS)?;
    check("the branch code", branch, BRANCH_CHARS)?;
    check("the receipt signature", signature, SIGNATURE_CHARS)?;
    let host = match environment {
        Environment::Sandbox => "etims-sbx.kra.go.ke",
        Environment::Production => "etims.kra.go.ke",
    };
    Ok(format!(
        "https://{host}/common/link/etims/receipt/indexEtimsReceiptData?Data={pin}{branch}{signature}"
    ))
}

fn check(part: &'static str, text: &str, wanted: usize) -> Result<(), ReceiptError> {
    let found = text.chars().count();
    if found != wanted {
        return Err(ReceiptError::QrPart {
            part,
            wanted,
            found,
        });
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(ReceiptError::QrCharacter { part });
    }
    Ok(())
}

/// The squares of a QR code without its quiet zone.
pub(crate) struct Squares {
    side: usize,
    dark: Vec<bool>,
}

/// How much of a code may be damaged.
#[derive(Clone, Copy)]
pub(crate) enum Damage {
    /// 7 %: the smallest code. The next larger one would not fit the 48 columns of a roll.
    Low,
    /// 15 %.
    Medium,
}

impl Squares {
    pub(crate) fn of(link: &str, damage: Damage) -> Self {
        let level = match damage {
            Damage::Low => EcLevel::L,
            Damage::Medium => EcLevel::M,
        };
        let code = QrCode::with_error_correction_level(link, level)
            .expect("a link of 110 characters fits a code of 2,331");
        Self {
            side: code.width(),
            dark: code
                .to_colors()
                .into_iter()
                .map(|color| color == Color::Dark)
                .collect(),
        }
    }

    /// Squares on a side.
    pub(crate) fn side(&self) -> usize {
        self.side
    }

    /// Whether a square is dark. Those outside are light.
    pub(crate) fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.side && y < self.side && self.dark[y * self.side + x]
    }

    /// The horizontal runs of dark squares: column, row, length.
    pub(crate) fn dark_runs(&self) -> Vec<(usize, usize, usize)> {
        let mut runs = Vec::new();
        for y in 0..self.side {
            let mut x = 0;
            while x < self.side {
                let length = (x..self.side).take_while(|x| self.is_dark(*x, y)).count();
                if length > 0 {
                    runs.push((x, y, length));
                }
                x += length + 1;
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "P051234567X";
    const SIGNATURE: &str = "ABCD2345EFGH67IJ";

    #[test]
    fn the_links_are_those_that_were_scanned() {
        assert_eq!(
            link(Environment::Sandbox, PIN, "00", SIGNATURE).unwrap(),
            "https://etims-sbx.kra.go.ke/common/link/etims/receipt/indexEtimsReceiptData?Data=P051234567X00ABCD2345EFGH67IJ"
        );
        assert!(
            link(Environment::Production, PIN, "00", SIGNATURE)
                .unwrap()
                .starts_with("https://etims.kra.go.ke/common/")
        );
    }

    #[test]
    fn a_part_of_a_wrong_length_is_refused() {
        for (pin, branch, signature) in [
            ("P05123456X", "00", SIGNATURE),
            (PIN, "0", SIGNATURE),
            (PIN, "000", SIGNATURE),
            (PIN, "00", "ABCD2345EFGH67I"),
            (PIN, "00", ""),
            (PIN, "00", "ABCD-2345-EFGH-67IJ"),
        ] {
            assert!(
                matches!(
                    link(Environment::Sandbox, pin, branch, signature),
                    Err(ReceiptError::QrPart { .. })
                ),
                "{pin} {branch} {signature}"
            );
        }
        assert_eq!(
            link(Environment::Sandbox, PIN, "0&", SIGNATURE),
            Err(ReceiptError::QrCharacter {
                part: "the branch code"
            })
        );
    }

    #[test]
    fn the_code_and_three_light_squares_fit_the_roll() {
        for environment in Environment::ALL {
            for signature in [SIGNATURE, "ZZZZZZZZZZZZZZZZ", "zzzzzzzzzzzzzzzz"] {
                let link = link(*environment, "Z00000000ZZ", "ZZ", signature).unwrap();
                let side = Squares::of(&link, Damage::Low).side();
                assert!(side + 2 * 3 <= 48, "{link}: {side}");
            }
        }
    }
}
