//! `device add`: adding a device and its lane.

use std::collections::BTreeMap;

use risiti_domain::{BuyerName, DeviceId, Dialect, Environment, TaxType};
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::directory::device_values::DEVICE_SECRETS;
use crate::directory::manage_error::{ManageError, refused_by};
use crate::directory::tax_rates::tax_rates_json;
use crate::operator_actions::{RecordedChange, differences};

statements! {
    DEVICE_ADD = "INSERT INTO devices (id, merchant_id, environment, dialect, base_url, portal_url, token_url,
        app_id, consumer_key, consumer_secret_ciphertext, pin, branch, serial, cmc_key_ciphertext, sdc_id,
        item_code, item_class, item_name, tax_type, tax_rates, walk_in_buyer)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
            coalesce($21, 'N/A'))";
    LANE_ADD = "INSERT INTO lanes (device_id, host, next_invoice_no, moved_by) VALUES ($1, $2, $3, $4)";
    HOST_ADD = "INSERT INTO hosts (host) VALUES ($1) ON CONFLICT (host) DO NOTHING";
    HAS_DEFAULT = "SELECT EXISTS (SELECT FROM devices WHERE merchant_id = $1 AND is_default)";
    DEFAULT_CLEAR = "UPDATE devices SET is_default = false WHERE merchant_id = $1 AND is_default AND id <> $2";
    DEFAULT_SET = "UPDATE devices SET is_default = true WHERE id = $1";
    SHORT_CODE_BIND = "UPDATE short_codes SET device_id = $3 WHERE short_code = $1 AND merchant_id = $2";
    SHORT_CODE_KNOWN = "SELECT EXISTS (SELECT FROM short_codes WHERE short_code = $1)";
}

/// What `device add` is given.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The id, if it was chosen before because secrets are sealed for it already.
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
    /// The first number that KRA expects.
    pub next_invoice_no: i64,
    pub options: DeviceOptions,
}

/// What a device may have besides, both when it is added and when it is changed.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    pub portal_url: Option<Url>,
    pub token_url: Option<Url>,
    pub app_id: Option<String>,
    pub consumer_key: Option<String>,
    pub consumer_secret: Option<SecretString>,
    pub cmc_key: Option<SecretString>,
    pub sdc_id: Option<String>,
    /// Short codes to bind to this device. They must be registered for its merchant.
    pub short_codes: Vec<String>,
    /// Whether this becomes the merchant's default device. The first device does so anyway.
    pub make_default: bool,
    pub tax_rates: BTreeMap<TaxType, Decimal>,
    /// What an invoice names as its buyer where nobody knows who bought.
    pub walk_in_buyer: Option<BuyerName>,
}

impl DeviceOptions {
    pub(crate) fn is_empty(&self) -> bool {
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
            walk_in_buyer,
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
            && walk_in_buyer.is_none()
    }
}

impl Ledger {
    /// Checks what `add_device` would refuse, and adds nothing. It is asked before a device is
    /// initialised.
    pub async fn check_new_device(
        &self,
        device: &NewDevice,
        vault: &Vault,
        operator: &str,
    ) -> Result<(), ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        // The transaction is dropped without a commit, so nothing stays.
        transaction
            .add_device(device, vault, operator)
            .await
            .map(drop)
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
}

