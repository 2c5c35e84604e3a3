//! A row of `invoices`, with what is modelled of its credit note and its late look-up.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvoiceState {
    /// The invoice does not exist yet, and never has to.
    NotYet,
    Pending,
    /// The invoice holds this number.
    Submitting(u8),
    /// The invoice is filed under this number.
    Success(u8),
    Dead,
    Discarded,
}

/// A row of `invoices`, and what its rows of `submissions` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invoice {
    pub state: InvoiceState,
    /// `unknown_since`
    pub unknown: bool,
    /// `hidden_since`
    pub hidden: bool,
    /// `refused_at`
    pub refused: bool,
    /// `discard_wish`
    pub discard_wish: bool,
    pub late_look_up: Option<LateLookUp>,
    /// Numbers under which a send has ended without an answer.
    pub open_sends: Numbers,
    /// Whether our database lost what it knew of its sends.
    pub forgotten: bool,
    /// Whether the dead-letter queue has a message for this invoice.
    pub has_message: bool,
    /// Set for credit notes only.
    pub credit_note: Option<CreditNote>,
}

/// What a credit note has beyond a sale (protocol C9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CreditNote {
    pub sale: u8,
    /// `first_sent_at`
    pub sent: bool,
    /// Whether it was discarded because its sale was.
    pub discarded_with_sale: bool,
    /// Whether the money came back before the credit note was sent.
    pub withdrawn: bool,
}

/// `look_up_no` and `look_up_due_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LateLookUp {
    pub number: u8,
    pub due: bool,
    /// Whether it is the one after 24 hours.
    pub last: bool,
}

/// A set of invoice numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers(u8);

impl Invoice {
    pub(super) fn not_yet() -> Self {
        Self {
            state: InvoiceState::NotYet,
            unknown: false,
            hidden: false,
            refused: false,
            discard_wish: false,
            late_look_up: None,
            open_sends: Numbers::default(),
            forgotten: false,
            has_message: false,
            credit_note: None,
        }
    }

    pub(super) fn is_submitting(&self) -> bool {
        matches!(self.state, InvoiceState::Submitting(_))
    }

    pub(super) fn is_filed(&self) -> bool {
        matches!(self.state, InvoiceState::Success(_))
    }

    pub(super) fn has_due_look_up(&self) -> bool {
        self.late_look_up.is_some_and(|look_up| look_up.due)
    }

    /// Forgets what the sends under the number it held came to.
    pub(super) fn clear_send_facts(&mut self) {
        self.unknown = false;
        self.hidden = false;
        self.refused = false;
    }
}

impl Numbers {
    pub fn has(self, number: u8) -> bool {
        self.0 & (1 << number) != 0
    }

    #[must_use]
    pub fn with(self, number: u8) -> Self {
        Self(self.0 | 1 << number)
    }

    #[must_use]
    pub fn without(self, number: u8) -> Self {
        Self(self.0 & !(1 << number))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn last(self) -> Option<u8> {
        (0..8).rev().find(|number| self.has(*number))
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |number| self.has(*number))
    }
}
