//! What these tests set up: a migrated database with one merchant, its device, and the device's
//! lane.

use std::sync::LazyLock;

use jiff::Timestamp;
use risiti_domain::{Buyer, DeadCause, DeviceId, InvoiceId};
use risiti_ledger::{
    Claim, DatabaseSettings, FailureCount, LaneInvoice, LaneWork, LastWord, Ledger, NewSend,
    StoredReceipt, migrate,
};
use risiti_testkit::TestDatabase;
use uuid::Uuid;

pub(crate) const HOST: &str = "https://kra:443";

pub(crate) struct Fixture {
    /// A connection beside the ledger's, as a superuser.
    pub(crate) client: tokio_postgres::Client,
    pub(crate) ledger: Ledger,
    pub(crate) device: DeviceId,
    pub(crate) worker: Uuid,
    merchant: Uuid,
    _database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        migrate(&database.url().into()).await.unwrap();
        let ledger = Ledger::open(DatabaseSettings {
            url: database.url().into(),
            pool_size: 8,
            role: Some("risiti_etims_worker"),
            application_name: "test",
        })
        .unwrap();
        let fixture = Self {
            client: database.connect().await,
            ledger,
            device: new_device(),
            worker: Uuid::now_v7(),
            merchant: Uuid::now_v7(),
            _database: database,
        };

        fixture
            .sql(&format!(
                "INSERT INTO merchants (id, slug, name) VALUES ('{}', 'acme', 'Acme')",
                fixture.merchant
            ))
            .await;
        fixture
            .sql(&device_rows(fixture.merchant, fixture.device, 1))
            .await;
        fixture
    }

    pub(crate) async fn sql(&self, text: &str) {
        self.client.batch_execute(text).await.unwrap();
    }

    /// The text that a query returns, or `""` for NULL or no row.
    pub(crate) async fn text(&self, query: &str) -> String {
        let row = self.client.query_opt(query, &[]).await.unwrap();
        row.and_then(|row| row.get::<_, Option<String>>(0))
            .unwrap_or_default()
    }

    /// Adds a paid sale to the device's lane.
    pub(crate) async fn add_sale(&self) -> InvoiceId {
        let invoice = InvoiceId::from_uuid(Uuid::now_v7());
        self.sql(&sale_rows(self.merchant, self.device, invoice))
            .await;
        invoice
    }

    /// Adds further devices with a sale each.
    pub(crate) async fn add_devices_with_sale(&self, devices: u32) {
        let mut rows = String::new();
        for number in 2..2 + devices {
            let device = new_device();
            rows += &device_rows(self.merchant, device, number);
            rows += &sale_rows(self.merchant, device, InvoiceId::from_uuid(Uuid::now_v7()));
        }
        self.sql(&rows).await;
    }

    /// Adds a credit note of 50 for a sale, with the reversal it is for.
    pub(crate) async fn add_credit_note(&self, sale: InvoiceId) -> InvoiceId {
        let event = Uuid::now_v7();
        let reversal = Uuid::now_v7();
        let note = InvoiceId::from_uuid(Uuid::now_v7());
        self.sql(&format!(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body)
             SELECT '{event}', merchant_id, 'daraja', 'reversal_result', '{event}', '\\x00', 'path', now(), '\\x00'
             FROM invoices WHERE id = '{sale}';
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, credited, payment_id,
                 event_id)
             SELECT '{reversal}', merchant_id, 'daraja', '{reversal}', 'x', 'applied', 50, payment_id, '{event}'
             FROM invoices WHERE id = '{sale}';
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
             SELECT '{note}', payment_id, merchant_id, device_id, 'credit_note', 50, id, '{reversal}', 'test'
             FROM invoices WHERE id = '{sale}'"
        ))
        .await;
        note
    }

    pub(crate) async fn claim(&self) -> Claim {
        self.ledger
            .claim_lane(self.device, self.worker)
            .await
            .unwrap()
            .expect("the lane is free")
    }

    /// Lets the lease run out, as if its worker had been silent for its length.
    pub(crate) async fn expire_lease(&self) {
        self.sql("UPDATE lane_leases SET lease_until = now()").await;
    }

    pub(crate) async fn next_invoice(&self, claim: &Claim) -> Option<Box<LaneInvoice>> {
        match self.ledger.lane_work(claim).await.unwrap() {
            LaneWork::Due { invoice, .. } => invoice,
            LaneWork::Halted => None,
        }
    }

    /// Begins to send the lane's next invoice, and returns the id of the submission.
    pub(crate) async fn begin_send(&self, claim: &Claim) -> (Box<LaneInvoice>, Option<i64>) {
        let invoice = self.next_invoice(claim).await.expect("an invoice");
        let number = invoice.invoice_no;
        let submission = self
            .ledger
            .begin_send(claim, &first_send(invoice.id, number, b"{}"))
            .await
            .unwrap();
        (invoice, submission)
    }

    /// The state of an invoice, followed by its number if it has one.
    pub(crate) async fn invoice_state(&self, invoice: InvoiceId) -> String {
        self.text(&format!(
            "SELECT state || coalesce(' ' || invoice_no, '') FROM invoices WHERE id = '{invoice}'"
        ))
        .await
    }

    pub(crate) async fn next_number(&self) -> String {
        self.text("SELECT next_invoice_no::text FROM lanes").await
    }
}

