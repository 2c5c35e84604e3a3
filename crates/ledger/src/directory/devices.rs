//! Tax devices as the workers need them, read from their rows with their secrets opened.

use risiti_domain::{DeviceId, Dialect, Environment, MerchantId, TaxType, UnknownName};
use secrecy::SecretString;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::directory::tax_rates::{self, DeviceTaxRates};

statements! {
    DEVICE = "SELECT d.id, d.merchant_id, m.slug, m.name, d.environment, d.dialect, d.base_url, d.portal_url,
        d.token_url, d.app_id, d.consumer_key, d.consumer_secret_ciphertext, d.pin, d.branch, d.serial,
        d.cmc_key_ciphertext, d.sdc_id, d.item_code, d.item_class, d.item_name, d.tax_type, d.tax_rates,
        d.listed_tax_rates, d.tax_rates_listed_at, d.is_default
        FROM devices d JOIN merchants m ON m.id = d.merchant_id WHERE d.id = $1";
}

/// A device with its credentials. `Debug` shows none of them.
#[derive(Clone, Debug)]
pub struct Device {
    pub id: DeviceId,
    pub merchant_id: MerchantId,
    pub merchant_slug: String,
    pub merchant_name: String,
    pub environment: Environment,
    pub dialect: Dialect,
    pub base_url: String,
    pub portal_url: Option<String>,
    /// Only a device of the gateway dialect has this, and it always has it.
    pub token: Option<TokenEndpoint>,
    pub pin: String,
    pub branch: String,
    pub serial: String,
    pub cmc_key: Option<SecretString>,
    pub sdc_id: Option<String>,
    pub item_code: String,
    pub item_class: String,
    pub item_name: String,
    pub tax_type: TaxType,
    pub tax_rates: DeviceTaxRates,
    pub is_default: bool,
}

/// How the gateway's bearer token is fetched.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    /// The whole URL with its query.
    pub url: String,
    pub app_id: String,
    pub consumer_key: String,
    pub consumer_secret: SecretString,
}

impl Ledger {
    /// Reads one device. `None` when there is no such device.
    ///
    /// # Errors
    /// [`LedgerError::Vault`] when the vault does not open the device's secrets.
    pub async fn device(&self, id: DeviceId, vault: &Vault) -> Result<Option<Device>, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_opt(DEVICE, &[&id.uuid()])
            .await?;
        row.map(|row| read(&row, vault)).transpose()
    }
}

fn read(row: &Row, vault: &Vault) -> Result<Device, LedgerError> {
    let id: Uuid = row.try_get(0)?;
    let stored = |column| LedgerError::Stored {
        table: "devices",
        column,
        row: id.to_string(),
    };
    let sealed = |index, place| open(row, index, place, vault);
    let consumer_secret = sealed(11, Place::consumer_secret(id))?;

    // The constraint `gateway_has_token` lets no gateway device lack any of the four.
    let token = match (
        row.try_get(8)?,
        row.try_get(9)?,
        row.try_get(10)?,
        consumer_secret,
    ) {
        (Some(url), Some(app_id), Some(consumer_key), Some(consumer_secret)) => {
            Some(TokenEndpoint {
                url,
                app_id,
                consumer_key,
                consumer_secret,
            })
        }
        _ => None,
    };

    Ok(Device {
        id: DeviceId::from_uuid(id),
        merchant_id: MerchantId::from_uuid(row.try_get(1)?),
        merchant_slug: row.try_get(2)?,
        merchant_name: row.try_get(3)?,
        environment: named(row, 4).map_err(|_| stored("environment"))?,
        dialect: named(row, 5).map_err(|_| stored("dialect"))?,
        base_url: row.try_get(6)?,
        portal_url: row.try_get(7)?,
        token,
        pin: row.try_get(12)?,
        branch: row.try_get(13)?,
        serial: row.try_get(14)?,
        cmc_key: sealed(15, Place::cmc_key(id))?,
        sdc_id: row.try_get(16)?,
        item_code: row.try_get(17)?,
        item_class: row.try_get(18)?,
        item_name: row.try_get(19)?,
        tax_type: named(row, 20).map_err(|_| stored("tax_type"))?,
        tax_rates: tax_rates::read(row, 21, id)?,
        is_default: row.try_get(24)?,
    })
}

fn open(
    row: &Row,
    index: usize,
    place: Place,
    vault: &Vault,
) -> Result<Option<SecretString>, LedgerError> {
    let sealed: Option<&[u8]> = row.try_get(index)?;
    Ok(sealed.map(|sealed| vault.open(place, sealed)).transpose()?)
}

fn named<'r, T>(row: &'r Row, index: usize) -> Result<T, LedgerError>
where
    T: std::str::FromStr<Err = UnknownName>,
    &'r str: FromSql<'r>,
{
    let text: &str = row.try_get(index)?;
    text.parse().map_err(|_| LedgerError::Stored {
        table: "devices",
        column: "name",
        row: text.to_owned(),
    })
}
