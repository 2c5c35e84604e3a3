//! KRA's labels: what a printed receipt is, and whether it is the original.

use risiti_domain::InvoiceKind;

use crate::input::Print;

/// KRA's label of a receipt, by kind and by whether it is the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    NormalSale,
    NormalCredit,
    CopyOfSale,
    CopyOfCredit,
}

impl Label {
    pub(crate) fn of(kind: InvoiceKind, print: Print) -> Self {
        match (kind, print) {
            (InvoiceKind::Sale, Print::Original) => Self::NormalSale,
            (InvoiceKind::CreditNote, Print::Original) => Self::NormalCredit,
            (InvoiceKind::Sale, Print::Copy) => Self::CopyOfSale,
            (InvoiceKind::CreditNote, Print::Copy) => Self::CopyOfCredit,
        }
    }

    pub(crate) const fn of_copy(self) -> Self {
        match self {
            Self::NormalSale | Self::CopyOfSale => Self::CopyOfSale,
            Self::NormalCredit | Self::CopyOfCredit => Self::CopyOfCredit,
        }
    }

    /// KRA's two letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NormalSale => "NS",
            Self::NormalCredit => "NC",
            Self::CopyOfSale => "CS",
            Self::CopyOfCredit => "CC",
        }
    }

    pub const fn is_copy(self) -> bool {
        matches!(self, Self::CopyOfSale | Self::CopyOfCredit)
    }

    pub const fn is_credit(self) -> bool {
        matches!(self, Self::NormalCredit | Self::CopyOfCredit)
    }
}
