//! Adding and changing devices, and with each device its lane.

use std::collections::BTreeMap;

use risiti_domain::{DeviceId, Dialect, Environment, TaxType};
use rust_decimal::Decimal;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use crate::devices::{cmc_key_place, consumer_secret_place, tax_rates_json};
use crate::error::LedgerError;
use crate::manage::{ManageError, refused_by};
use crate::pool::{Ledger, Transaction};
use crate::statements::statements;
use crate::vault::{Place, Vault};

statements! {
    DEVICE_ADD = "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, portal_url, token_url,
        app_id, consumer_key, consumer_secret_ciphertext, pin, branch, serial, cmc_key_ciphertext, sdc_id,
        item_code, item_class, item_name, tax_type, tax_rates)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
    LANE_ADD = "INSERT INTO lanes (device_id, host, next_invoice_no, moved_by) VALUES ($1, $2, $3, $4)";
    HOST_ADD = "INSERT INTO hosts (host) VALUES ($1) ON CONFLICT (host) DO NOTHING";
    HAS_DEFAULT = "SELECT EXISTS (SELECT FROM devices WHERE merchant_id = $1 AND is_default)";
    DEFAULT_CLEAR = "UPDATE devices SET is_default = false WHERE merchant_id = $1 AND is_default AND id <> $2";
    DEFAULT_SET = "UPDATE devices SET is_default = true WHERE id = $1";
    SHORT_CODE_BIND = "UPDATE short_codes SET device_id = $3 WHERE short_code = $1 AND merchant_id = $2";
    SHORT_CODE_KNOWN = "SELECT EXISTS (SELECT FROM short_codes WHERE short_code = $1)";
    DEVICE_LOCK = "SELECT d.merchant_id, m.slug, d.environment, d.pin, d.branch,
        EXISTS (SELECT FROM invoices i WHERE i.device_id = d.id)
        FROM devices d JOIN merchants m ON m.id = d.merchant_id WHERE d.id = $1
        FOR NO KEY UPDATE OF d";
    DEVICE_CHANGE = "UPDATE devices SET
        merchant_id = coalesce($2, merchant_id), environment = coalesce($3, environment),
        dialect = coalesce($4, dialect), base_url = coalesce($5, base_url),
        portal_url = coalesce($6, portal_url), token_url = coalesce($7, token_url),
        app_id = coalesce($8, app_id), consumer_key = coalesce($9, consumer_key),
        consumer_secret_ciphertext = coalesce($10, consumer_secret_ciphertext), serial = coalesce($11, serial),
        cmc_key_ciphertext = coalesce($12, cmc_key_ciphertext), sdc_id = coalesce($13, sdc_id),
        item_code = coalesce($14, item_code), item_class = coalesce($15, item_class),
        item_name = coalesce($16, item_name), tax_type = coalesce($17, tax_type),
        tax_rates = tax_rates || $18, is_default = is_default AND $2::uuid IS NULL
        WHERE id = $1";
    /// Short codes go with the merchant, not with the device.
    SHORT_CODES_UNBIND = "UPDATE short_codes SET device_id = NULL WHERE device_id = $1 AND merchant_id <> $2";
    LANE_HOST = "UPDATE lanes SET host = $2 WHERE device_id = $1";
    /// The lane's guard lets it go back only where no number was used yet.
    NUMBER_SET = "UPDATE lanes SET next_invoice_no = $2, moved_by = $3 WHERE device_id = $1
        AND (next_invoice_no = $2 OR NOT EXISTS (SELECT FROM submissions s WHERE s.device_id = $1))";
    NUMBER = "SELECT next_invoice_no FROM lanes WHERE device_id = $1";
    /// A halt's message names the command that ends it (protocol D15); this ends those that name it.
    HALT_END = "UPDATE lanes SET halted_at = NULL, halt_reason = NULL, retry_at = NULL, retry_step = 0,
        token_at = NULL, moved_by = $2, moved_because = $3
        WHERE device_id = $1 AND halted_at IS NOT NULL AND halt_reason LIKE '%device update%'";
    ACTION = "INSERT INTO operator_actions (id, operator, command, reason, filter, matched, done, ended_at)
        VALUES ($1, $2, $3, $4, $5, 1, 1, now())";
}

