//! What KRA's texts leave open, as settings. `docs/receipts.md` tells why each default is the safer
//! one.

/// The open questions of the printed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// THIS IS NOT AN OFFICIAL RECEIPT under the word COPY.
    pub sentence_on_copies: bool,
    /// The label after the CU invoice number, as in `KRACU0400009999/42 NS`.
    pub label_on_cu_invoice_no: bool,
    pub credit_totals: CreditTotals,
    pub items_number: ItemsNumber,
    pub control_unit_time: ControlUnitTime,
    /// A row of its own for the exempt total, beside the row EX of the tax table.
    pub exempt_total: bool,
}

/// What `TOTAL B-16.00%` of a credit note sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditTotals {
    WithoutTax,
    WithTax,
}

/// What `ITEMS NUMBER` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemsNumber {
    Lines,
    /// The sum of the quantities.
    Pieces,
}

/// The time under SCU INFORMATION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlUnitTime {
    /// The control unit's own, from KRA's answer.
    ControlUnit,
    /// The time at which the request was sent, as under TIS INFORMATION.
    Sent,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            sentence_on_copies: true,
            label_on_cu_invoice_no: false,
            credit_totals: CreditTotals::WithoutTax,
            items_number: ItemsNumber::Lines,
            control_unit_time: ControlUnitTime::ControlUnit,
            exempt_total: false,
        }
    }
}
