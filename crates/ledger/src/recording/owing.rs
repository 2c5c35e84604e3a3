//! Who owes a tax invoice, through which device, and the invoices that follow (protocol C8).

use std::collections::{BTreeMap, HashMap};

use risiti_domain::{Currency, DeviceId, EventId, MerchantId, Money, PaymentId, Provider};
use risiti_providers::{Organisation, PaymentReport};
use rust_decimal::Decimal;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::payment::Payment;
use crate::recording::verdict::{ABOVE_CEILING, MAY_BE_OWN, SHORT_CODE_UNKNOWN};

statements! {
    CEILINGS = "SELECT id, amount_max FROM merchants WHERE id = ANY($1)";
    SHORT_CODES = "SELECT merchant_id, short_code, device_id FROM short_codes WHERE merchant_id = ANY($1)";
    DEVICES = "
        SELECT merchant_id, id FROM devices WHERE merchant_id = ANY($1)
        ORDER BY merchant_id, is_default DESC, created_at, id";
    INSERT_SALES = "
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by, moved_because, moved_event)
        SELECT n.id, n.payment_id, n.merchant_id, n.device_id, 'sale', n.amount, n.event_id, $7,
               'the payment owes a receipt', n.event_id
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::uuid[])
            AS n (id, payment_id, merchant_id, device_id, amount, event_id)
        ON CONFLICT (payment_id) WHERE kind = 'sale' DO NOTHING";
    /// Moves only what was never sent, because KRA may know the rest under the old device's number.
    /// Credit notes go along, since none of them can have been sent before its sale.
    MOVE_UNSENT = "
        UPDATE invoices i SET device_id = $2, position = nextval('lane_position')
        WHERE i.payment_id = $1 AND i.device_id <> $2 AND i.state = 'pending' AND i.first_sent_at IS NULL
          AND NOT EXISTS (SELECT FROM invoices o JOIN submissions s ON s.invoice_id = o.id WHERE o.payment_id = $1)";
}

const NOT_IN_KES: &str = "owes no receipt: not in KES";
const OWN_TRANSFER: &str = "owes no receipt: between the merchant's own short codes";
const NO_DEVICE: &str = "owes no receipt: the merchant had no tax device";

/// The short codes, devices and ceilings of the merchants of one batch. Owing depends on nothing else
/// of them.
pub(crate) struct MerchantSetups(HashMap<MerchantId, MerchantSetup>);

#[derive(Default)]
struct MerchantSetup {
    /// Each with the device it is bound to.
    short_codes: BTreeMap<String, Option<DeviceId>>,
    /// The default device first, then the oldest.
    devices: Vec<DeviceId>,
    /// The largest amount that counts without a person. A merchant that is not known has none, and
    /// the database refuses what is recorded for it.
    amount_max: Option<Decimal>,
}

