//! Payments to a short code that was registered after the money came.

use risiti_domain::PaymentId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::recording::verdict::SHORT_CODE_UNKNOWN;

statements! {
    /// It reads flagged payments only. A payment that is flagged for more than its short code has
    /// another reason and is left to a person, and so is one above a ceiling that was lowered since.
    REGISTERED = "
        SELECT p.id FROM payments p
        WHERE p.conflict AND p.state <> 'folded' AND p.provider = 'daraja' AND p.reason = $1
          AND (SELECT c.merchant_id FROM short_codes c WHERE c.short_code = p.short_code) = p.merchant_id
          AND p.amount <= (SELECT m.amount_max FROM merchants m WHERE m.id = p.merchant_id)
        ORDER BY p.recorded_at, p.id LIMIT $2";
}

impl Ledger {
    /// The oldest payments that were flagged because their short code was not registered, and whose
    /// merchant has it by now.
    pub async fn payments_of_registered_codes(
        &self,
        limit: u32,
    ) -> Result<Vec<PaymentId>, LedgerError> {
        let limit = i64::from(limit);
        let rows = self
            .connection()
            .await?
            .query(REGISTERED, &[&SHORT_CODE_UNKNOWN, &limit])
            .await?;
        rows.iter()
            .map(|row| Ok(PaymentId::from_uuid(row.try_get::<_, Uuid>(0)?)))
            .collect()
    }
}
