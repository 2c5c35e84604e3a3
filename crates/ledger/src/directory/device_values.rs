//! The values of a device that commands change, for the audit.

use serde_json::Value;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

/// The values that [`Transaction::device_values`] has as digests. The audit says only that they
/// changed.
pub(crate) const DEVICE_SECRETS: [&str; 3] = ["consumer_key", "consumer_secret", "cmc_key"];

statements! {
    VALUES = "SELECT to_jsonb(d) - 'id' - 'merchant_id' - 'created_at' - 'consumer_key'
            - 'consumer_secret_ciphertext' - 'cmc_key_ciphertext'
            || jsonb_build_object('merchant', m.slug, 'next_invoice_no', l.next_invoice_no,
                'halted', l.halted_at IS NOT NULL,
                'short_codes', ARRAY(SELECT c.short_code FROM short_codes c WHERE c.device_id = d.id
                    ORDER BY c.short_code),
                'consumer_key', sha256(convert_to(d.consumer_key, 'UTF8')),
                'consumer_secret', sha256(d.consumer_secret_ciphertext),
                'cmc_key', sha256(d.cmc_key_ciphertext))
        FROM devices d JOIN merchants m ON m.id = d.merchant_id JOIN lanes l ON l.device_id = d.id
        WHERE d.id = $1";
}

impl Transaction<'_> {
    /// Reads the values of a device.
    pub(crate) async fn device_values(&self, device: Uuid) -> Result<Value, LedgerError> {
        Ok(self.query_one(VALUES, &[&device]).await?.try_get(0)?)
    }
}
