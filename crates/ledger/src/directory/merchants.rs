//! Merchants and their path secrets.

use std::time::Duration;

use jiff::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use risiti_domain::MerchantId;
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::VaultError;
use crate::directory::manage_error::{ManageError, refused_by};
use crate::directory::snapshot::hash_path_secret;
use crate::operator_actions::{RecordedChange, differences};

/// The size of a path secret: 160 bits.
const SECRET_BYTES: usize = 20;

statements! {
    /// Without a ceiling the merchant gets the column's default.
    MERCHANT_CREATE = "INSERT INTO merchants (id, slug, name) VALUES ($1, $2, $3)";
    CEILING_LOCK = "SELECT amount_max FROM merchants WHERE id = $1 FOR NO KEY UPDATE";
    CEILING_SET = "UPDATE merchants SET amount_max = $2 WHERE id = $1";
    MERCHANT_LOCK = "SELECT id FROM merchants WHERE slug = $1 FOR NO KEY UPDATE";
    MERCHANT_LIST = "SELECT m.id, m.slug, m.name, m.created_at,
        ARRAY(SELECT provider FROM provider_accounts a WHERE a.merchant_id = m.id ORDER BY provider),
        (SELECT count(*) FROM devices d WHERE d.merchant_id = m.id),
        ARRAY(SELECT created_at FROM webhook_secrets s WHERE s.merchant_id = m.id ORDER BY s.id DESC),
        ARRAY(SELECT expires_at FROM webhook_secrets s WHERE s.merchant_id = m.id ORDER BY s.id DESC),
        ARRAY(SELECT u.last_used_at FROM webhook_secrets s LEFT JOIN credential_uses u ON u.credential_id = s.id
            WHERE s.merchant_id = m.id ORDER BY s.id DESC),
        m.amount_max
        FROM merchants m ORDER BY m.slug";
    SECRET_ADD = "INSERT INTO webhook_secrets (id, merchant_id, secret_sha256) VALUES ($1, $2, $3)";
    /// A secret keeps an earlier end, so that rotating twice gives no secret a longer life.
    SECRETS_EXPIRE = "UPDATE webhook_secrets
        SET expires_at = LEAST(coalesce(expires_at, 'infinity'), now() + make_interval(secs => $2::float8))
        WHERE merchant_id = $1 AND (expires_at IS NULL OR expires_at > now())
        RETURNING expires_at";
}

/// A merchant as `merchant list` shows it.
#[derive(Clone, Debug)]
pub struct MerchantSummary {
    pub id: MerchantId,
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
    pub providers: Vec<String>,
    pub devices: i64,
    /// The largest amount that counts without a person.
    pub amount_max: Decimal,
    /// The newest first, without the secrets.
    pub secrets: Vec<SecretSummary>,
}

