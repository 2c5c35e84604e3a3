//! Inserting dead letters: one row per invoice, one per unreadable or poison body.
//!
//! The message is published first and the row is committed after it (protocol E1). So the id has to
//! be known before there is a row, and has to be the same if both steps are repeated. An invoice's
//! dead letter has the invoice's id. A message's id is derived from merchant, provider and body.

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
    /// The merchant is looked up, so that an unknown one does not keep the message from being set
    /// aside.
    INSERT_MESSAGE = "
        INSERT INTO dead_letters (id, cause, merchant_id, event_id, provider, body, body_sha256, headers, message)
        VALUES ($1, $2, (SELECT id FROM merchants WHERE id = $3), $4, $5, $6, $7, $8, $9)
        ON CONFLICT (id) DO UPDATE
        SET deliveries = dead_letters.deliveries + 1, cause = excluded.cause, event_id = excluded.event_id,
            headers = excluded.headers, message = excluded.message,
            body = coalesce(dead_letters.body, excluded.body), body_removed_at = NULL,
            dead_at = CASE WHEN dead_letters.solved_at IS NULL THEN dead_letters.dead_at ELSE now() END,
            solved_at = NULL, solved_as = NULL, solved_by = NULL, solved_reason = NULL";
    /// A body that was discarded stays discarded. One that was replayed and comes again is a new
    /// dead letter, so it is not counted here. Nor is one whose body was removed meanwhile, because
    /// the bytes that came are the only ones.
    COUNT_AGAIN = "
        UPDATE dead_letters SET deliveries = deliveries + 1
        WHERE id = $1 AND (solved_at IS NULL OR solved_as = 'discarded') AND body_removed_at IS NULL";
}

/// The longest text that is kept of a reason, a code or a header's name.
const TEXT_CHARS_MAX: usize = 500;
/// The longest value that is kept of a header. An envelope of our own is far shorter, and cut it
/// could not be replayed.
const HEADER_CHARS_MAX: usize = 16 * 1024;

/// A message from `[payments]` that cannot become an event, because it is unreadable or poison.
#[derive(Clone)]
pub struct MessageDeadLetter {
    pub cause: DeadCause,
    /// `None` where not even the headers could be read.
    pub merchant_id: Option<MerchantId>,
    pub provider: Option<Provider>,
    pub event_id: Option<EventId>,
    pub body: Vec<u8>,
    pub headers: BTreeMap<String, String>,
    /// The reason, without any value from the body.
    pub message: String,
}

impl MessageDeadLetter {
    /// The dead letter's id. It is the same for the same bytes from the same merchant and provider,
    /// however often they come (protocol A7).
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

    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }

    /// The headers as they are stored.
    pub(crate) fn stored_headers(&self) -> BTreeMap<String, String> {
        let fit = |(name, value): (&String, &String)| {
            (storable(name), storable_up_to(HEADER_CHARS_MAX, value))
        };
        self.headers.iter().map(fit).collect()
    }

    /// The reason as it is stored.
    pub(crate) fn stored_reason(&self) -> String {
        storable(&self.message)
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

/// The id of an invoice's dead letter, known before its row exists.
pub fn invoice_dead_letter_id(invoice: InvoiceId) -> Uuid {
    invoice.uuid()
}

/// Inserts an invoice's dead dead_letter. If it has one that was solved, that one is opened again.
///
/// The caller's transaction moves the invoice to dead, after the broker confirmed the message
/// (protocol E1).
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
    /// Counts another delivery of bytes that are a dead letter already, open or discarded. Returns
    /// whether they are, since then they need no second message in `[dead]`.
    pub async fn count_dead_letter_again(
        &self,
        dead_letter: &MessageDeadLetter,
    ) -> Result<bool, LedgerError> {
        Ok(self
            .connection()
            .await?
            .execute(COUNT_AGAIN, &[&dead_letter.id()])
            .await?
            == 1)
    }

    /// Inserts an unreadable or poison message, or opens its dead letter again.
    ///
    /// Call it after `[dead]` has confirmed the message, and acknowledge the source afterwards
    /// (protocol E1).
    pub async fn insert_message_dead_letter(
        &self,
        dead_letter: &MessageDeadLetter,
    ) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        connection
            .execute(
                INSERT_MESSAGE,
                &[
                    &dead_letter.id(),
                    &dead_letter.cause.as_str(),
                    &dead_letter.merchant_id.map(MerchantId::uuid),
                    &dead_letter.event_id.map(EventId::uuid),
                    &dead_letter.provider.map(Provider::as_str),
                    &dead_letter.body.as_slice(),
                    &dead_letter.sha256().as_slice(),
                    &Json(&dead_letter.stored_headers()),
                    &dead_letter.stored_reason(),
                ],
            )
            .await
            .map(drop)
    }
}

/// Makes a text fit for a column. A reason needs no page.
fn storable(text: &str) -> String {
    storable_up_to(TEXT_CHARS_MAX, text)
}

/// Cuts a text at this many characters, and leaves out NUL, which Postgres does not store.
fn storable_up_to(chars_max: usize, text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0')
        .take(chars_max)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_letter(body: &[u8]) -> MessageDeadLetter {
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
    fn id_depends_on_bytes_provider_and_merchant() {
        assert_eq!(dead_letter(b"x").id(), dead_letter(b"x").id());
        assert_ne!(dead_letter(b"x").id(), dead_letter(b"y").id());
        let elsewhere = MessageDeadLetter {
            provider: Some(Provider::Gumroad),
            ..dead_letter(b"x")
        };
        assert_ne!(dead_letter(b"x").id(), elsewhere.id());
        let of_nobody = MessageDeadLetter {
            merchant_id: None,
            ..dead_letter(b"x")
        };
        assert_ne!(dead_letter(b"x").id(), of_nobody.id());
    }

    #[test]
    fn stored_text_has_no_nul_and_a_bound() {
        assert_eq!(storable("a\0b"), "ab");
        assert_eq!(storable(&"é".repeat(2_000)).chars().count(), TEXT_CHARS_MAX);
    }

    #[test]
    fn debug_shows_no_body() {
        assert!(!format!("{:?}", dead_letter(b"254708374149")).contains("254708374149"));
    }
}
