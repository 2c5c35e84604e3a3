//! A database of its own for each test, merchants in it, and the events that they can receive.

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{
    AuthenticatedBy, Currency, DeviceId, EventId, MerchantId, Money, PaymentMethod, Phone, Provider,
};
use risiti_ledger::{DatabaseSettings, IncomingEvent, Ledger, Recorded, migrate};
use risiti_providers::{
    Event, EventBody, MoneyFacts, Outcome, PaymentReport, ReversalOutcome, ReversalReport,
};
use risiti_testkit::TestDatabase;
use rust_decimal::Decimal;
use secrecy::SecretString;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::test_device::TestDevice;

pub(crate) struct Fixture {
    pub(crate) ledger: Ledger,
    pub(crate) client: Client,
    pub(crate) database: TestDatabase,
}

pub(crate) struct Merchant {
    pub(crate) id: MerchantId,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        migrate(&SecretString::from(database.url())).await.unwrap();
        let ledger = open_ledger(&database, "risiti_ledger_worker");
        let client = database.connect().await;
        Self {
            ledger,
            client,
            database,
        }
    }

    /// The ledger as the person on call reaches it.
    pub(crate) fn by_hand(&self) -> Ledger {
        open_ledger(&self.database, "risiti_replay")
    }

    /// A merchant with a Daraja account and no device.
    pub(crate) async fn merchant(&self) -> Merchant {
        let id = Uuid::now_v7();
        let slug = format!("m{}", id.simple());
        self.client
            .execute(
                "INSERT INTO merchants (id, slug, name) VALUES ($1, $2, 'Test')",
                &[&id, &slug],
            )
            .await
            .unwrap();
        self.client
            .execute(
                "INSERT INTO provider_accounts (id, merchant_id, provider) VALUES ($1, $1, 'daraja')",
                &[&id],
            )
            .await
            .unwrap();
        Merchant {
            id: MerchantId::from_uuid(id),
        }
    }

    pub(crate) async fn device(&self, merchant: &Merchant, is_default: bool) -> DeviceId {
        let device = TestDevice {
            is_default,
            ..TestDevice::new(Uuid::now_v7(), merchant.id.uuid())
        };
        device.insert(&self.client).await;
        DeviceId::from_uuid(device.id)
    }

    pub(crate) async fn short_code(
        &self,
        merchant: &Merchant,
        code: &str,
        device: Option<DeviceId>,
    ) {
        self.client
            .execute(
                "INSERT INTO short_codes (short_code, account_id, merchant_id, device_id) VALUES ($1, $2, $2, $3)",
                &[&code, &merchant.id.uuid(), &device.map(DeviceId::uuid)],
            )
            .await
            .unwrap();
    }

    /// A merchant with one device and one short code that is bound to it.
    pub(crate) async fn ordinary_merchant(&self) -> (Merchant, DeviceId) {
        let merchant = self.merchant().await;
        let device = self.device(&merchant, true).await;
        let code = format!("{}", merchant.id.uuid().as_u128() % 10_000_000_000);
        self.short_code(&merchant, &format!("{code:0>10}"), Some(device))
            .await;
        (merchant, device)
    }

    pub(crate) async fn code_of(&self, merchant: &Merchant) -> String {
        let row = self
            .client
            .query_one(
                "SELECT min(short_code) FROM short_codes WHERE merchant_id = $1",
                &[&merchant.id.uuid()],
            )
            .await
            .unwrap();
        row.get(0)
    }

    /// Records the events in order, each as a batch of its own.
    pub(crate) async fn record(&self, events: &[IncomingEvent]) -> Vec<Recorded> {
        let mut recorded = Vec::new();
        for event in events {
            recorded.extend(
                self.ledger
                    .record_batch(std::slice::from_ref(event))
                    .await
                    .unwrap(),
            );
        }
        recorded
    }

    /// `state money_key checkout_id amount reason`, one line per payment that was not folded away.
    pub(crate) async fn payments(&self, merchant: &Merchant) -> Vec<String> {
        self.lines(
            "SELECT concat_ws(' ', state, coalesce(money_key, '-'), coalesce(checkout_id, '-'),
                    coalesce(amount::text, '-') || coalesce(' ' || currency, ''),
                    CASE WHEN conflict THEN 'flagged' END, '(' || reason || ')')
             FROM payments WHERE merchant_id = $1 AND state <> 'folded' ORDER BY 1",
            merchant,
        )
        .await
    }

    /// `kind state amount`, one line per invoice.
    pub(crate) async fn invoices(&self, merchant: &Merchant) -> Vec<String> {
        self.lines(
            "SELECT concat_ws(' ', kind, state, amount::text) FROM invoices WHERE merchant_id = $1 ORDER BY 1",
            merchant,
        )
        .await
    }

    pub(crate) async fn lines(&self, statement: &str, merchant: &Merchant) -> Vec<String> {
        let rows = self
            .client
            .query(statement, &[&merchant.id.uuid()])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn number(&self, statement: &str, merchant: &Merchant) -> i64 {
        self.client
            .query_one(statement, &[&merchant.id.uuid()])
            .await
            .unwrap()
            .get(0)
    }
}

