//! Tries of suspects, which are messages that were delivered too often.
//!
//! A suspect is tried alone, and each try is written down before it is made. So a message that
//! kills its worker is found out (protocol C4).

use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// A suspect that was closed and comes again starts with its first try.
    BEGIN_TRY = "
        INSERT INTO suspects (event_id, tries) VALUES ($1, 1)
        ON CONFLICT (event_id) DO UPDATE
        SET tries = CASE WHEN suspects.closed_at IS NULL THEN suspects.tries + 1 ELSE 1 END,
            last_at = now(), closed_at = NULL
        RETURNING tries";
    FORGET_TRY = "UPDATE suspects SET tries = tries - 1 WHERE event_id = $1 AND tries > 0";
    CLOSE = "UPDATE suspects SET closed_at = now() WHERE event_id = $1 AND closed_at IS NULL";
}

impl Ledger {
    /// Commits the beginning of a try and returns the number of the try. `id` is the event's, or
    /// the message's if its headers cannot be read.
    pub async fn begin_suspect_try(&self, id: Uuid) -> Result<u32, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_one(BEGIN_TRY, &[&id])
            .await?;
        Ok(row.try_get::<_, i32>(0)?.unsigned_abs())
    }

    /// Uncounts a try that ended through no fault of the message.
    pub async fn forget_suspect_try(&self, id: Uuid) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(FORGET_TRY, &[&id])
            .await
            .map(drop)
    }

    /// Closes a suspect that was recorded or set aside as poison.
    pub async fn close_suspect(&self, id: Uuid) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(CLOSE, &[&id])
            .await
            .map(drop)
    }
}
