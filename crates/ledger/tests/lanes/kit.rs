use risiti_domain::{DeviceId, InvoiceId};
use risiti_ledger::{
    Claim, DatabaseSettings, LaneInvoice, LaneWork, Ledger, StoredReceipt, migrate,
};
use risiti_testkit::TestDatabase;
use uuid::Uuid;

pub(crate) const HOST: &str = "https://kra:443";

/// One merchant with one device, and a lane.
pub(crate) struct Kit {
    /// Looks from the side.
    pub(crate) side: tokio_postgres::Client,
    pub(crate) ledger: Ledger,
    pub(crate) device: DeviceId,
    pub(crate) worker: Uuid,
    merchant: Uuid,
    _database: TestDatabase,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        migrate(&database.url().into()).await.unwrap();
        let settings = DatabaseSettings {
            url: database.url().into(),
            pool_size: 8,
            role: Some("risiti_etims_worker"),
            application_name: "test",
        };
        let ledger = Ledger::open(settings).unwrap();
        let (merchant, device) = (Uuid::now_v7(), Uuid::now_v7());
        let side = database.connect().await;
        let (device, worker) = (DeviceId::from_uuid(device), Uuid::now_v7());
        let kit = Self {
            side,
            ledger,
            device,
            worker,
            merchant,
            _database: database,
        };
        kit.sql(&format!(
            "INSERT INTO merchants (id, slug, name) VALUES ('{merchant}', 'acme', 'Acme');
             INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
                 item_class, item_name, tax_type)
             VALUES ('{device}', '{merchant}', 'sandbox', 'legacy', '{HOST}', 'P000000001A', '00', 'S',
                 'KE3NTNO0000001', '8111150100', 'Services', 'B');
             INSERT INTO lanes (device_id, host) VALUES ('{device}', '{HOST}')"
        ))
        .await;
        kit
    }

    pub(crate) async fn sql(&self, text: &str) {
        self.side.batch_execute(text).await.unwrap();
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        let row = self.side.query_opt(query, &[]).await.unwrap();
        row.and_then(|row| row.get::<_, Option<String>>(0))
            .unwrap_or_default()
    }

    pub(crate) async fn owe(&self) -> InvoiceId {
        let (payment, invoice) = (Uuid::now_v7(), Uuid::now_v7());
        self.sql(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method,
                 authenticated_by, state, settled_at, moved_by)
             VALUES ('{payment}', '{m}', 'daraja', '{payment}', 'R1', 116, 'KES', 'mobile_money', 'path', 'success',
                 now(), 'test');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             VALUES ('{invoice}', '{payment}', '{m}', '{d}', 'sale', 116, 'test')",
            m = self.merchant,
            d = self.device,
        ))
        .await;
        InvoiceId::from_uuid(invoice)
    }

    pub(crate) async fn claim(&self) -> Claim {
        self.ledger
            .claim_lane(self.device, self.worker)
            .await
            .unwrap()
            .expect("the lane is free")
    }

    /// As if the holder had been silent for the length of a lease.
    pub(crate) async fn lapse(&self) {
        self.sql("UPDATE lane_leases SET lease_until = now()").await;
    }

    pub(crate) async fn next(&self, claim: &Claim) -> Option<Box<LaneInvoice>> {
        match self.ledger.lane_work(claim).await.unwrap() {
            LaneWork::Invoice(invoice) => Some(invoice),
            _ => None,
        }
    }

    /// Sends the lane's next invoice, as far as the books know.
    pub(crate) async fn send(&self, claim: &Claim) -> (Box<LaneInvoice>, Option<i64>) {
        let invoice = self.next(claim).await.expect("an invoice");
        let no = invoice.invoice_no;
        let sent = self
            .ledger
            .begin_send(claim, invoice.id, no, b"{}", jiff::Timestamp::now())
            .await
            .unwrap();
        (invoice, sent)
    }

    pub(crate) async fn state(&self, invoice: InvoiceId) -> String {
        self.text(&format!(
            "SELECT state || coalesce(' ' || invoice_no, '') FROM invoices WHERE id = '{invoice}'"
        ))
        .await
    }

    pub(crate) async fn next_no(&self) -> String {
        self.text("SELECT next_invoice_no::text FROM lanes").await
    }
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
    }
}
