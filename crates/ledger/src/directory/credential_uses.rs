//! When path secrets and signing keys last let a webhook in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use risiti_domain::CredentialId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// A row is written at most once a minute, whoever asks. An id that is no credential any more
    /// leaves none. The order keeps two workers from waiting for each other.
    USED = "
        INSERT INTO credential_uses AS known (credential_id, last_used_at)
        SELECT u.id, u.at FROM unnest($1::uuid[], $2::timestamptz[]) u (id, at)
        WHERE EXISTS (SELECT FROM webhook_secrets s WHERE s.id = u.id)
           OR EXISTS (SELECT FROM provider_keys k WHERE k.id = u.id)
        ORDER BY u.id
        ON CONFLICT (credential_id) DO UPDATE SET last_used_at = excluded.last_used_at
        WHERE known.last_used_at < excluded.last_used_at - interval '1 minute'";
}

impl Ledger {
    /// Writes down when credentials were last used, in one statement.
    pub async fn credentials_used(
        &self,
        uses: &BTreeMap<CredentialId, Timestamp>,
    ) -> Result<(), LedgerError> {
        let ids: Vec<Uuid> = uses.keys().map(|id| id.uuid()).collect();
        let times: Vec<Timestamp> = uses.values().copied().collect();
        let connection = self.connection().await?;
        connection.execute(USED, &[&ids, &times]).await.map(drop)
    }
}
