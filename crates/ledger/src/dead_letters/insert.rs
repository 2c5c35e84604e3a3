//! Putting something on the pile of dead letters: one row per invoice, one per unreadable or poison body.
//!
//! The message is published first, the row committed after it (protocol E1), so the id of a dead letter
//! has to be known before the row is, and be the same when the whole is done again: an invoice's is the
//! invoice's own, a message's is derived from merchant, provider and body.

use std::collections::BTreeMap;
use std::fmt;

use risiti_domain::{DeadCause, EventId, InvoiceId, MerchantId, Provider};
use sha2::{Digest, Sha256};
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;

statements! {
    INSERT_INVOICE = "
        INSERT INTO dead_letters
            (id, cause, merchant_id, device_id, invoice_id, event_id, provider, code, message, attempts, amount, currency)
        SELECT i.id, $2, i.merchant_id, i.device_id, i.id,
               (SELECT e.id FROM events e WHERE e.payment_id = i.payment_id ORDER BY e.id LIMIT 1),
               p.provider, $3, $4, i.attempts, i.amount, i.currency
        FROM invoices i JOIN payments p ON p.id = i.payment_id WHERE i.id = $1
        ON CONFLICT (invoice_id) WHERE invoice_id IS NOT NULL DO UPDATE
        SET cause = excluded.cause, device_id = excluded.device_id, code = excluded.code, message = excluded.message,
            attempts = excluded.attempts, dead_at = now(),
            solved_at = NULL, solved_as = NULL, solved_by = NULL, solved_reason = NULL";
    /// A merchant nobody knows (any more) must not keep the message from being set aside.
    INSERT_MESSAGE = "
        INSERT INTO dead_letters (id, cause, merchant_id, event_id, provider, body, body_sha256, headers, message)
        VALUES ($1, $2, (SELECT id FROM merchants WHERE id = $3), $4, $5, $6, $7, $8, $9)
        ON CONFLICT (id) DO UPDATE
        SET deliveries = dead_letters.deliveries + 1, cause = excluded.cause, event_id = excluded.event_id,
            headers = excluded.headers, message = excluded.message,
            dead_at = CASE WHEN dead_letters.solved_at IS NULL THEN dead_letters.dead_at ELSE now() END,
            solved_at = NULL, solved_as = NULL, solved_by = NULL, solved_reason = NULL";
    /// What was replayed and comes again is news; what was discarded stays discarded.
    COUNT_AGAIN = "
        UPDATE dead_letters SET deliveries = deliveries + 1
        WHERE id = $1 AND (solved_at IS NULL OR solved_as = 'discarded')";
}

/// Longest text of a reason that is kept.
const MESSAGE_CHARS_MAX: usize = 500;

/// A message from `[payments]` that cannot become an event: unreadable, or poison.
#[derive(Clone)]
pub struct MessageDeadLetter {
    pub cause: DeadCause,
    /// `None` where not even the headers could be read.
    pub merchant_id: Option<MerchantId>,
    pub provider: Option<Provider>,
    pub event_id: Option<EventId>,
    pub body: Vec<u8>,
    pub headers: BTreeMap<String, String>,
    /// Why; holds no value from the body.
    pub message: String,
}

impl MessageDeadLetter {
    /// Equal for the same bytes from the same merchant and provider, however often they come (protocol A7).
    pub fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(b"risiti dead letter 1\n");
        hash.update(self.merchant_id.map_or(Uuid::nil(), MerchantId::uuid));
        hash.update(self.provider.map_or("", Provider::as_str));
        hash.update(b"\n");
        hash.update(self.sha256());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}

impl fmt::Debug for MessageDeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageDeadLetter")
            .field("cause", &self.cause)
            .field("merchant_id", &self.merchant_id)
            .field("event_id", &self.event_id)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// The id an invoice's dead letter has, before its row exists.
pub fn invoice_dead_letter_id(invoice: InvoiceId) -> Uuid {
    invoice.uuid()
}

/// Within the transaction that moves the invoice to dead, once its message is confirmed (protocol E1).
/// A row of an earlier death is opened again.
pub(crate) async fn insert_invoice_dead_letter(
    transaction: &Transaction<'_>,
    invoice: InvoiceId,
    cause: DeadCause,
    code: Option<&str>,
    message: &str,
) -> Result<(), LedgerError> {
    let message = storable(message);
    let code = code.map(storable);
    transaction
        .execute(
            INSERT_INVOICE,
            &[&invoice.uuid(), &cause.as_str(), &code, &message],
        )
        .await
        .map(drop)
}

impl Ledger {
    /// True when these bytes lie on the pile already, or were discarded from it: they were counted, and need no second message.
    pub async fn count_dead_letter_again(
        &self,
        letter: &MessageDeadLetter,
    ) -> Result<bool, LedgerError> {
        Ok(self
            .connection()
            .await?
            .execute(COUNT_AGAIN, &[&letter.id()])
            .await?
            == 1)
    }

    /// Call it after the message was confirmed by `[dead]`, and acknowledge the source after it (protocol E1).
    pub async fn insert_message_dead_letter(
        &self,
        letter: &MessageDeadLetter,
    ) -> Result<(), LedgerError> {
        let headers: BTreeMap<String, String> = letter
            .headers
            .iter()
            .map(|(name, value)| (storable(name), storable(value)))
            .collect();
        let connection = self.connection().await?;
        connection
            .execute(
                INSERT_MESSAGE,
                &[
                    &letter.id(),
                    &letter.cause.as_str(),
                    &letter.merchant_id.map(MerchantId::uuid),
                    &letter.event_id.map(EventId::uuid),
                    &letter.provider.map(Provider::as_str),
                    &letter.body.as_slice(),
                    &letter.sha256().as_slice(),
                    &Json(&headers),
                    &storable(&letter.message),
                ],
            )
            .await
            .map(drop)
    }
}

/// Postgres' text holds no NUL, and a reason needs no page.
fn storable(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0')
        .take(MESSAGE_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &[u8]) -> MessageDeadLetter {
        MessageDeadLetter {
            cause: DeadCause::Unreadable,
            merchant_id: Some(MerchantId::from_uuid(Uuid::from_u128(7))),
            provider: Some(Provider::Paystack),
            event_id: None,
            body: body.to_vec(),
            headers: BTreeMap::new(),
            message: "body: not JSON".to_owned(),
        }
    }

    #[test]
    fn the_same_bytes_have_the_same_id_and_only_they() {
        assert_eq!(letter(b"x").id(), letter(b"x").id());
        assert_ne!(letter(b"x").id(), letter(b"y").id());
        let elsewhere = MessageDeadLetter {
            provider: Some(Provider::Gumroad),
            ..letter(b"x")
        };
        assert_ne!(letter(b"x").id(), elsewhere.id());
        let of_nobody = MessageDeadLetter {
            merchant_id: None,
            ..letter(b"x")
        };
        assert_ne!(letter(b"x").id(), of_nobody.id());
    }

    #[test]
    fn texts_are_made_fit_for_a_column() {
        assert_eq!(storable("a\0b"), "ab");
        assert_eq!(
            storable(&"é".repeat(2_000)).chars().count(),
            MESSAGE_CHARS_MAX
        );
    }

    #[test]
    fn debug_shows_no_body() {
        assert!(!format!("{:?}", letter(b"254708374149")).contains("254708374149"));
    }
}
