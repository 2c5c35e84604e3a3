//! Provider accounts of merchants: Daraja's short codes and source ranges, Paystack's signing keys,
//! Gumroad's seller.

use jiff::Timestamp;
use risiti_domain::Provider;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::Vault;
use crate::directory::manage_error::ManageError;
use crate::operator_actions::{RecordedChange, differences};
use crate::recording::verdict::SHORT_CODE_UNKNOWN;

statements! {
    /// Whether another merchant has a key or a seller is asked before it is added. So two merchants
    /// are not given the same one at once.
    ADD_ALONE = "SELECT pg_advisory_xact_lock(1919513449)";
    OTHER_WITH_SELLER = "SELECT m.slug FROM provider_accounts a JOIN merchants m ON m.id = a.merchant_id
        WHERE a.provider = 'gumroad' AND a.seller_id = $1 AND a.merchant_id <> $2 ORDER BY m.slug LIMIT 1";
    ACCOUNT_LOCK = "SELECT id, allow_cidrs FROM provider_accounts WHERE merchant_id = $1 AND provider = $2
        FOR UPDATE";
    ACCOUNT_ADD = "INSERT INTO provider_accounts (id, merchant_id, provider, seller_id) VALUES ($1, $2, $3, $4)";
    SELLER_SET = "UPDATE provider_accounts SET seller_id = $2 WHERE id = $1";
    SOURCES_SET = "UPDATE provider_accounts SET allow_cidrs = $2, enforce_cidr = $3 WHERE id = $1";
    /// The update changes nothing. It makes the statement return the owner of a code that is known
    /// already.
    SHORT_CODE_ADD = "INSERT INTO short_codes (short_code, account_id, merchant_id) VALUES ($1, $2, $3)
        ON CONFLICT (short_code) DO UPDATE SET short_code = EXCLUDED.short_code
        RETURNING merchant_id";
    /// It reads flagged payments only.
    WAITING_PAYMENTS = "SELECT count(*) FROM payments p
        WHERE p.conflict AND p.state <> 'folded' AND p.merchant_id = $1 AND p.short_code = ANY($2) AND p.reason = $3";
    /// What an account has that commands change, without its keys.
    ACCOUNT_VALUES = "SELECT jsonb_build_object('seller_id', a.seller_id, 'allow_cidrs', a.allow_cidrs,
        'enforce_cidr', a.enforce_cidr,
        'short_codes', ARRAY(SELECT short_code FROM short_codes c WHERE c.account_id = a.id ORDER BY short_code),
        'key_ids', ARRAY(SELECT id FROM provider_keys k WHERE k.account_id = a.id ORDER BY k.id))
        FROM provider_accounts a WHERE a.merchant_id = $1 AND a.provider = $2";
    ACCOUNT_LIST = "SELECT a.id, m.slug, a.provider, a.trust_policy, a.seller_id, a.allow_cidrs, a.enforce_cidr,
        a.created_at,
        ARRAY(SELECT short_code FROM short_codes c WHERE c.account_id = a.id ORDER BY short_code),
        ARRAY(SELECT id FROM provider_keys k WHERE k.account_id = a.id ORDER BY k.id),
        ARRAY(SELECT live FROM provider_keys k WHERE k.account_id = a.id ORDER BY k.id),
        ARRAY(SELECT created_at FROM provider_keys k WHERE k.account_id = a.id ORDER BY k.id),
        ARRAY(SELECT u.last_used_at FROM provider_keys k LEFT JOIN credential_uses u ON u.credential_id = k.id
            WHERE k.account_id = a.id ORDER BY k.id)
        FROM provider_accounts a JOIN merchants m ON m.id = a.merchant_id
        WHERE $1::text IS NULL OR m.slug = $1
        ORDER BY m.slug, a.provider";
}

/// What `provider add` is given.
#[derive(Clone, Debug)]
pub enum NewAccount {
    /// Adds short codes. A list of ranges replaces the one before, unless it is empty.
    Daraja {
        short_codes: Vec<String>,
        allow_cidrs: Vec<String>,
        enforce: bool,
    },
    /// Adds a signing key.
    Paystack { key: SecretString },
    /// Sets the seller.
    Gumroad { seller_id: String },
}

/// What `provider add` did.
#[derive(Clone, Debug)]
pub struct AddedAccount {
    pub account_id: Uuid,
    /// The id of the Paystack key, if one was added.
    pub key_id: Option<Uuid>,
    /// Payments that came to the short codes before they were registered. The ledger workers take
    /// them up.
    pub waiting_payments: u64,
}

