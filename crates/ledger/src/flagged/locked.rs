//! What a decision does to a flagged payment and its reversals, in memory under their row locks.

use risiti_domain::{EventId, Money, PaymentState};
use rust_decimal::Decimal;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::flagged::decide::FlagDecision;
use crate::recording::locked_payments::{FlagEnd, LockedPayments};
use crate::recording::locked_reversals::LockedReversals;
use crate::recording::owing::MerchantSetups;
use crate::recording::payment::Payment;
use crate::recording::recorded::RecordedBatch;
use crate::recording::reversal::ReversalState;
use crate::recording::verdict::SHORT_CODE_UNKNOWN;
use crate::recording::{invoices, payment_writes, reversal_rows};

const NOT_PAID: &str = "no message says that it was paid, so it can only be dismissed";
const NOTHING_TO_SETTLE: &str =
    "nothing of it waits to be settled: look at it, correct what is wrong, then dismiss it";
const AMOUNT_NEEDED: &str = "say how much went back in all: --refunded AMOUNT";
const AMOUNT_NOT_NEEDED: &str = "no message of it leaves open how much went back";
const DOES_NOT_FIT: &str =
    "what went back does not fit what is left of the sale: correct it at KRA, then dismiss it";

/// A payment and its reversals under lock, with what they depend on.
pub(crate) struct Locked {
    pub(crate) payments: LockedPayments,
    pub(crate) reversals: LockedReversals,
    pub(crate) setups: MerchantSetups,
}

impl Locked {
    pub(crate) fn decide(
        &mut self,
        before: &Payment,
        decision: &FlagDecision,
        event: EventId,
    ) -> Result<(), &'static str> {
        let because = decision.because().to_owned();
        let counted = FlagEnd {
            state: match before.state {
                PaymentState::Pending | PaymentState::Failed => PaymentState::Success,
                state => state,
            },
            reason: self.setups.owes_nothing(before).map(str::to_owned),
            because: because.clone(),
        };
        match decision {
            FlagDecision::Dismiss { by } => {
                let reason = format!("dismissed by {}: {}", by.operator, by.reason);
                let end = FlagEnd {
                    state: match before.state {
                        PaymentState::Pending => PaymentState::Failed,
                        state => state,
                    },
                    reason: Some(reason),
                    because,
                };
                self.payments.end_flag(before.id, end, event);
                for row in self.reversals.undecided(before.id) {
                    row.change(ReversalState::Dismissed, None);
                }
                Ok(())
            }
            FlagDecision::ShortCodeRegistered => {
                let is_too_much = before
                    .amount
                    .is_some_and(|amount| self.setups.is_above_ceiling(before.merchant, amount));
                if is_too_much || before.reason.as_deref() != Some(SHORT_CODE_UNKNOWN) {
                    return Err(NOTHING_TO_SETTLE);
                }
                self.count(before, counted, event)?;
                self.reversals.apply_to_sales(&mut self.payments);
                Ok(())
            }
            FlagDecision::Settle { refunded, .. } => {
                let undecided = self.reversals.undecided(before.id).count();
                if before.holds_money() && undecided == 0 {
                    return Err(NOTHING_TO_SETTLE);
                }
                self.count(before, counted, event)?;
                self.credit(before, *refunded)
            }
        }
    }

    /// Counts the payment as paid, if it is not counted yet, and ends its flag.
    fn count(
        &mut self,
        before: &Payment,
        end: FlagEnd,
        event: EventId,
    ) -> Result<(), &'static str> {
        let is_told = before.money_key.is_some() && before.authenticated_by.is_some();
        let has_amount = before.amount.is_some_and(|amount| !amount.is_zero());
        if before.holds_money() || (is_told && has_amount) {
            self.payments.end_flag(before.id, end, event);
            return Ok(());
        }
        Err(NOT_PAID)
    }

    /// Credits what went back and was left to a person.
    fn credit(&mut self, before: &Payment, refunded: Option<Decimal>) -> Result<(), &'static str> {
        let currency = before.amount.map(|amount| amount.currency());
        let mut refunded = match (refunded, currency) {
            (Some(amount), Some(currency)) => {
                let money = Money::new(amount, currency).map_err(|_| AMOUNT_NEEDED)?;
                Some(money).filter(|money| !money.is_zero())
            }
            _ => None,
        };
        let was_given = refunded.is_some();
        let mut was_needed = false;
        for row in self.reversals.undecided(before.id) {
            row.confirmed = true;
            if row.state == ReversalState::Unstated {
                was_needed = true;
                // One amount stands for all of them.
                row.amount = refunded.take();
            }
            // The whole of a sale of which nothing was left needs no further credit note.
            let state = match row.amount {
                Some(_) => ReversalState::Waiting,
                None => ReversalState::Dismissed,
            };
            row.change(state, None);
        }
        match (was_needed, was_given) {
            (true, false) => return Err(AMOUNT_NEEDED),
            (false, true) => return Err(AMOUNT_NOT_NEEDED),
            _ => {}
        }

        self.reversals.apply_to_sales(&mut self.payments);
        if self.reversals.undecided(before.id).next().is_some() {
            return Err(DOES_NOT_FIT);
        }
        Ok(())
    }

    pub(crate) async fn write(
        &self,
        transaction: &Transaction<'_>,
        actor: &str,
    ) -> Result<(), LedgerError> {
        // Nobody counts or wakes by what is collected here.
        let mut recorded = RecordedBatch::new(&[], &[]);
        payment_writes::write(transaction, &self.payments.writes, actor).await?;
        reversal_rows::write(transaction, &self.reversals.rows).await?;
        invoices::insert_sales(
            transaction,
            &self.payments,
            &self.setups,
            actor,
            &mut recorded,
        )
        .await?;
        let notes = &self.reversals.credit_notes;
        invoices::issue_notes(transaction, notes, actor, &mut recorded).await
    }
}