/// What `device add` brings.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Chosen before, where secrets were sealed for it already; else made here.
    pub id: Option<DeviceId>,
    pub merchant: String,
    pub pin: String,
    pub branch: String,
    pub environment: Environment,
    pub dialect: Dialect,
    pub base_url: Url,
    pub serial: String,
    pub item_code: String,
    pub item_class: String,
    pub item_name: String,
    pub tax_type: TaxType,
    /// KRA expects this one first.
    pub next_invoice_no: i64,
    pub more: DeviceOptions,
}

/// What a device may have besides, when it is added and when it is changed.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    pub portal_url: Option<Url>,
    pub token_url: Option<Url>,
    pub app_id: Option<String>,
    pub consumer_key: Option<String>,
    pub consumer_secret: Option<SecretString>,
    pub cmc_key: Option<SecretString>,
    pub sdc_id: Option<String>,
    /// Bound to this device; they must be registered for its merchant.
    pub short_codes: Vec<String>,
    /// Takes the place of the merchant's default device. The first device is the default anyway.
    pub make_default: bool,
    pub tax_rates: BTreeMap<TaxType, Decimal>,
}

/// What `device update` changes; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct DeviceChanges {
    pub merchant: Option<String>,
    pub environment: Option<Environment>,
    pub dialect: Option<Dialect>,
    pub base_url: Option<Url>,
    pub serial: Option<String>,
    pub item_code: Option<String>,
    pub item_class: Option<String>,
    pub item_name: Option<String>,
    pub tax_type: Option<TaxType>,
    pub next_invoice_no: Option<i64>,
    pub more: DeviceOptions,
}

/// Who does something by hand, and why: kept in `operator_actions`.
#[derive(Clone, Debug)]
pub struct ByHand {
    pub operator: String,
    pub reason: String,
}

/// What `device update` did beside the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The lane was halted for something that this command ends.
    pub resumed: bool,
}

impl DeviceChanges {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        let Self {
            merchant,
            environment,
            dialect,
            base_url,
            serial,
            item_code,
            item_class,
            item_name,
            tax_type,
            next_invoice_no,
            more,
        } = self;
        merchant.is_none()
            && environment.is_none()
            && dialect.is_none()
            && base_url.is_none()
            && serial.is_none()
            && item_code.is_none()
            && item_class.is_none()
            && item_name.is_none()
            && tax_type.is_none()
            && next_invoice_no.is_none()
            && more.is_empty()
    }
}

impl DeviceOptions {
    fn is_empty(&self) -> bool {
        let Self {
            portal_url,
            token_url,
            app_id,
            consumer_key,
            consumer_secret,
            cmc_key,
            sdc_id,
            short_codes,
            make_default,
            tax_rates,
        } = self;
        portal_url.is_none()
            && token_url.is_none()
            && app_id.is_none()
            && consumer_key.is_none()
            && consumer_secret.is_none()
            && cmc_key.is_none()
            && sdc_id.is_none()
            && short_codes.is_empty()
            && !make_default
            && tax_rates.is_empty()
    }
}

impl Ledger {
    /// Everything `add_device` would refuse, without adding anything: asked before a device is initialised.
    pub async fn check_new_device(
        &self,
        device: &NewDevice,
        vault: &Vault,
        operator: &str,
    ) -> Result<(), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        transaction.add_device(device, vault, operator).await.map(drop)
    }

    /// Adds a device and its lane.
    pub async fn add_device(
        &self,
        device: &NewDevice,
        vault: &Vault,
        operator: &str,
    ) -> Result<DeviceId, ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let id = transaction.add_device(device, vault, operator).await?;
        transaction.commit().await?;
        Ok(DeviceId::from_uuid(id))
    }

    /// Changes a device, and ends a halt of its lane that waits for that.
    pub async fn update_device(
        &self,
        id: DeviceId,
        changes: &DeviceChanges,
        vault: &Vault,
        by: &ByHand,
    ) -> Result<Updated, ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let updated = transaction.update_device(id, changes, vault, by).await?;
        transaction.commit().await?;
        Ok(updated)
    }
}

