//! Adding devices, and with each device its lane.

use std::collections::BTreeMap;

use risiti_domain::{DeviceId, Dialect, Environment, TaxType};
use rust_decimal::Decimal;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::directory::devices::{cmc_key_place, consumer_secret_place, tax_rates_json};
use crate::directory::manage_error::{ManageError, refused_by};

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
                &seal(
                    vault,
                    consumer_secret_place(id),
                    more.consumer_secret.as_ref(),
                )?,
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
        self.settle_default(merchant, id, more.make_default).await?;
        self.bind_short_codes(&device.merchant, merchant, id, &more.short_codes)
            .await?;
        Ok(id)
    }

    /// The cap and the breaker need the host's row before any lane calls there.
    pub(crate) async fn add_host(&self, host: &str) -> Result<(), LedgerError> {
        self.execute(HOST_ADD, &[&host]).await.map(drop)
    }

    /// Makes it the merchant's default where that was asked for, or the merchant has none.
    pub(crate) async fn settle_default(
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

pub(crate) fn seal(
    vault: &Vault,
    place: Place,
    secret: Option<&SecretString>,
) -> Result<Option<Vec<u8>>, ManageError> {
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