impl Merchant {
    /// An STK callback. Code 0 with a receipt is paid, 0 without one is unknown, and any other code
    /// is failed.
    pub(crate) fn stk(
        &self,
        checkout: &str,
        code: u32,
        receipt: Option<&str>,
        amount: &str,
    ) -> IncomingEvent {
        let paid = code == 0 && receipt.is_some();
        let report = PaymentReport {
            money_key: receipt.map(str::to_owned),
            checkout_id: Some(checkout.to_owned()),
            reference: None,
            receipt: receipt.map(str::to_owned),
            outcome: match (code, paid) {
                (0, true) => Outcome::Succeeded,
                (0, false) => Outcome::Unknown {
                    reason: "paid, without a receipt".to_owned(),
                },
                _ => Outcome::Failed {
                    reason: format!("result {code}"),
                },
            },
            amount: paid.then(|| kes(amount)),
            phone: paid.then(|| Phone::parse("0712345678").unwrap()),
            occurred_at: paid.then(|| at(1)),
            short_code: None,
            paid_by: None,
            method: PaymentMethod::MobileMoney,
        };
        self.payment("stk", format!("{checkout}:{code}"), report)
    }

    /// A C2B confirmation, which names a short code and hides most of the phone number.
    pub(crate) fn c2b(&self, receipt: &str, amount: &str, short_code: &str) -> IncomingEvent {
        let report = PaymentReport {
            money_key: Some(receipt.to_owned()),
            checkout_id: None,
            reference: None,
            receipt: Some(receipt.to_owned()),
            outcome: Outcome::Succeeded,
            amount: Some(kes(amount)),
            phone: Phone::parse("2547 ***** 678"),
            occurred_at: Some(at(2)),
            short_code: Some(short_code.to_owned()),
            paid_by: None,
            method: PaymentMethod::MobileMoney,
        };
        self.payment(
            "c2b_confirmation",
            format!("confirmation:{receipt}"),
            report,
        )
    }

    pub(crate) fn payment(
        &self,
        kind: &str,
        delivery_key: String,
        report: PaymentReport,
    ) -> IncomingEvent {
        let facts = MoneyFacts {
            amount: report.amount,
            outcome: match report.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed { .. } => "failed",
                Outcome::Unknown { .. } => "unknown",
                Outcome::Unconfirmed { .. } => "unconfirmed",
            },
            receipt: report.receipt.clone(),
        };
        self.event(
            Provider::Daraja,
            kind,
            delivery_key,
            facts,
            EventBody::Payment(report),
        )
    }

    /// A reversal under a key of its own. An amount of `None` is the whole sale.
    pub(crate) fn reversal(
        &self,
        key: &str,
        receipt: &str,
        amount: Option<&str>,
        outcome: ReversalOutcome,
    ) -> IncomingEvent {
        let report = ReversalReport {
            reversal_key: key.to_owned(),
            other_keys: Vec::new(),
            of_money_key: receipt.to_owned(),
            amount: amount.map(kes),
            outcome,
            occurred_at: Some(at(60)),
        };
        let facts = MoneyFacts {
            amount: report.amount,
            outcome: "reversal",
            receipt: Some(receipt.to_owned()),
        };
        let delivery_key = format!("reversal:{key}:{outcome:?}");
        self.event(
            Provider::Daraja,
            "reversal_result",
            delivery_key,
            facts,
            EventBody::Reversal(report),
        )
    }

    pub(crate) fn event(
        &self,
        provider: Provider,
        kind: &str,
        delivery_key: String,
        facts: MoneyFacts,
        body: EventBody,
    ) -> IncomingEvent {
        IncomingEvent {
            id: EventId::from_uuid(Uuid::now_v7()),
            merchant: self.id,
            provider,
            authenticated_by: AuthenticatedBy::Path,
            credential: None,
            received_at: Timestamp::now(),
            trace_id: None,
            body: Bytes::from(format!("{kind} {delivery_key}")),
            event: Event {
                kind: kind.to_owned(),
                delivery_key,
                facts,
                body,
            },
        }
    }
}

fn open_ledger(database: &TestDatabase, role: &'static str) -> Ledger {
    Ledger::open(DatabaseSettings {
        url: SecretString::from(database.url()),
        pool_size: 8,
        role: Some(role),
        application_name: "risiti-test",
    })
    .unwrap()
}

/// The same message once more as the provider would send it, which gives it a new event id.
pub(crate) fn again(event: &IncomingEvent) -> IncomingEvent {
    IncomingEvent {
        id: EventId::from_uuid(Uuid::now_v7()),
        ..event.clone()
    }
}

pub(crate) fn kes(amount: &str) -> Money {
    Money::new(amount.parse::<Decimal>().unwrap(), Currency::KES).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}