/// A path secret as lists show it.
#[derive(Clone, Debug)]
pub struct SecretSummary {
    pub created_at: Timestamp,
    /// `None` for the current one.
    pub expires_at: Option<Timestamp>,
    /// When it last let a webhook in that was recorded, to a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Ledger {
    /// Creates a merchant and its path secret, which is stored as a hash and so never shown again.
    pub async fn create_merchant(
        &self,
        slug: &str,
        name: &str,
        amount_max: Option<Decimal>,
    ) -> Result<(MerchantId, SecretString), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        let id = Uuid::now_v7();
        transaction
            .execute(MERCHANT_CREATE, &[&id, &slug, &name])
            .await
            .map_err(|error| {
                refused_by(error, "merchant_slug_unique", || {
                    ManageError::MerchantExists(slug.to_owned())
                })
            })?;
        if let Some(amount_max) = amount_max {
            transaction
                .execute(CEILING_SET, &[&id, &amount_max])
                .await?;
        }
        let secret = transaction.add_path_secret(id).await?;
        let new = json!({
            "slug": slug,
            "name": name,
            "amount_max": amount_max,
            "webhook_secret": "new",
        });
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "merchant": slug }),
            changes: differences(&Value::Null, &new, &["webhook_secret"]),
        };
        transaction.record_change("merchant create", change).await?;
        transaction.commit().await?;
        Ok((MerchantId::from_uuid(id), secret))
    }

    /// Changes the largest amount that counts without a person. What is flagged stays flagged.
    /// Returns the ceiling before.
    pub async fn set_ceiling(
        &self,
        slug: &str,
        amount_max: Decimal,
        reason: &str,
    ) -> Result<Decimal, ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let merchant = transaction.merchant_for_update(slug).await?;
        let row = transaction.query_one(CEILING_LOCK, &[&merchant]).await?;
        let before: Decimal = row.try_get(0).map_err(LedgerError::from)?;
        transaction
            .execute(CEILING_SET, &[&merchant, &amount_max])
            .await?;
        let change = RecordedChange {
            operator: self.operator(),
            reason: Some(reason),
            subject: json!({ "merchant": slug }),
            changes: differences(
                &json!({ "amount_max": before }),
                &json!({ "amount_max": amount_max }),
                &[],
            ),
        };
        transaction.record_change("merchant update", change).await?;
        transaction.commit().await?;
        Ok(before)
    }

    /// Lists all merchants by slug.
    pub async fn merchants(&self) -> Result<Vec<MerchantSummary>, LedgerError> {
        let rows = self.connection().await?.query(MERCHANT_LIST, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(MerchantSummary {
                    id: MerchantId::from_uuid(row.try_get(0)?),
                    slug: row.try_get(1)?,
                    name: row.try_get(2)?,
                    created_at: row.try_get(3)?,
                    providers: row.try_get(4)?,
                    devices: row.try_get(5)?,
                    secrets: secrets(row)?,
                    amount_max: row.try_get(9)?,
                })
            })
            .collect()
    }

    /// Creates a new path secret. The earlier ones work until the overlap ends. Returns the new
    /// secret and that time.
    pub async fn rotate_path_secret(
        &self,
        slug: &str,
        overlap: Duration,
    ) -> Result<(SecretString, Option<Timestamp>), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let merchant = transaction.merchant_for_update(slug).await?;
        let expired = transaction
            .query(SECRETS_EXPIRE, &[&merchant, &overlap.as_secs_f64()])
            .await?;

        let mut until = None;
        for row in expired {
            until = until.max(
                row.try_get::<_, Option<Timestamp>>(0)
                    .map_err(LedgerError::from)?,
            );
        }

        let secret = transaction.add_path_secret(merchant).await?;
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "merchant": slug }),
            changes: json!({ "webhook_secret": "changed", "earlier_secrets_end": [null, until] }),
        };
        transaction
            .record_change("merchant rotate-secret", change)
            .await?;
        transaction.commit().await?;
        Ok((secret, until))
    }
}

fn secrets(row: &Row) -> Result<Vec<SecretSummary>, LedgerError> {
    let created: Vec<Timestamp> = row.try_get(6)?;
    let expires: Vec<Option<Timestamp>> = row.try_get(7)?;
    let used: Vec<Option<Timestamp>> = row.try_get(8)?;
    let secrets = created.into_iter().zip(expires).zip(used);
    Ok(secrets
        .map(|((created_at, expires_at), last_used_at)| SecretSummary {
            created_at,
            expires_at,
            last_used_at,
        })
        .collect())
}

impl Transaction<'_> {
    /// Locks the merchant's row, so that only one command at a time changes what belongs to the
    /// merchant.
    pub(crate) async fn merchant_for_update(&self, slug: &str) -> Result<Uuid, ManageError> {
        let row = self.query_opt(MERCHANT_LOCK, &[&slug]).await?;
        let row = row.ok_or_else(|| ManageError::NoMerchant(slug.to_owned()))?;
        Ok(row.try_get(0).map_err(LedgerError::from)?)
    }

    async fn add_path_secret(&self, merchant: Uuid) -> Result<SecretString, ManageError> {
        let mut bytes = [0; SECRET_BYTES];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|_| VaultError::Random)?;
        let secret = hex::encode(bytes);
        let digest = hash_path_secret(&secret);
        self.execute(
            SECRET_ADD,
            &[&Uuid::now_v7(), &merchant, &digest.as_slice()],
        )
        .await?;
        Ok(secret.into())
    }
}
