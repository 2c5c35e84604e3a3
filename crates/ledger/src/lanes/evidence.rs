//! What a look-up showed that halted a lane, as the lane keeps it for the person who looks.

use jiff::Timestamp;
use jiff::tz::Offset;
use risiti_domain::InvoiceId;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// KRA's portal shows times of Nairobi. Kenya keeps UTC+3 all year.
const NAIROBI: Offset = Offset::constant(3);

/// A sale that KRA has under a number. It names neither the buyer nor a PIN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundAtKra {
    pub invoice_no: i64,
    /// The invoice of this lane that the sale's remark names. `None` for a foreign sale.
    pub invoice_id: Option<InvoiceId>,
    pub amount: Option<Decimal>,
    /// The number that the seller's own system gave it.
    pub trader_number: Option<String>,
    /// When KRA accepted it.
    pub issued_at: Option<Timestamp>,
    pub receipt_no: i64,
    pub looked_up_at: Timestamp,
}

impl FoundAtKra {
    /// Tells what KRA has, in the words of the commands.
    pub fn text(&self) -> String {
        let mut facts = Vec::new();
        if let Some(amount) = self.amount {
            facts.push(format!("KES {amount:.2}"));
        }
        match (&self.invoice_id, &self.trader_number) {
            (Some(invoice), _) => facts.push(format!("our invoice {invoice}")),
            (None, Some(number)) => facts.push(number.clone()),
            (None, None) => {}
        }
        facts.push(format!("receipt {}", self.receipt_no));
        if let Some(at) = self.issued_at {
            let at = NAIROBI.to_datetime(at).strftime("%H:%M on %Y-%m-%d");
            facts.push(format!("{at} in Nairobi"));
        }
        format!("KRA has under {}: {}", self.invoice_no, facts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_what_the_portal_shows() {
        let found = FoundAtKra {
            invoice_no: 414,
            invoice_id: None,
            amount: Some(888.into()),
            trader_number: Some("TILL-9".to_owned()),
            issued_at: "2026-11-28T08:31:02Z".parse().ok(),
            receipt_no: 400,
            looked_up_at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            found.text(),
            "KRA has under 414: KES 888.00, TILL-9, receipt 400, 11:31 on 2026-11-28 in Nairobi"
        );
        let bare = FoundAtKra {
            amount: None,
            trader_number: None,
            issued_at: None,
            ..found
        };
        assert_eq!(bare.text(), "KRA has under 414: receipt 400");
    }
}
