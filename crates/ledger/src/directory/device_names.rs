//! A device by its id, or by the slug of a merchant that has one device.

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    MERCHANT_KNOWN = "SELECT EXISTS (SELECT FROM merchants WHERE slug = $1)";
    /// The list is for an error text, so it need not be complete.
    OF_MERCHANT = "
        SELECT d.id, d.environment, d.pin, d.branch, count(*) OVER ()
        FROM devices d JOIN merchants m ON m.id = d.merchant_id
        WHERE m.slug = $1 ORDER BY d.environment, d.pin, d.branch LIMIT 20";
}

/// Why a name leads to no single device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceNameError {
    #[error("there is no device or merchant {0}: `risiti-admin device list` shows both")]
    Unknown(String),
    #[error("merchant {0} has no device")]
    NoDevice(String),
    #[error("merchant {merchant} has {count} devices, so give the id of one:\n{devices}")]
    Several {
        merchant: String,
        count: i64,
        /// At most 20 of them, one a line.
        devices: String,
    },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// Finds the device that a person names. An id is taken as it is.
    pub async fn device_named(&self, name: &str) -> Result<DeviceId, DeviceNameError> {
        if let Ok(device) = name.parse() {
            return Ok(device);
        }
        let connection = self.connection().await?;
        let rows = connection.query(OF_MERCHANT, &[&name]).await?;
        let mut devices = Vec::with_capacity(rows.len());
        for row in &rows {
            devices.push(read(row)?);
        }
        match &devices[..] {
            [] => {
                let row = connection.query_one(MERCHANT_KNOWN, &[&name]).await?;
                let known: bool = row.try_get(0).map_err(LedgerError::from)?;
                Err(if known {
                    DeviceNameError::NoDevice(name.to_owned())
                } else {
                    DeviceNameError::Unknown(name.to_owned())
                })
            }
            [(device, _)] => Ok(*device),
            several => {
                let lines = several.iter().map(|(id, place)| format!("  {id}  {place}"));
                let count = rows[0].try_get(4).map_err(LedgerError::from)?;
                Err(DeviceNameError::Several {
                    merchant: name.to_owned(),
                    count,
                    devices: lines.collect::<Vec<_>>().join("\n"),
                })
            }
        }
    }
}

/// The device with what tells it from the merchant's others.
fn read(row: &tokio_postgres::Row) -> Result<(DeviceId, String), LedgerError> {
    let id: Uuid = row.try_get(0)?;
    let [environment, pin, branch]: [&str; 3] = [row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    let place = format!("{environment} {pin} {branch}");
    Ok((DeviceId::from_uuid(id), place))
}
