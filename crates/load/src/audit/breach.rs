//! What an audit can find wrong.

use serde::Serialize;

/// The laws of the design, as an outsider can check them.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Law {
    Kept,
    OnePayment,
    OneReceipt,
    Credited,
    Sequence,
    #[serde(rename = "manners")]
    ProtocolConduct,
    Refused,
    NothingInvented,
    #[serde(rename = "history")]
    StateHistory,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Harm {
    Lost,
    Doubled,
    Wrong,
}

#[derive(Serialize, Debug)]
pub(crate) struct Breach {
    pub(crate) law: Law,
    pub(crate) harm: Harm,
    /// The id of the event, payment, invoice or device. Where none exists, it is what identifies
    /// the thing outside, such as a receipt number.
    pub(crate) id: String,
    pub(crate) what: String,
}

#[derive(Default)]
pub(crate) struct Breaches(pub(crate) Vec<Breach>);

impl Law {
    pub(crate) const ALL: [Self; 9] = [
        Self::Kept,
        Self::OnePayment,
        Self::OneReceipt,
        Self::Credited,
        Self::Sequence,
        Self::ProtocolConduct,
        Self::Refused,
        Self::NothingInvented,
        Self::StateHistory,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Kept => "every webhook answered 200 left one event",
            Self::OnePayment => "money reported n times is one payment, exact to the cent",
            Self::OneReceipt => {
                "every payment that owes a receipt has one sale at KRA, or a reason"
            }
            Self::Credited => "money that went back was credited once and exactly",
            Self::Sequence => "numbers run from 1 without a gap, and receipts agree",
            Self::ProtocolConduct => "no call to KRA broke the protocol",
            Self::Refused => {
                "forged and malformed requests were refused, and the authentic ones kept"
            }
            Self::NothingInvented => "no event, payment or sale exists without a webhook",
            Self::StateHistory => "every state was reached by recorded transitions",
        }
    }
}

impl Breaches {
    pub(crate) fn lost(&mut self, law: Law, id: impl Into<String>, what: impl Into<String>) {
        self.add(law, Harm::Lost, id, what);
    }

    pub(crate) fn doubled(&mut self, law: Law, id: impl Into<String>, what: impl Into<String>) {
        self.add(law, Harm::Doubled, id, what);
    }

    pub(crate) fn wrong(&mut self, law: Law, id: impl Into<String>, what: impl Into<String>) {
        self.add(law, Harm::Wrong, id, what);
    }

    fn add(&mut self, law: Law, harm: Harm, id: impl Into<String>, what: impl Into<String>) {
        self.0.push(Breach {
            law,
            harm,
            id: id.into(),
            what: what.into(),
        });
    }

    pub(crate) fn count_harm(&self, harm: Harm) -> usize {
        self.0.iter().filter(|breach| breach.harm == harm).count()
    }

    pub(crate) fn count_against(&self, law: Law) -> usize {
        self.0.iter().filter(|breach| breach.law == law).count()
    }
}
