//! Ending the flag of a payment: by a person's word, or because what was missing is there now
//! (protocol C12).

use risiti_domain::{EventId, MerchantId, Money, PaymentId, PaymentState, Provider};
use rust_decimal::Decimal;
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::flagged::locked::Locked;
use crate::operator_actions::{OperatorAction, RecordedChange, differences};
use crate::recording::batch::LEDGER_WORKER;
use crate::recording::keys::Keys;
use crate::recording::locked_payments::LockedPayments;
use crate::recording::locked_reversals::LockedReversals;
use crate::recording::owing::MerchantSetups;
use crate::recording::payment::Payment;
use crate::recording::stripes::Stripes;
use crate::recording::{payment_rows, reversal_rows};

statements! {
    /// The payment's keys, and its first event, which stands for what is done now. The smallest is
    /// found among the payment's events, as the plan of ORDER BY and LIMIT could walk through all.
    FLAGGED = "
        SELECT p.merchant_id, p.provider, p.money_key, p.checkout_id, p.reference,
               (SELECT min(e.id::text)::uuid FROM events e WHERE e.payment_id = p.id)
        FROM payments p WHERE p.id = $1 AND p.conflict AND p.state <> 'folded'";
    END_EVENT_FLAGS = "UPDATE events SET conflict = false WHERE payment_id = $1 AND conflict";
}

/// What is decided of a flagged payment.
#[derive(Clone, Debug)]
pub enum FlagDecision {
    /// What its messages say is so. Money that came in is counted, money that went back is
    /// credited. `refunded` is how much went back in all by messages that do not say.
    Settle {
        refunded: Option<Decimal>,
        by: OperatorAction,
    },
    /// What its messages say is not so, or the books have it already.
    Dismiss { by: OperatorAction },
    /// Its short code was registered after the money came.
    ShortCodeRegistered,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagOutcome {
    Ended {
        from: PaymentState,
        to: PaymentState,
    },
    /// It is not flagged, or no longer.
    Overtaken,
    /// Nothing was changed, for this reason.
    Refused(&'static str),
}

/// What a decision would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagPreview {
    WouldEnd {
        from: PaymentState,
        to: PaymentState,
        /// The sum of the credit notes that would follow.
        credited: Option<Money>,
    },
    /// It is not flagged, or no longer.
    Overtaken,
    /// Nothing would be changed, for this reason.
    Refused(&'static str),
}

const NO_EVENT: &str = "no message of it is recorded";
/// The keys of a flagged payment.
struct Flagged {
    merchant: MerchantId,
    provider: Provider,
    money_key: Option<String>,
    checkout_id: Option<String>,
    reference: Option<String>,
    event: Option<EventId>,
}

impl Ledger {
    /// Ends the flag of a payment, with the sale and the credit notes that follow. Repeating it
    /// changes nothing. New invoices are left to the wake loop.
    pub async fn end_flag(
        &self,
        payment: PaymentId,
        decision: &FlagDecision,
    ) -> Result<FlagOutcome, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let decided = match Decided::make(&transaction, payment, decision).await? {
            Ok(decided) => decided,
            Err(outcome) => return Ok(outcome),
        };

        let Decided { before, to, locked } = decided;
        locked.write(&transaction, decision.actor()).await?;
        transaction
            .execute(END_EVENT_FLAGS, &[&payment.uuid()])
            .await?;
        record_decision(&transaction, &before, to, decision).await?;
        transaction.commit().await?;
        Ok(FlagOutcome::Ended {
            from: before.state,
            to,
        })
    }

    /// Tells what [`end_flag`](Self::end_flag) would do, by the same checks. Changes nothing.
    pub async fn preview_flag_end(
        &self,
        payment: PaymentId,
        decision: &FlagDecision,
    ) -> Result<FlagPreview, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        Ok(
            match Decided::make(&transaction, payment, decision).await? {
                Ok(decided) => FlagPreview::WouldEnd {
                    from: decided.before.state,
                    to: decided.to,
                    credited: decided.credited(),
                },
                Err(FlagOutcome::Refused(why)) => FlagPreview::Refused(why),
                Err(FlagOutcome::Overtaken | FlagOutcome::Ended { .. }) => FlagPreview::Overtaken,
            },
        )
    }
}

/// A decision that is made under the locks of the payment, and not written yet.
struct Decided {
    before: Payment,
    to: PaymentState,
    locked: Locked,
}