fn new_device() -> DeviceId {
    DeviceId::from_uuid(Uuid::now_v7())
}

/// The rows of a device and its lane.
fn device_rows(merchant: Uuid, device: DeviceId, number: u32) -> String {
    format!(
        "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code, item_class,
             item_name, tax_type)
         VALUES ('{device}', '{merchant}', 'sandbox', 'legacy', '{HOST}', 'P{number:09}A', '00', 'S', 'KE3NTNO0000001',
             '8111150100', 'Services', 'B');
         INSERT INTO lanes (device_id, host) VALUES ('{device}', '{HOST}');"
    )
}

/// The rows of a settled payment of 116 and its sale.
fn sale_rows(merchant: Uuid, device: DeviceId, invoice: InvoiceId) -> String {
    let payment = Uuid::now_v7();
    format!(
        "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, authenticated_by,
             state, settled_at, moved_by)
         VALUES ('{payment}', '{merchant}', 'daraja', '{payment}', 'R1', 116, 'KES', 'mobile_money', 'path', 'success',
             now(), 'test');
         INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
         VALUES ('{invoice}', '{payment}', '{merchant}', '{device}', 'sale', 116, 'test');"
    )
}

pub(crate) fn receipt() -> StoredReceipt {
    StoredReceipt {
        receipt_no: 7,
        total_receipt_no: Some(7),
        signature: Some("SIGN".to_owned()),
        internal_data: None,
        control_unit_id: None,
        url: None,
        issued_at: None,
        buyer_name: None,
        buyer_pin: None,
    }
}

static WALK_IN: LazyLock<Buyer> = LazyLock::new(Buyer::default);

/// A first send of an invoice without a known buyer.
pub(crate) fn first_send(invoice: InvoiceId, invoice_no: i64, body: &[u8]) -> NewSend<'_> {
    NewSend {
        invoice,
        invoice_no,
        body,
        first_sent_at: Timestamp::now(),
        buyer: &WALK_IN,
        trader_invoice_no: "R1",
    }
}

/// The last word about an invoice that died of this cause.
pub(crate) fn last_word(cause: DeadCause, code: Option<&str>) -> LastWord<'_> {
    LastWord {
        cause,
        strikes: 5,
        code,
        message: "no",
        unexplained: false,
    }
}

pub(crate) fn failures(strikes: u32, rounds: u32) -> FailureCount {
    FailureCount {
        strikes,
        rounds,
        mark: Timestamp::now(),
    }
}