impl Transaction<'_> {
    async fn add_device(
        &self,
        device: &NewDevice,
        vault: &Vault,
        operator: &str,
    ) -> Result<Uuid, ManageError> {
        let merchant = self.merchant_for_update(&device.merchant).await?;
        self.settle_key(vault).await?;
        let more = &device.more;
        if device.dialect == Dialect::Gateway
            && (more.token_url.is_none()
                || more.consumer_key.is_none()
                || more.consumer_secret.is_none()
                || more.app_id.is_none())
        {
            return Err(ManageError::TokenMissing);
        }
        let id = device.id.map_or_else(Uuid::now_v7, DeviceId::uuid);
        let host = host(&device.base_url)?;
        self.execute(
            DEVICE_ADD,
            &[
                &id,
                &merchant,
                &device.environment.as_str(),
                &device.dialect.as_str(),
                &device.base_url.as_str(),
                &more.portal_url.as_ref().map(Url::as_str),
                &more.token_url.as_ref().map(Url::as_str),
                &more.app_id,
                &more.consumer_key,
                &seal(vault, consumer_secret_place(id), more.consumer_secret.as_ref())?,
                &device.pin,
                &device.branch,
                &device.serial,
                &seal(vault, cmc_key_place(id), more.cmc_key.as_ref())?,
                &more.sdc_id,
                &device.item_code,
                &device.item_class,
                &device.item_name,
                &device.tax_type.as_str(),
                &tax_rates_json(&more.tax_rates),
            ],
        )
        .await
        .map_err(|error| {
            refused_by(error, "device_per_branch_unique", || ManageError::BranchTaken {
                environment: device.environment,
                pin: device.pin.clone(),
                branch: device.branch.clone(),
            })
        })?;
        self.execute(HOST_ADD, &[&host]).await?;
        self.execute(LANE_ADD, &[&id, &host, &device.next_invoice_no, &operator]).await?;
        let has_default: bool =
            self.query_one(HAS_DEFAULT, &[&merchant]).await?.try_get(0).map_err(LedgerError::from)?;
        if more.make_default || !has_default {
            self.make_default(merchant, id).await?;
        }
        self.bind_short_codes(&device.merchant, merchant, id, &more.short_codes).await?;
        Ok(id)
    }

    async fn update_device(
        &self,
        device: DeviceId,
        changes: &DeviceChanges,
        vault: &Vault,
        by: &ByHand,
    ) -> Result<Updated, ManageError> {
        self.settle_key(vault).await?;
        let id = device.uuid();
        let row = self.query_opt(DEVICE_LOCK, &[&id]).await?.ok_or(ManageError::NoDevice(device))?;
        let known = Known::read(&row)?;
        let merchant = match &changes.merchant {
            Some(slug) if *slug != known.merchant_slug => Some(self.merchant_for_update(slug).await?),
            _ => None,
        };
        if known.has_invoices && merchant.is_some() {
            return Err(ManageError::HasInvoices("the merchant"));
        }
        if known.has_invoices && changes.environment.is_some_and(|new| new != known.environment) {
            return Err(ManageError::HasInvoices("the environment"));
        }
        self.change_row(id, merchant, changes, vault, &known).await?;
        if let Some(base_url) = &changes.base_url {
            let host = host(base_url)?;
            self.execute(HOST_ADD, &[&host]).await?;
            self.execute(LANE_HOST, &[&id, &host]).await?;
        }
        if let Some(number) = changes.next_invoice_no {
            self.set_number(id, number, &by.operator).await?;
        }
        let owner = merchant.unwrap_or(known.merchant);
        if merchant.is_some() {
            self.execute(SHORT_CODES_UNBIND, &[&id, &owner]).await?;
        }
        if changes.more.make_default {
            self.make_default(owner, id).await?;
        }
        let slug = changes.merchant.as_deref().unwrap_or(&known.merchant_slug);
        self.bind_short_codes(slug, owner, id, &changes.more.short_codes).await?;
        let resumed = self.execute(HALT_END, &[&id, &by.operator, &by.reason]).await? == 1;
        self.record_action("device update", by, serde_json::json!({ "device_id": id })).await?;
        Ok(Updated { resumed })
    }

    async fn change_row(
        &self,
        id: Uuid,
        merchant: Option<Uuid>,
        changes: &DeviceChanges,
        vault: &Vault,
        known: &Known,
    ) -> Result<(), ManageError> {
        let more = &changes.more;
        let changed = self
            .execute(
                DEVICE_CHANGE,
                &[
                    &id,
                    &merchant,
                    &changes.environment.map(Environment::as_str),
                    &changes.dialect.map(Dialect::as_str),
                    &changes.base_url.as_ref().map(Url::as_str),
                    &more.portal_url.as_ref().map(Url::as_str),
                    &more.token_url.as_ref().map(Url::as_str),
                    &more.app_id,
                    &more.consumer_key,
                    &seal(vault, consumer_secret_place(id), more.consumer_secret.as_ref())?,
                    &changes.serial,
                    &seal(vault, cmc_key_place(id), more.cmc_key.as_ref())?,
                    &more.sdc_id,
                    &changes.item_code,
                    &changes.item_class,
                    &changes.item_name,
                    &changes.tax_type.map(TaxType::as_str),
                    &tax_rates_json(&more.tax_rates),
                ],
            )
            .await;
        match changed {
            Ok(_) => Ok(()),
            Err(error) => match error.constraint() {
                Some("gateway_has_token") => Err(ManageError::TokenMissing),
                Some("device_per_branch_unique") => Err(ManageError::BranchTaken {
                    environment: changes.environment.unwrap_or(known.environment),
                    pin: known.pin.clone(),
                    branch: known.branch.clone(),
                }),
                _ => Err(error.into()),
            },
        }
    }

    async fn set_number(&self, device: Uuid, to: i64, operator: &str) -> Result<(), ManageError> {
        let row = self.query_one(NUMBER, &[&device]).await?;
        let from: i64 = row.try_get(0).map_err(LedgerError::from)?;
        let refused = || ManageError::NumberInUse { from, to };
        match self.execute(NUMBER_SET, &[&device, &to, &operator]).await {
            Ok(1) => Ok(()),
            Ok(_) => Err(refused()),
            Err(error) => Err(refused_by(error, "invoice_no_never_back", refused)),
        }
    }

    async fn make_default(&self, merchant: Uuid, device: Uuid) -> Result<(), LedgerError> {
        self.execute(DEFAULT_CLEAR, &[&merchant, &device]).await?;
        self.execute(DEFAULT_SET, &[&device]).await.map(drop)
    }

    async fn bind_short_codes(
        &self,
        slug: &str,
        merchant: Uuid,
        device: Uuid,
        short_codes: &[String],
    ) -> Result<(), ManageError> {
        for short_code in short_codes {
            if self.execute(SHORT_CODE_BIND, &[short_code, &merchant, &device]).await? == 1 {
                continue;
            }
            let row = self.query_one(SHORT_CODE_KNOWN, &[short_code]).await?;
            return Err(if row.try_get(0).map_err(LedgerError::from)? {
                ManageError::ShortCodeTaken(short_code.clone())
            } else {
                ManageError::ShortCodeUnknown { merchant: slug.to_owned(), short_code: short_code.clone() }
            });
        }
        Ok(())
    }

    /// Keeps who did what to what by hand, and why.
    pub(crate) async fn record_action(
        &self,
        command: &str,
        by: &ByHand,
        subject: serde_json::Value,
    ) -> Result<(), LedgerError> {
        self.execute(ACTION, &[&Uuid::now_v7(), &by.operator, &command, &by.reason, &subject]).await.map(drop)
    }
}

