//! What a person says about a number, beside what KRA said or showed.
//!
//! A false receipt number has no way back, and an accepted sale that is called another's is filed
//! twice. So a word that contradicts KRA is refused until the person insists.

use risiti_domain::InvoiceId;

use crate::lanes::evidence::FoundAtKra;
use crate::lanes::halt_by_hand::LaneRefusal;

/// What is done about a command that contradicts what KRA said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnContradiction {
    Refuse,
    /// The person insists. The audit keeps what was contradicted.
    Force,
}

impl OnContradiction {
    /// Refuses a contradiction, or returns it as what was forced.
    pub(crate) fn forced(
        self,
        contradiction: Option<String>,
    ) -> Result<Option<String>, LaneRefusal> {
        match (contradiction, self) {
            (Some(why), Self::Refuse) => Err(LaneRefusal::Contradicted(why)),
            (contradiction, _) => Ok(contradiction),
        }
    }
}

/// What KRA said about the number that halted a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KraEvidence {
    pub(crate) found: Option<FoundAtKra>,
    /// The number that KRA expects next.
    pub(crate) expected: Option<i64>,
}

/// What a person says about a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    TakenElsewhere {
        /// The invoice that was found has its receipt under another number.
        found_is_filed: bool,
    },
    NotAccepted,
    Accepted {
        invoice: InvoiceId,
        receipt_no: i64,
    },
}

impl KraEvidence {
    /// Whether a look-up showed a sale under the number.
    pub(crate) fn shows(&self, number: i64) -> bool {
        let found = self.found.as_ref();
        found.is_some_and(|found| found.invoice_no == number)
    }

    /// Why a person's word about one number cannot be true if KRA's is.
    pub(crate) fn contradiction(&self, number: i64, word: Word) -> Option<String> {
        match &self.found {
            Some(found) if found.invoice_no == number => against_found(found, word),
            _ => self.against_expected(number, word),
        }
    }

    /// Why the numbers up to this one cannot all be another system's if KRA's word is true.
    pub(crate) fn contradiction_through(&self, from: i64, through: i64) -> Option<String> {
        if let Some(expected) = self.expected.filter(|expected| *expected <= through) {
            return Some(format!(
                "KRA expects number {expected} next, so that it has nothing under {expected} and above"
            ));
        }
        let found = self.found.as_ref()?;
        let is_ours = found.invoice_id.is_some() && (from..=through).contains(&found.invoice_no);
        is_ours.then(|| found.text())
    }

    fn against_expected(&self, number: i64, word: Word) -> Option<String> {
        let expected = self.expected?;
        match word {
            Word::NotAccepted if expected > number => Some(format!(
                "KRA expects number {expected} next, so that {number} is taken"
            )),
            Word::TakenElsewhere { .. } | Word::Accepted { .. } if expected <= number => {
                Some(format!(
                    "KRA expects number {expected} next, so that it has nothing under {number}"
                ))
            }
            _ => None,
        }
    }
}

fn against_found(found: &FoundAtKra, word: Word) -> Option<String> {
    let agrees = match (word, found.invoice_id) {
        (Word::NotAccepted, _) | (Word::Accepted { .. }, None) => false,
        (Word::TakenElsewhere { found_is_filed }, Some(_)) => found_is_filed,
        (Word::TakenElsewhere { .. }, None) => true,
        (
            Word::Accepted {
                invoice,
                receipt_no,
            },
            Some(ours),
        ) => invoice == ours && receipt_no == found.receipt_no,
    };
    (!agrees).then(|| found.text())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    const TAKEN: Word = Word::TakenElsewhere {
        found_is_filed: false,
    };

    fn id(number: u128) -> InvoiceId {
        InvoiceId::from_uuid(Uuid::from_u128(number))
    }

    fn accepted(invoice: u128, receipt_no: i64) -> Word {
        Word::Accepted {
            invoice: id(invoice),
            receipt_no,
        }
    }

    fn found(invoice: Option<u128>) -> KraEvidence {
        KraEvidence {
            found: Some(FoundAtKra {
                invoice_no: 412,
                invoice_id: invoice.map(id),
                amount: None,
                trader_number: None,
                issued_at: None,
                receipt_no: 398,
                looked_up_at: Timestamp::UNIX_EPOCH,
            }),
            expected: None,
        }
    }

    fn expects(expected: i64) -> KraEvidence {
        KraEvidence {
            found: None,
            expected: Some(expected),
        }
    }

    #[test]
    fn foreign_sale_is_neither_ours_nor_nothing() {
        let foreign = found(None);
        assert_eq!(foreign.contradiction(412, TAKEN), None);
        for word in [Word::NotAccepted, accepted(1, 398)] {
            let why = foreign.contradiction(412, word).unwrap();
            assert!(why.contains("KRA has under 412"), "{why}");
        }
        assert_eq!(foreign.contradiction_through(400, 415), None);
    }

    #[test]
    fn our_sale_is_accepted_with_the_receipt_that_was_found() {
        let ours = found(Some(1));
        assert_eq!(ours.contradiction(412, accepted(1, 398)), None);
        for word in [
            accepted(1, 999_999),
            accepted(2, 398),
            Word::NotAccepted,
            TAKEN,
        ] {
            assert!(ours.contradiction(412, word).is_some(), "{word:?}");
        }
        assert!(ours.contradiction_through(400, 415).is_some());
        let filed_elsewhere = Word::TakenElsewhere {
            found_is_filed: true,
        };
        assert_eq!(ours.contradiction(412, filed_elsewhere), None);
    }

    #[test]
    fn number_below_the_expected_one_is_taken_and_no_other_is() {
        assert!(expects(413).contradiction(412, Word::NotAccepted).is_some());
        assert_eq!(expects(413).contradiction(412, TAKEN), None);
        assert_eq!(expects(413).contradiction(412, accepted(1, 5)), None);
        assert!(expects(411).contradiction(412, TAKEN).is_some());
        assert!(expects(411).contradiction(412, accepted(1, 5)).is_some());
        assert_eq!(expects(411).contradiction(412, Word::NotAccepted), None);
        assert_eq!(expects(413).contradiction_through(1, 412), None);
        assert!(expects(413).contradiction_through(1, 413).is_some());
        assert_eq!(KraEvidence::default().contradiction(1, TAKEN), None);
    }
}
