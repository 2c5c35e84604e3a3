//! The canary, which is one row sealed under the credentials key.
//!
//! With it a program can check at boot whether it was given the right key. With a wrong key it
//! would take true signatures for false ones (protocol A6).

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::operator_actions::RecordedChange;

statements! {
    CANARY = "SELECT ciphertext FROM credentials_canary WHERE id = 1";
    /// Locked while a secret is written, so that `keys reencrypt` does not miss that secret.
    CANARY_SHARED = "SELECT ciphertext FROM credentials_canary WHERE id = 1 FOR SHARE";
    CANARY_EXCLUSIVE = "SELECT ciphertext FROM credentials_canary WHERE id = 1 FOR UPDATE";
    CANARY_PLANT = "INSERT INTO credentials_canary (id, ciphertext) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
    CANARY_REPLACE = "UPDATE credentials_canary SET ciphertext = $1 WHERE id = 1";
    PROVIDER_KEYS = "SELECT id, ciphertext FROM provider_keys ORDER BY id FOR UPDATE";
    PROVIDER_KEY_REPLACE = "UPDATE provider_keys SET ciphertext = $2, fingerprint = $3 WHERE id = $1";
    DEVICE_SECRETS = "SELECT id, consumer_secret_ciphertext, cmc_key_ciphertext FROM devices
        WHERE consumer_secret_ciphertext IS NOT NULL OR cmc_key_ciphertext IS NOT NULL ORDER BY id FOR UPDATE";
    DEVICE_SECRETS_REPLACE = "UPDATE devices SET consumer_secret_ciphertext = $2, cmc_key_ciphertext = $3
        WHERE id = $1";
}

const CANARY_PLACE: Place = Place {
    column: "credentials_canary.ciphertext",
    row: Uuid::nil(),
};
const CANARY_TEXT: &str = "risiti";

/// What the canary says about a credentials key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// The key, or the old one beside it, is the one that secrets are sealed under.
    Right,
    /// The canary opens with neither key.
    Wrong,
    /// No secret was ever stored, so every key will do.
    NothingSealedYet,
}

/// How many rows `keys reencrypt` sealed under the new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    pub provider_keys: u64,
    pub devices: u64,
}

/// Compares a vault's keys with a stored canary.
pub(crate) fn check_canary(vault: &Vault, canary: Option<&[u8]>) -> KeyCheck {
    match canary.map(|ciphertext| vault.open(CANARY_PLACE, ciphertext)) {
        Some(Ok(_)) => KeyCheck::Right,
        Some(Err(_)) => KeyCheck::Wrong,
        None => KeyCheck::NothingSealedYet,
    }
}

impl Ledger {
    /// Compares the vault's keys with the database's canary.
    pub async fn prove_key(&self, vault: &Vault) -> Result<KeyCheck, LedgerError> {
        let row = self.connection().await?.query_opt(CANARY, &[]).await?;
        let ciphertext: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(check_canary(vault, ciphertext.as_deref()))
    }

    /// Stores the canary if there is none yet.
    ///
    /// # Errors
    /// [`LedgerError::Vault`] when there is one and the key does not open it.
    pub async fn plant_canary(&self, vault: &Vault) -> Result<(), LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        transaction.require_right_key(vault).await?;
        transaction.commit().await
    }

    /// Seals every stored secret under the vault's current key, in one transaction.
    ///
    /// # Errors
    /// [`LedgerError::Vault`] when some secret opens with neither key. Nothing is changed then.
    pub async fn reencrypt(&self, vault: &Vault) -> Result<Reencrypted, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let mut done = Reencrypted::default();

        // The exclusive lock on the canary waits for whoever writes a secret just now.
        let Some(row) = transaction.query_opt(CANARY_EXCLUSIVE, &[]).await? else {
            return Ok(done);
        };
        let sealed: Vec<u8> = row.try_get(0)?;
        let text = vault.open(CANARY_PLACE, &sealed)?;
        transaction
            .execute(CANARY_REPLACE, &[&vault.seal(CANARY_PLACE, &text)?])
            .await?;

        for row in transaction.query(PROVIDER_KEYS, &[]).await? {
            let id: Uuid = row.try_get(0)?;
            let place = Place::provider_key(id);
            let key = vault.open(place, row.try_get(1)?)?;
            let sealed = vault.seal(place, &key)?;
            let fingerprint = vault.fingerprint(&key);
            done.provider_keys += transaction
                .execute(
                    PROVIDER_KEY_REPLACE,
                    &[&id, &sealed, &fingerprint.as_slice()],
                )
                .await?;
        }

        for row in transaction.query(DEVICE_SECRETS, &[]).await? {
            let id: Uuid = row.try_get(0)?;
            let consumer_secret = reseal(vault, Place::consumer_secret(id), row.try_get(1)?)?;
            let cmc_key = reseal(vault, Place::cmc_key(id), row.try_get(2)?)?;
            done.devices += transaction
                .execute(DEVICE_SECRETS_REPLACE, &[&id, &consumer_secret, &cmc_key])
                .await?;
        }
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "provider_keys": done.provider_keys, "devices": done.devices }),
            changes: json!({ "credentials_key": "changed" }),
        };
        transaction.record_change("keys reencrypt", change).await?;
        transaction.commit().await?;
        Ok(done)
    }
}

impl Transaction<'_> {
    /// Makes sure that this vault's key is the one stored secrets are sealed under, until the
    /// transaction ends. The first call stores the canary.
    pub(crate) async fn require_right_key(&self, vault: &Vault) -> Result<(), LedgerError> {
        let canary = vault.seal(CANARY_PLACE, &SecretString::from(CANARY_TEXT))?;
        self.execute(CANARY_PLANT, &[&canary]).await?;
        let stored: Vec<u8> = self.query_one(CANARY_SHARED, &[]).await?.try_get(0)?;
        vault.open(CANARY_PLACE, &stored)?;
        Ok(())
    }
}

/// Seals a stored secret again, under the current key.
fn reseal(
    vault: &Vault,
    place: Place,
    sealed: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, LedgerError> {
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    Ok(Some(vault.seal(place, &vault.open(place, &sealed)?)?))
}