/// A device's row before a change.
struct Known {
    merchant: Uuid,
    merchant_slug: String,
    environment: Environment,
    pin: String,
    branch: String,
    has_invoices: bool,
}

impl Known {
    fn read(row: &tokio_postgres::Row) -> Result<Self, LedgerError> {
        let environment: &str = row.try_get(2)?;
        let unreadable =
            |_| LedgerError::Stored { table: "devices", column: "environment", row: environment.to_owned() };
        Ok(Self {
            merchant: row.try_get(0)?,
            merchant_slug: row.try_get(1)?,
            environment: environment.parse().map_err(unreadable)?,
            pin: row.try_get(3)?,
            branch: row.try_get(4)?,
            has_invoices: row.try_get(5)?,
        })
    }
}

fn seal(vault: &Vault, place: Place, secret: Option<&SecretString>) -> Result<Option<Vec<u8>>, ManageError> {
    Ok(secret.map(|secret| vault.seal(place, secret)).transpose()?)
}

/// Scheme, host and port: the cap and the breaker hold per host.
pub(crate) fn host(base_url: &Url) -> Result<String, ManageError> {
    match (base_url.host_str(), base_url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok(format!("{}://{host}:{port}", base_url.scheme())),
        _ => Err(ManageError::NoHost(base_url.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_written_one_way() {
        for (url, expected) in [
            ("https://etims-api.kra.go.ke/etims-api/", "https://etims-api.kra.go.ke:443"),
            ("https://ETIMS-API.kra.go.ke:443", "https://etims-api.kra.go.ke:443"),
            ("http://127.0.0.1:8088/", "http://127.0.0.1:8088"),
            ("http://[::1]/x", "http://[::1]:80"),
        ] {
            assert_eq!(host(&url.parse().unwrap()).unwrap(), expected);
        }
        assert!(host(&"mailto:x@y".parse().unwrap()).is_err());
    }
}
