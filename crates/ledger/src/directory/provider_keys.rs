//! The keys that Paystack signs a merchant's webhooks with.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::directory::manage_error::ManageError;

/// The most active keys of an account: one in use and one that replaces it.
const KEYS_MAX: usize = 2;

statements! {
    KEYS = "SELECT id, ciphertext FROM provider_keys WHERE account_id = $1 ORDER BY id";
    USE_FORGET = "DELETE FROM credential_uses WHERE credential_id = $1";
    KEY_ADD = "INSERT INTO provider_keys (id, account_id, ciphertext, live, fingerprint)
        VALUES ($1, $2, $3, $4, $5)";
    WITHOUT_FINGERPRINT = "SELECT id, ciphertext FROM provider_keys WHERE fingerprint IS NULL ORDER BY id";
    FINGERPRINT_SET = "UPDATE provider_keys SET fingerprint = $2 WHERE id = $1";
    /// The other merchant that has the key.
    OTHER_OWNER = "SELECT m.slug FROM provider_keys k
        JOIN provider_accounts a ON a.id = k.account_id JOIN merchants m ON m.id = a.merchant_id
        WHERE k.fingerprint = ANY($1) AND k.account_id <> $2 ORDER BY m.slug LIMIT 1";
    KEY_REMOVE = "DELETE FROM provider_keys WHERE id = $1 AND account_id = $2";
}

impl Transaction<'_> {
    /// Adds a signing key to an account whose merchant is locked. Returns the key's id.
    pub(crate) async fn add_key(
        &self,
        account: Uuid,
        key: &SecretString,
        vault: &Vault,
    ) -> Result<Uuid, ManageError> {
        self.require_right_key(vault).await?;

        let active = self.query(KEYS, &[&account]).await?;
        for row in &active {
            let id: Uuid = row.try_get(0).map_err(LedgerError::from)?;
            let ciphertext: Vec<u8> = row.try_get(1).map_err(LedgerError::from)?;
            let known = vault.open(Place::provider_key(id), &ciphertext)?;
            if known.expose_secret() == key.expose_secret() {
                return Err(ManageError::KeyKnown(id));
            }
        }
        if active.len() >= KEYS_MAX {
            return Err(ManageError::KeysFull);
        }

        // Each payment of the key would be booked, and filed, once at each merchant.
        self.complete_fingerprints(vault).await?;
        let known = vault.known_fingerprints(key);
        if let Some(other) = self.query_opt(OTHER_OWNER, &[&known, &account]).await? {
            let slug = other.try_get(0).map_err(LedgerError::from)?;
            return Err(ManageError::KeyOfAnother(slug));
        }

        let id = Uuid::now_v7();
        let fingerprint = vault.fingerprint(key);
        let sealed = vault.seal(Place::provider_key(id), key)?;
        self.execute(
            KEY_ADD,
            &[
                &id,
                &account,
                &sealed,
                &is_live(key),
                &fingerprint.as_slice(),
            ],
        )
        .await?;
        Ok(id)
    }

    /// Gives a fingerprint to the keys that were stored before there were any.
    async fn complete_fingerprints(&self, vault: &Vault) -> Result<(), LedgerError> {
        for row in self.query(WITHOUT_FINGERPRINT, &[]).await? {
            let id: Uuid = row.try_get(0)?;
            let key = vault.open(Place::provider_key(id), row.try_get(1)?)?;
            let fingerprint = vault.fingerprint(&key);
            self.execute(FINGERPRINT_SET, &[&id, &fingerprint.as_slice()])
                .await?;
        }
        Ok(())
    }

    /// Removes a signing key of an account that is locked. Without `force` it keeps the last active
    /// key.
    pub(crate) async fn remove_key(
        &self,
        account: Uuid,
        key: Uuid,
        force: bool,
    ) -> Result<(), ManageError> {
        let active = self.query(KEYS, &[&account]).await?.len();
        if self.execute(KEY_REMOVE, &[&key, &account]).await? == 0 {
            return Err(ManageError::NoKey);
        }
        self.execute(USE_FORGET, &[&key]).await?;
        if active == 1 && !force {
            return Err(ManageError::LastKey);
        }
        Ok(())
    }
}

/// Whether a key signs live webhooks. Paystack's secret keys say so in their prefix.
fn is_live(key: &SecretString) -> Option<bool> {
    let key = key.expose_secret();
    if key.starts_with("sk_live_") {
        Some(true)
    } else if key.starts_with("sk_test_") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_prefix_tells_live_from_test() {
        assert_eq!(is_live(&"sk_live_abc".into()), Some(true));
        assert_eq!(is_live(&"sk_test_abc".into()), Some(false));
        assert_eq!(is_live(&"pk_live_abc".into()), None);
    }
}