/// An account as `provider list` shows it.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    pub id: Uuid,
    pub merchant: String,
    pub provider: String,
    pub trust_policy: String,
    pub seller_id: Option<String>,
    pub allow_cidrs: Vec<String>,
    pub enforce_cidr: bool,
    pub created_at: Timestamp,
    pub short_codes: Vec<String>,
    pub keys: Vec<KeySummary>,
}

/// An active signing key, without the key.
#[derive(Clone, Debug)]
pub struct KeySummary {
    pub id: Uuid,
    /// Whether the key is a live key. `None` when its prefix says neither live nor test.
    pub live: Option<bool>,
    pub created_at: Timestamp,
    /// When it last signed a webhook that was recorded, to a minute.
    pub last_used_at: Option<Timestamp>,
}

impl NewAccount {
    pub fn provider(&self) -> Provider {
        match self {
            Self::Daraja { .. } => Provider::Daraja,
            Self::Paystack { .. } => Provider::Paystack,
            Self::Gumroad { .. } => Provider::Gumroad,
        }
    }
}

impl Ledger {
    /// Adds a provider account to a merchant, or adds to the one it has. Only a Paystack key needs
    /// the vault.
    pub async fn add_account(
        &self,
        merchant: &str,
        account: &NewAccount,
        vault: Option<&Vault>,
    ) -> Result<AddedAccount, ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        transaction.execute(ADD_ALONE, &[]).await?;
        let merchant_id = transaction.merchant_for_update(merchant).await?;
        if let NewAccount::Gumroad { seller_id } = account {
            transaction
                .refuse_seller_of_another(merchant_id, seller_id)
                .await?;
        }

        let provider = account.provider().as_str();
        let before = transaction.account_values(merchant_id, provider).await?;
        let known = transaction
            .query_opt(ACCOUNT_LOCK, &[&merchant_id, &provider])
            .await?;
        let (account_id, cidrs) = match &known {
            Some(row) => (column(row, 0)?, column::<Vec<String>>(row, 1)?),
            None => (
                transaction.add_account_row(merchant_id, account).await?,
                Vec::new(),
            ),
        };

        let mut added = AddedAccount {
            account_id,
            key_id: None,
            waiting_payments: 0,
        };
        match account {
            NewAccount::Daraja {
                short_codes,
                allow_cidrs,
                enforce,
            } => {
                if known.is_none() && short_codes.is_empty() {
                    return Err(ManageError::ShortCodeMissing);
                }
                for short_code in short_codes {
                    transaction
                        .add_short_code(short_code, account_id, merchant_id)
                        .await?;
                }
                added.waiting_payments =
                    transaction.count_waiting(merchant_id, short_codes).await?;
                transaction
                    .set_sources(account_id, cidrs, allow_cidrs, *enforce)
                    .await?;
            }
            NewAccount::Paystack { key } => {
                let vault = vault.ok_or(LedgerError::KeyMissing)?;
                added.key_id = Some(transaction.add_key(account_id, key, vault).await?);
            }
            NewAccount::Gumroad { seller_id } => {
                transaction
                    .execute(SELLER_SET, &[&account_id, seller_id])
                    .await?;
            }
        }
        let after = transaction.account_values(merchant_id, provider).await?;
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "merchant": merchant, "provider": provider }),
            changes: differences(&before, &after, &[]),
        };
        transaction.record_change("provider add", change).await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// Lists accounts by merchant and provider, those of one merchant or of all.
    pub async fn accounts(
        &self,
        merchant: Option<&str>,
    ) -> Result<Vec<AccountSummary>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(ACCOUNT_LIST, &[&merchant])
            .await?;
        rows.iter().map(summary).collect()
    }

    /// Removes a signing key. Without `force` the last active key stays, since without a key every
    /// webhook is refused.
    pub async fn remove_key(
        &self,
        merchant: &str,
        key: Uuid,
        force: bool,
    ) -> Result<(), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let merchant_id = transaction.merchant_for_update(merchant).await?;
        let provider = Provider::Paystack.as_str();
        let account = transaction
            .query_opt(ACCOUNT_LOCK, &[&merchant_id, &provider])
            .await?;
        let account = account.ok_or_else(|| ManageError::NoAccount {
            merchant: merchant.to_owned(),
            provider,
        })?;

        let before = transaction.account_values(merchant_id, provider).await?;
        transaction
            .remove_key(column(&account, 0)?, key, force)
            .await?;
        let after = transaction.account_values(merchant_id, provider).await?;
        let change = RecordedChange {
            operator: self.operator(),
            reason: None,
            subject: json!({ "merchant": merchant, "provider": provider }),
            changes: differences(&before, &after, &[]),
        };
        transaction
            .record_change("provider remove-key", change)
            .await?;
        Ok(transaction.commit().await?)
    }
}