impl Transaction<'_> {
    async fn add_device(
        &self,
        device: &NewDevice,
        vault: &Vault,
        operator: &str,
    ) -> Result<Uuid, ManageError> {
        let merchant = self.merchant_for_update(&device.merchant).await?;
        self.require_right_key(vault).await?;

        let options = &device.options;
        if device.dialect == Dialect::Gateway
            && (options.token_url.is_none()
                || options.consumer_key.is_none()
                || options.consumer_secret.is_none()
                || options.app_id.is_none())
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
                &options.portal_url.as_ref().map(Url::as_str),
                &options.token_url.as_ref().map(Url::as_str),
                &options.app_id,
                &options.consumer_key,
                &seal(
                    vault,
                    Place::consumer_secret(id),
                    options.consumer_secret.as_ref(),
                )?,
                &device.pin,
                &device.branch,
                &device.serial,
                &seal(vault, Place::cmc_key(id), options.cmc_key.as_ref())?,
                &options.sdc_id,
                &device.item_code,
                &device.item_class,
                &device.item_name,
                &device.tax_type.as_str(),
                &tax_rates_json(&options.tax_rates),
                &options.walk_in_buyer.as_ref().map(BuyerName::as_str),
            ],
        )
        .await
        .map_err(|error| {
            refused_by(error, "device_per_branch_unique", || {
                ManageError::BranchTaken {
                    environment: device.environment,
                    pin: device.pin.clone(),
                    branch: device.branch.clone(),
                }
            })
        })?;

        self.add_host(&host).await?;
        self.execute(LANE_ADD, &[&id, &host, &device.next_invoice_no, &operator])
            .await?;
        self.choose_default(merchant, id, options.make_default)
            .await?;
        self.bind_short_codes(&device.merchant, merchant, id, &options.short_codes)
            .await?;
        let values = self.device_values(id).await?;
        let change = RecordedChange {
            operator,
            reason: None,
            subject: json!({ "device_id": id, "merchant": device.merchant }),
            changes: differences(&Value::Null, &values, &DEVICE_SECRETS),
        };
        self.record_change("device add", change).await?;
        Ok(id)
    }

    /// Adds the host's row, which the cap and the breaker need before any lane calls the host.
    pub(crate) async fn add_host(&self, host: &str) -> Result<(), LedgerError> {
        self.execute(HOST_ADD, &[&host]).await.map(drop)
    }

    /// Makes the device the merchant's default if that was asked for or if the merchant has none.
    pub(crate) async fn choose_default(
        &self,
        merchant: Uuid,
        device: Uuid,
        asked: bool,
    ) -> Result<(), LedgerError> {
        let has_default: bool = self
            .query_one(HAS_DEFAULT, &[&merchant])
            .await?
            .try_get(0)?;
        if asked || !has_default {
            self.execute(DEFAULT_CLEAR, &[&merchant, &device]).await?;
            self.execute(DEFAULT_SET, &[&device]).await?;
        }
        Ok(())
    }

    /// Binds short codes of the merchant to a device. `slug` is the merchant's, for the error text.
    pub(crate) async fn bind_short_codes(
        &self,
        slug: &str,
        merchant: Uuid,
        device: Uuid,
        short_codes: &[String],
    ) -> Result<(), ManageError> {
        for short_code in short_codes {
            if self
                .execute(SHORT_CODE_BIND, &[short_code, &merchant, &device])
                .await?
                == 1
            {
                continue;
            }

            // Nothing was bound: the code is another merchant's, or nobody's.
            let row = self.query_one(SHORT_CODE_KNOWN, &[short_code]).await?;
            return Err(if row.try_get(0).map_err(LedgerError::from)? {
                ManageError::ShortCodeTaken(short_code.clone())
            } else {
                ManageError::ShortCodeUnknown {
                    merchant: slug.to_owned(),
                    short_code: short_code.clone(),
                }
            });
        }
        Ok(())
    }
}

/// Seals a secret for its place, if there is a secret.
pub(crate) fn seal(
    vault: &Vault,
    place: Place,
    secret: Option<&SecretString>,
) -> Result<Option<Vec<u8>>, ManageError> {
    Ok(secret.map(|secret| vault.seal(place, secret)).transpose()?)
}

/// The host of a base URL, as scheme, host and port. The cap and the breaker work per host.
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
    fn equal_hosts_have_one_spelling() {
        for (url, expected) in [
            (
                "https://etims-api.kra.go.ke/etims-api/",
                "https://etims-api.kra.go.ke:443",
            ),
            (
                "https://ETIMS-API.kra.go.ke:443",
                "https://etims-api.kra.go.ke:443",
            ),
            ("http://127.0.0.1:8088/", "http://127.0.0.1:8088"),
            ("http://[::1]/x", "http://[::1]:80"),
        ] {
            assert_eq!(host(&url.parse().unwrap()).unwrap(), expected);
        }
        assert!(host(&"mailto:x@y".parse().unwrap()).is_err());
    }
}
