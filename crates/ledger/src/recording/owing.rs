//! Who owes a tax invoice, through which device, and the invoices that follow (protocol C8).

use std::collections::{BTreeMap, HashMap};

use risiti_domain::{Currency, DeviceId, EventId, MerchantId, Money, PaymentId, Provider};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pipeline::{PIPELINE, pipelined};
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::payment::Payment;

statements! {
    SHORT_CODES = "SELECT merchant_id, short_code, device_id FROM short_codes WHERE merchant_id = ANY($1)";
    DEVICES = "
        SELECT merchant_id, id FROM devices WHERE merchant_id = ANY($1)
        ORDER BY merchant_id, is_default DESC, created_at, id";
    INSERT_SALE = "
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by, moved_because, moved_event)
        VALUES ($1, $2, $3, $4, 'sale', $5, $6, 'ledger-worker', 'the payment owes a receipt', $6)
        ON CONFLICT (payment_id) WHERE kind = 'sale' DO NOTHING";
    /// Only what was never sent: KRA may know the rest under the old device's number. Credit notes
    /// go along, none of them can have been sent before its sale.
    MOVE_UNSENT = "
        UPDATE invoices i SET device_id = $2, position = nextval('lane_position')
        WHERE i.payment_id = $1 AND i.device_id <> $2 AND i.state = 'pending' AND i.first_sent_at IS NULL
          AND NOT EXISTS (SELECT FROM invoices o JOIN submissions s ON s.invoice_id = o.id WHERE o.payment_id = $1)";
}

pub(crate) const NOT_IN_KES: &str = "owes no receipt: not in KES";
pub(crate) const NO_DEVICE: &str = "owes no receipt: the merchant had no tax device";

/// What owing depends on, of the merchants of one batch.
pub(crate) struct Merchants(HashMap<MerchantId, Merchant>);

#[derive(Default)]
struct Merchant {
    short_codes: BTreeMap<String, Option<DeviceId>>,
    /// The default first, then the oldest.
    devices: Vec<DeviceId>,
}

impl Merchants {
    pub(crate) async fn load(
        transaction: &Transaction<'_>,
        ids: &[MerchantId],
    ) -> Result<Self, LedgerError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let mut merchants: HashMap<MerchantId, Merchant> = HashMap::new();
        for row in transaction.query(SHORT_CODES, &[&ids]).await? {
            let device: Option<Uuid> = row.try_get(2)?;
            let merchant = merchants
                .entry(MerchantId::from_uuid(row.try_get(0)?))
                .or_default();
            merchant
                .short_codes
                .insert(row.try_get(1)?, device.map(DeviceId::from_uuid));
        }
        for row in transaction.query(DEVICES, &[&ids]).await? {
            let merchant = merchants
                .entry(MerchantId::from_uuid(row.try_get(0)?))
                .or_default();
            merchant.devices.push(DeviceId::from_uuid(row.try_get(1)?));
        }
        Ok(Self(merchants))
    }

    pub(crate) fn knows_short_code(&self, merchant: MerchantId, short_code: &str) -> bool {
        self.0
            .get(&merchant)
            .is_some_and(|merchant| merchant.short_codes.contains_key(short_code))
    }

    /// Why a payment of this amount would owe no tax invoice, if it would owe none.
    pub(crate) fn owes_nothing(
        &self,
        merchant: MerchantId,
        amount: Option<Money>,
    ) -> Option<&'static str> {
        if amount.is_some_and(|amount| amount.currency() != Currency::KES) {
            return Some(NOT_IN_KES);
        }
        let has_device = self
            .0
            .get(&merchant)
            .is_some_and(|merchant| !merchant.devices.is_empty());
        (!has_device).then_some(NO_DEVICE)
    }

    /// The device bound to the short code, else the merchant's default, else its oldest: a merchant
    /// that has a device owes a receipt, whatever nobody configured.
    pub(crate) fn device(&self, payment: &Payment) -> Option<DeviceId> {
        let merchant = self.0.get(&payment.merchant)?;
        merchant
            .bound(payment)
            .or_else(|| merchant.devices.first().copied())
    }
}

impl Merchant {
    /// An STK callback names no short code; of a merchant with exactly one it counts as that one.
    /// So does a code that is not registered, or the choice would depend on which twin came first.
    fn bound(&self, payment: &Payment) -> Option<DeviceId> {
        if payment.provider != Provider::Daraja {
            return None;
        }
        let named = payment
            .short_code
            .as_ref()
            .and_then(|code| self.short_codes.get(code));
        let only = || {
            self.short_codes
                .values()
                .next()
                .filter(|_| self.short_codes.len() == 1)
        };
        *named.or_else(only)?
    }
}

/// A payment that owes an invoice, and the event that made it owe one.
pub(crate) struct Owing<'a> {
    pub(crate) payment: &'a Payment,
    pub(crate) device: DeviceId,
    pub(crate) event: EventId,
}

/// One sale per payment, whatever is asked.
pub(crate) async fn insert_sales(
    transaction: &Transaction<'_>,
    owing: &[Owing<'_>],
) -> Result<(), LedgerError> {
    for owing in owing.chunks(PIPELINE) {
        pipelined(owing.iter().map(|owing| insert_sale(transaction, owing))).await?;
    }
    Ok(())
}

async fn insert_sale(transaction: &Transaction<'_>, owing: &Owing<'_>) -> Result<(), LedgerError> {
    let payment = owing.payment;
    let amount = payment.amount.map(|money| money.amount());
    transaction
        .execute(
            INSERT_SALE,
            &[
                &Uuid::now_v7(),
                &payment.id.uuid(),
                &payment.merchant.uuid(),
                &owing.device.uuid(),
                &amount,
                &owing.event.uuid(),
            ],
        )
        .await
        .map(drop)
}

/// True when an invoice never yet sent changed its lane.
pub(crate) async fn move_unsent(
    transaction: &Transaction<'_>,
    payment: PaymentId,
    device: DeviceId,
) -> Result<bool, LedgerError> {
    Ok(transaction
        .execute(MOVE_UNSENT, &[&payment.uuid(), &device.uuid()])
        .await?
        > 0)
}