impl Transaction<'_> {
    /// The values of an account, or null while there is none.
    async fn account_values(&self, merchant: Uuid, provider: &str) -> Result<Value, LedgerError> {
        let row = self
            .query_opt(ACCOUNT_VALUES, &[&merchant, &provider])
            .await?;
        Ok(row
            .map(|row| row.try_get(0))
            .transpose()?
            .unwrap_or_default())
    }

    /// A gateway pings every address that its seller registers, so a seller at two merchants would be
    /// booked twice.
    async fn refuse_seller_of_another(
        &self,
        merchant: Uuid,
        seller_id: &str,
    ) -> Result<(), ManageError> {
        let other = self
            .query_opt(OTHER_WITH_SELLER, &[&seller_id, &merchant])
            .await?;
        match other {
            None => Ok(()),
            Some(row) => Err(ManageError::SellerOfAnother(column(&row, 0)?)),
        }
    }

    async fn add_account_row(
        &self,
        merchant: Uuid,
        account: &NewAccount,
    ) -> Result<Uuid, LedgerError> {
        let id = Uuid::now_v7();
        let seller_id = match account {
            NewAccount::Gumroad { seller_id } => Some(seller_id),
            NewAccount::Daraja { .. } | NewAccount::Paystack { .. } => None,
        };
        self.execute(
            ACCOUNT_ADD,
            &[&id, &merchant, &account.provider().as_str(), &seller_id],
        )
        .await?;
        Ok(id)
    }

    async fn add_short_code(
        &self,
        code: &str,
        account: Uuid,
        merchant: Uuid,
    ) -> Result<(), ManageError> {
        let row = self
            .query_one(SHORT_CODE_ADD, &[&code, &account, &merchant])
            .await?;
        if column::<Uuid>(&row, 0)? != merchant {
            return Err(ManageError::ShortCodeTaken(code.to_owned()));
        }
        Ok(())
    }

    async fn count_waiting(
        &self,
        merchant: Uuid,
        short_codes: &[String],
    ) -> Result<u64, LedgerError> {
        let row = self
            .query_one(
                WAITING_PAYMENTS,
                &[&merchant, &short_codes, &SHORT_CODE_UNKNOWN],
            )
            .await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }

    /// Sets the source ranges of a Daraja account and whether they are enforced. `known` are the
    /// ranges it has, which stay when none are given.
    async fn set_sources(
        &self,
        account: Uuid,
        known: Vec<String>,
        given: &[String],
        enforce: bool,
    ) -> Result<(), ManageError> {
        // Neither ranges nor enforcement were asked for, so a later `provider add` for a short code
        // keeps both.
        if given.is_empty() && !enforce {
            return Ok(());
        }
        let cidrs = if given.is_empty() {
            known.as_slice()
        } else {
            given
        };
        if enforce && cidrs.is_empty() {
            return Err(ManageError::NothingAllowed);
        }
        self.execute(SOURCES_SET, &[&account, &cidrs, &enforce])
            .await?;
        Ok(())
    }
}

fn summary(row: &Row) -> Result<AccountSummary, LedgerError> {
    let ids: Vec<Uuid> = row.try_get(9)?;
    let live: Vec<Option<bool>> = row.try_get(10)?;
    let created: Vec<Timestamp> = row.try_get(11)?;
    let used: Vec<Option<Timestamp>> = row.try_get(12)?;
    let keys = ids.into_iter().zip(live).zip(created).zip(used);
    Ok(AccountSummary {
        id: row.try_get(0)?,
        merchant: row.try_get(1)?,
        provider: row.try_get(2)?,
        trust_policy: row.try_get(3)?,
        seller_id: row.try_get(4)?,
        allow_cidrs: row.try_get(5)?,
        enforce_cidr: row.try_get(6)?,
        created_at: row.try_get(7)?,
        short_codes: row.try_get(8)?,
        keys: keys
            .map(|(((id, live), created_at), last_used_at)| KeySummary {
                id,
                live,
                created_at,
                last_used_at,
            })
            .collect(),
    })
}

/// Reads a column, so that `?` can turn the error into a [`ManageError`].
fn column<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    index: usize,
) -> Result<T, LedgerError> {
    Ok(row.try_get(index)?)
}