impl Decided {
    /// Makes the decision in memory. The inner error is the outcome where there is nothing to
    /// write.
    async fn make(
        transaction: &Transaction<'_>,
        payment: PaymentId,
        decision: &FlagDecision,
    ) -> Result<Result<Self, FlagOutcome>, LedgerError> {
        let row = transaction.query_opt(FLAGGED, &[&payment.uuid()]).await?;
        let Some(row) = row else {
            return Ok(Err(FlagOutcome::Overtaken));
        };
        let flagged = flagged(&row, payment)?;
        let Some(event) = flagged.event else {
            return Ok(Err(FlagOutcome::Refused(NO_EVENT)));
        };

        let mut locked = flagged.lock(transaction).await?;
        let known = locked.payments.get(payment).cloned();
        let Some(before) = known.filter(|known| known.conflict && known.folded_into.is_none())
        else {
            return Ok(Err(FlagOutcome::Overtaken));
        };
        if let Err(why) = locked.decide(&before, decision, event) {
            return Ok(Err(FlagOutcome::Refused(why)));
        }
        let to = locked
            .payments
            .get(payment)
            .map_or(before.state, |after| after.state);
        Ok(Ok(Self { before, to, locked }))
    }

    /// The sum of the credit notes that follow.
    fn credited(&self) -> Option<Money> {
        let notes = &self.locked.reversals.credit_notes;
        let sum: Decimal = notes.iter().map(|note| note.amount).sum();
        let currency = self.before.amount?.currency();
        Money::new(sum, currency).ok().filter(|sum| !sum.is_zero())
    }
}

impl FlagDecision {
    fn actor(&self) -> &str {
        match self {
            Self::Settle { by, .. } | Self::Dismiss { by } => &by.operator,
            Self::ShortCodeRegistered => LEDGER_WORKER,
        }
    }

    pub(crate) fn because(&self) -> &str {
        match self {
            Self::Settle { by, .. } | Self::Dismiss { by } => &by.reason,
            Self::ShortCodeRegistered => "its short code is registered now",
        }
    }
}

impl Flagged {
    async fn lock(&self, transaction: &Transaction<'_>) -> Result<Locked, LedgerError> {
        let mut stripes = Stripes::default();
        for key in [&self.money_key, &self.reference].into_iter().flatten() {
            stripes.take_alone(self.merchant, self.provider, key);
        }
        stripes.lock(transaction).await?;

        let keys = |key: &Option<String>| {
            let mut keys = Keys::default();
            keys.push_known(self.merchant, self.provider, key.as_ref());
            keys
        };
        let money_keys = keys(&self.money_key);
        let payments = payment_rows::lock_by_keys(
            transaction,
            &money_keys,
            &keys(&self.checkout_id),
            &keys(&self.reference),
        )
        .await?;
        let reversals = reversal_rows::lock(transaction, &money_keys, &Keys::default()).await?;
        Ok(Locked {
            payments: LockedPayments::new(payments),
            reversals: LockedReversals::new(reversals),
            setups: MerchantSetups::load(transaction, &[self.merchant]).await?,
        })
    }
}

/// Writes down what a person decided, with the state before and after.
async fn record_decision(
    transaction: &Transaction<'_>,
    before: &Payment,
    to: PaymentState,
    decision: &FlagDecision,
) -> Result<(), LedgerError> {
    let (command, by, refunded) = match decision {
        FlagDecision::Settle { refunded, by } => ("payments settle", by, *refunded),
        FlagDecision::Dismiss { by } => ("payments dismiss", by, None),
        FlagDecision::ShortCodeRegistered => return Ok(()),
    };
    let subject = json!({
        "payment_id": before.id,
        "from": { "state": before.state, "flagged": true, "reason": before.reason },
        "to": { "state": to, "flagged": false },
        "refunded": refunded,
    });
    let old = json!({ "state": before.state, "flagged": true });
    let new = json!({ "state": to, "flagged": false });
    let change = RecordedChange {
        operator: &by.operator,
        reason: Some(&by.reason),
        subject,
        changes: differences(&old, &new, &[]),
    };
    transaction.record_change(command, change).await
}

fn flagged(row: &Row, payment: PaymentId) -> Result<Flagged, LedgerError> {
    let provider: &str = row.try_get(1)?;
    Ok(Flagged {
        merchant: MerchantId::from_uuid(row.try_get(0)?),
        provider: provider.parse().map_err(|_| LedgerError::Stored {
            table: "payments",
            column: "provider",
            row: payment.to_string(),
        })?,
        money_key: row.try_get(2)?,
        checkout_id: row.try_get(3)?,
        reference: row.try_get(4)?,
        event: row.try_get::<_, Option<Uuid>>(5)?.map(EventId::from_uuid),
    })
}