impl MerchantSetups {
    pub(crate) async fn load(
        transaction: &Transaction<'_>,
        ids: &[MerchantId],
    ) -> Result<Self, LedgerError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let mut setups: HashMap<MerchantId, MerchantSetup> = HashMap::new();
        let params: [&(dyn ToSql + Sync); 1] = [&ids];
        let (ceilings, short_codes, devices) = tokio::try_join!(
            transaction.query(CEILINGS, &params),
            transaction.query(SHORT_CODES, &params),
            transaction.query(DEVICES, &params),
        )?;
        for row in ceilings {
            let merchant = MerchantId::from_uuid(row.try_get(0)?);
            setups.entry(merchant).or_default().amount_max = Some(row.try_get(1)?);
        }
        for row in short_codes {
            let device: Option<Uuid> = row.try_get(2)?;
            let setup = setups
                .entry(MerchantId::from_uuid(row.try_get(0)?))
                .or_default();
            setup
                .short_codes
                .insert(row.try_get(1)?, device.map(DeviceId::from_uuid));
        }
        for row in devices {
            let setup = setups
                .entry(MerchantId::from_uuid(row.try_get(0)?))
                .or_default();
            setup.devices.push(DeviceId::from_uuid(row.try_get(1)?));
        }
        Ok(Self(setups))
    }

    /// Why money that a report tells of may not be the merchant's income, if there is a reason.
    pub(crate) fn doubt(
        &self,
        merchant: MerchantId,
        report: &PaymentReport,
    ) -> Option<&'static str> {
        if report
            .amount
            .is_some_and(|amount| self.is_above_ceiling(merchant, amount))
        {
            return Some(ABOVE_CEILING);
        }
        let code = report.short_code.as_ref();
        if code.is_some_and(|code| !self.knows_short_code(merchant, code)) {
            return Some(SHORT_CODE_UNKNOWN);
        }
        let has_others = || {
            let setup = self.0.get(&merchant);
            setup.is_some_and(|setup| setup.short_codes.len() > 1)
        };
        let unnamed = report.paid_by == Some(Organisation::Unnamed);
        (unnamed && has_others()).then_some(MAY_BE_OWN)
    }

    /// Whether an amount is more than the merchant takes in one payment, in whatever currency.
    pub(crate) fn is_above_ceiling(&self, merchant: MerchantId, amount: Money) -> bool {
        let ceiling = self.0.get(&merchant).and_then(|setup| setup.amount_max);
        ceiling.is_some_and(|ceiling| amount.amount() > ceiling)
    }

    fn knows_short_code(&self, merchant: MerchantId, short_code: &str) -> bool {
        self.0
            .get(&merchant)
            .is_some_and(|setup| setup.short_codes.contains_key(short_code))
    }

    /// Whether a payment came from a short code of the same merchant, so that nobody bought
    /// anything.
    pub(crate) fn is_own_transfer(&self, payment: &Payment) -> bool {
        let payer = payment.payer_short_code.as_ref();
        payment.provider == Provider::Daraja
            && payer.is_some_and(|payer| self.knows_short_code(payment.merchant, payer))
    }

    /// Whether a payment would owe a tax invoice if it were in KES.
    pub(crate) fn is_foreign_income(&self, payment: &Payment) -> bool {
        self.has_device(payment.merchant) && self.owes_nothing(payment) == Some(NOT_IN_KES)
    }

    /// Why a payment would owe no tax invoice, if it would not.
    pub(crate) fn owes_nothing(&self, payment: &Payment) -> Option<&'static str> {
        if self.is_own_transfer(payment) {
            return Some(OWN_TRANSFER);
        }
        let amount = payment.amount;
        if amount.is_some_and(|amount| amount.currency() != Currency::KES) {
            return Some(NOT_IN_KES);
        }
        (!self.has_device(payment.merchant)).then_some(NO_DEVICE)
    }

    fn has_device(&self, merchant: MerchantId) -> bool {
        self.0
            .get(&merchant)
            .is_some_and(|setup| !setup.devices.is_empty())
    }

    /// The device that files a payment's invoice: the one bound to its short code, else the
    /// merchant's default, else the oldest. So a merchant that has any device owes a receipt,
    /// whether or not somebody chose a default.
    pub(crate) fn device(&self, payment: &Payment) -> Option<DeviceId> {
        let setup = self.0.get(&payment.merchant)?;
        setup
            .device_of_short_code(payment)
            .or_else(|| setup.devices.first().copied())
    }
}

impl MerchantSetup {
    /// The device bound to the payment's short code.
    ///
    /// An STK callback names no short code. If the merchant has exactly one, that one counts. The
    /// same holds for a code that is not registered, or else the choice would depend on which twin
    /// came first.
    fn device_of_short_code(&self, payment: &Payment) -> Option<DeviceId> {
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

/// A payment that owes a sale, and the event that made it owe one.
pub(crate) struct OwedSale<'a> {
    pub(crate) payment: &'a Payment,
    pub(crate) device: DeviceId,
    pub(crate) event: EventId,
}

/// Inserts sales. A payment that has one keeps it.
pub(crate) async fn insert_sales(
    transaction: &Transaction<'_>,
    sales: &[OwedSale<'_>],
    actor: &str,
) -> Result<(), LedgerError> {
    if sales.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = sales.iter().map(|_| Uuid::now_v7()).collect();
    let payments: Vec<Uuid> = sales.iter().map(|sale| sale.payment.id.uuid()).collect();
    let merchants: Vec<Uuid> = sales
        .iter()
        .map(|sale| sale.payment.merchant.uuid())
        .collect();
    let devices: Vec<Uuid> = sales.iter().map(|sale| sale.device.uuid()).collect();
    let amounts: Vec<Option<Decimal>> = sales
        .iter()
        .map(|sale| sale.payment.amount.map(|money| money.amount()))
        .collect();
    let events: Vec<Uuid> = sales.iter().map(|sale| sale.event.uuid()).collect();
    transaction
        .execute(
            INSERT_SALES,
            &[
                &ids, &payments, &merchants, &devices, &amounts, &events, &actor,
            ],
        )
        .await
        .map(drop)
}

/// Whether a payment's invoices changed their lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LaneChange {
    Moved,
    Stayed,
}

/// Moves a payment's invoices to another device, unless any of them was sent.
pub(crate) async fn move_unsent(
    transaction: &Transaction<'_>,
    payment: PaymentId,
    device: DeviceId,
) -> Result<LaneChange, LedgerError> {
    let moved = transaction
        .execute(MOVE_UNSENT, &[&payment.uuid(), &device.uuid()])
        .await?;
    Ok(if moved > 0 {
        LaneChange::Moved
    } else {
        LaneChange::Stayed
    })
}
