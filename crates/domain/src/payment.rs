//! The payment state machine (protocol C7). The database refuses every other move as well.

use crate::provider::named;
use serde::{Deserialize, Serialize};

named!(
    /// `Folded` is where an empty payment ends when its receipt and its checkout id turn out to be
    /// two views of one payment (protocol C6). Reports do not show it.
    PaymentState, "payment state", {
        Pending = "pending",
        Success = "success",
        Failed = "failed",
        Reversed = "reversed",
        Folded = "folded",
    }
);

named!(
    /// How the payer paid; decides `pmtTyCd` on the tax invoice.
    PaymentMethod, "payment method", {
        MobileMoney = "mobile_money",
        Card = "card",
        Bank = "bank",
        Other = "other",
    }
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment cannot move from {from} to {to}")]
pub struct IllegalMove {
    pub from: PaymentState,
    pub to: PaymentState,
}

impl PaymentState {
    /// Money wins: a late success beats an early failure, and nothing un-pays a payment but a reversal.
    pub fn move_to(self, to: Self) -> Result<Self, IllegalMove> {
        use PaymentState::{Failed, Folded, Pending, Reversed, Success};
        match (self, to) {
            (Pending, Success | Failed | Folded)
            | (Failed, Success | Folded)
            | (Success, Reversed) => Ok(to),
            (from, to) => Err(IllegalMove { from, to }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legal_moves_are_these_six_and_no_others() {
        let mut legal = Vec::new();
        for from in PaymentState::ALL {
            for to in PaymentState::ALL {
                if from.move_to(*to).is_ok() {
                    legal.push(format!("{from} → {to}"));
                }
            }
        }
        assert_eq!(
            legal,
            [
                "pending → success",
                "pending → failed",
                "pending → folded",
                "success → reversed",
                "failed → success",
                "failed → folded",
            ]
        );
    }
}
