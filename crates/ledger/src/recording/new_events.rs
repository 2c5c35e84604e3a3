//! What new events do to payments and reversals: locked by their keys, then changed in memory.

use risiti_domain::PaymentId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::recording::event::{EventUpdate, IncomingEvent};
use crate::recording::keys::Keys;
use crate::recording::locked_payments::{LockedPayments, PaymentEvent};
use crate::recording::locked_reversals::LockedReversals;
use crate::recording::owing::MerchantSetups;
use crate::recording::{payment_rows, reversal_rows};

/// Locks every payment that the events lead to, the sales of reversals included.
pub(crate) async fn lock_payments(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
) -> Result<LockedPayments, LedgerError> {
    let mut money = Keys::default();
    let mut checkouts = Keys::default();
    let mut references = Keys::default();
    for event in events {
        let merchant = event.merchant;
        let provider = event.provider;
        if let Some(report) = event.event.body.payment() {
            money.push_known(merchant, provider, report.money_key.as_ref());
            checkouts.push_known(merchant, provider, report.checkout_id.as_ref());
            references.push_known(merchant, provider, report.reference.as_ref());
        }
        if let Some(report) = event.event.body.reversal() {
            money.push(merchant, provider, &report.of_money_key);
        }
    }

    let payments = payment_rows::lock_by_keys(transaction, &money, &checkouts, &references).await?;
    Ok(LockedPayments::new(payments))
}

/// Applies the payment events in their order. Returns which payment each of them is about.
pub(crate) fn apply_payments(
    events: &[&IncomingEvent],
    setups: &MerchantSetups,
    payments: &mut LockedPayments,
) -> Vec<EventUpdate> {
    let mut updates = Vec::with_capacity(events.len());
    for event in events {
        let Some(report) = event.event.body.payment() else {
            continue;
        };
        let payment_event = PaymentEvent {
            event: event.id,
            merchant: event.merchant,
            provider: event.provider,
            authenticated_by: event.authenticated_by,
            report,
            setups,
        };
        let applied = payments.apply(&payment_event, PaymentId::from_uuid(Uuid::now_v7()));
        updates.push(EventUpdate {
            event: event.id,
            payment: Some(applied.payment),
            flagged: applied.flagged,
        });
    }
    updates
}

/// Locks the reversals of all payments that hold money by now, and those that the events are about.
pub(crate) async fn lock_reversals(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
    payments: &LockedPayments,
) -> Result<LockedReversals, LedgerError> {
    let mut sales = Keys::default();
    let mut reversals = Keys::default();
    for payment in payments.current().filter(|payment| payment.holds_money()) {
        sales.push_known(
            payment.merchant,
            payment.provider,
            payment.money_key.as_ref(),
        );
    }
    for event in events {
        if let Some(report) = event.event.body.reversal() {
            sales.push(event.merchant, event.provider, &report.of_money_key);
            reversals.push(event.merchant, event.provider, &report.reversal_key);
        }
    }

    let rows = reversal_rows::lock(transaction, &sales, &reversals).await?;
    Ok(LockedReversals::new(rows))
}

/// Applies the reversal events in their order. The sales are left to
/// [`LockedReversals::apply_to_sales`].
pub(crate) fn apply_reversals(
    events: &[&IncomingEvent],
    reversals: &mut LockedReversals,
    payments: &mut LockedPayments,
) {
    for event in events {
        if let Some(report) = event.event.body.reversal() {
            reversals.apply(event.id, event.merchant, event.provider, report, payments);
        }
    }
}
