//! A device for tests.

use tokio_postgres::Client;
use uuid::Uuid;

/// A sandbox device of the legacy dialect, with its lane.
pub(crate) struct TestDevice {
    pub(crate) id: Uuid,
    pub(crate) merchant: Uuid,
    /// Nine digits of the id, so that devices of random ids differ.
    pub(crate) pin: String,
    /// Both the base URL and the host of the lane.
    pub(crate) host: String,
    pub(crate) is_default: bool,
}

impl TestDevice {
    pub(crate) fn new(id: Uuid, merchant: Uuid) -> Self {
        Self {
            id,
            merchant,
            pin: format!("P{:09}X", id.as_u128() % 1_000_000_000),
            host: "http://127.0.0.1:1".to_owned(),
            is_default: false,
        }
    }

    pub(crate) async fn insert(&self, client: &Client) {
        client
            .execute(
                "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
                     item_class, item_name, tax_type, is_default)
                 VALUES ($1, $2, 'sandbox', 'legacy', $3, $4, '00', 'SN1', 'KE3NTXNO0000001', '8111150100',
                     'Services', 'B', $5)",
                &[&self.id, &self.merchant, &self.host, &self.pin, &self.is_default],
            )
            .await
            .expect("the device fits the schema");
        client
            .execute(
                "INSERT INTO lanes (device_id, host) VALUES ($1, $2)",
                &[&self.id, &self.host],
            )
            .await
            .expect("the lane fits the schema");
    }
}
