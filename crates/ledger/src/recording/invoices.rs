//! The invoices that new events bring about: sales that are owed, sales that change their lane, and
//! credit notes.

use std::collections::HashMap;

use risiti_domain::{DeviceId, PaymentId};

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::recording::credit_notes::{self, WithdrawalOutcome};
use crate::recording::event::EventUpdate;
use crate::recording::locked_payments::LockedPayments;
use crate::recording::locked_reversals::LockedReversals;
use crate::recording::owing::{self, LaneChange, MerchantSetups, OwedSale};
use crate::recording::recorded::RecordedBatch;
use crate::recording::reversal::NewCreditNote;

/// The device that would file each payment, by what is known of the payments now.
pub(crate) fn devices(
    payments: &LockedPayments,
    setups: &MerchantSetups,
) -> HashMap<PaymentId, Option<DeviceId>> {
    payments
        .current()
        .map(|payment| (payment.id, setups.device(payment)))
        .collect()
}

/// Inserts a sale for every payment that became `success` in this batch and owes one.
pub(crate) async fn insert_sales(
    transaction: &Transaction<'_>,
    payments: &LockedPayments,
    setups: &MerchantSetups,
    actor: &str,
    recorded: &mut RecordedBatch,
) -> Result<(), LedgerError> {
    let paid = payments
        .writes
        .iter()
        .filter(|write| write.became_success());
    let sales: Vec<OwedSale<'_>> = paid
        .filter_map(|write| {
            // As it is at the end of the batch: its twin may have named the short code after this
            // write.
            let payment = payments.get(write.payment.id)?;
            if setups.owes_nothing(payment).is_some() {
                return None;
            }
            Some(OwedSale {
                payment,
                device: setups.device(payment)?,
                event: write.event,
            })
        })
        .collect();

    owing::insert_sales(transaction, &sales, actor).await?;
    for sale in &sales {
        recorded.wake(sale.event, sale.device);
    }
    Ok(())
}

/// Moves invoices that were never sent to the device of the short code that a C2B twin names
/// (protocol C8).
pub(crate) async fn move_unsent(
    transaction: &Transaction<'_>,
    payments: &LockedPayments,
    setups: &MerchantSetups,
    devices_before: &HashMap<PaymentId, Option<DeviceId>>,
    updates: &[EventUpdate],
    recorded: &mut RecordedBatch,
) -> Result<(), LedgerError> {
    for payment in payments.current().filter(|payment| payment.holds_money()) {
        let Some(device) = setups.device(payment) else {
            continue;
        };
        // A payment of this batch has no device from before, and its sale was inserted with the
        // right one.
        let device_changed = devices_before
            .get(&payment.id)
            .is_some_and(|before| *before != Some(device));
        if !device_changed {
            continue;
        }

        if owing::move_unsent(transaction, payment.id, device).await? == LaneChange::Moved {
            let update = updates
                .iter()
                .find(|update| update.payment == Some(payment.id));
            if let Some(update) = update {
                recorded.wake(update.event, device);
            }
        }
    }
    Ok(())
}

/// Withdraws the credit notes of money that is here after all. Those that were sent stand and flag
/// their payment.
pub(crate) async fn withdraw_notes(
    transaction: &Transaction<'_>,
    reversals: &mut LockedReversals,
    payments: &mut LockedPayments,
) -> Result<(), LedgerError> {
    for withdrawal in std::mem::take(&mut reversals.withdrawals) {
        match credit_notes::withdraw(transaction, &withdrawal).await? {
            WithdrawalOutcome::Gone => {}
            WithdrawalOutcome::Stands => reversals.note_stands(&withdrawal, payments),
        }
    }
    Ok(())
}

/// Issues the credit notes of money that went back.
pub(crate) async fn issue_notes(
    transaction: &Transaction<'_>,
    notes: &[NewCreditNote],
    actor: &str,
    recorded: &mut RecordedBatch,
) -> Result<(), LedgerError> {
    for note in notes {
        if let Some(lane) = credit_notes::issue(transaction, note, actor).await? {
            recorded.wake(note.event, lane);
        }
    }
    Ok(())
}
