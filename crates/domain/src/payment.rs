//! The states of a payment and the moves between them (protocol C7). The database refuses every
//! other move as well.

use serde::{Deserialize, Serialize};

use crate::names::named;

named!(
    /// A payment that turns out to be the same as another one ends as `Folded` (protocol C6).
    /// Reports do not show it.
    PaymentState, "payment state", {
        Pending = "pending",
        Success = "success",
        Failed = "failed",
        Reversed = "reversed",
        Folded = "folded",
    }
);

named!(
    /// How the payer paid. It decides `pmtTyCd` on the tax invoice.
    PaymentMethod, "payment method", {
        MobileMoney = "mobile_money",
        Card = "card",
        Bank = "bank",
        Other = "other",
    }
);

/// A move that rule C7 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment cannot move from {from} to {to}")]
pub struct IllegalMove {
    pub from: PaymentState,
    pub to: PaymentState,
}

impl PaymentState {
    /// Returns the new state if the move is legal. A late success replaces an early failure, and
    /// only a reversal ends a success.
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
    fn exactly_six_moves_are_legal() {
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
