//! A device's tax rates: those that KRA's code list has, and those that a person has set.

use std::collections::BTreeMap;

use jiff::Timestamp;
use risiti_domain::{DeviceId, TaxType};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::directory::device_values::DEVICE_SECRETS;
use crate::directory::manage_error::ManageError;
use crate::operator_actions::{RecordedChange, differences};

statements! {
    RATES = "SELECT tax_rates, listed_tax_rates, tax_rates_listed_at FROM devices WHERE id = $1";
    LOCK = "SELECT tax_rates, listed_tax_rates, tax_rates_listed_at FROM devices WHERE id = $1
        FOR NO KEY UPDATE";
    STORE = "UPDATE devices SET listed_tax_rates = $2, tax_rates_listed_at = now() WHERE id = $1
        RETURNING tax_rates, listed_tax_rates, tax_rates_listed_at";
}

/// Rates in percent by tax type.
pub type TaxPercents = BTreeMap<TaxType, Decimal>;

/// What is known of a device's tax rates. A type that neither has follows KRA's specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceTaxRates {
    /// What a person has set, which comes before the list.
    pub set: TaxPercents,
    /// What KRA's code list had when it was read last. `None` if it never was.
    pub listed: Option<ListedTaxRates>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTaxRates {
    pub rates: TaxPercents,
    pub read_at: Timestamp,
}

impl DeviceTaxRates {
    /// The rates in force, as far as they are known here.
    pub fn in_force(&self) -> TaxPercents {
        let listed = self.listed.iter().flat_map(|listed| &listed.rates);
        listed
            .chain(&self.set)
            .map(|(tax_type, percent)| (*tax_type, *percent))
            .collect()
    }
}

impl Ledger {
    /// Reads a device's tax rates. `None` if there is no such device.
    pub async fn device_tax_rates(
        &self,
        device: DeviceId,
    ) -> Result<Option<DeviceTaxRates>, LedgerError> {
        let connection = self.connection().await?;
        let row = connection.query_opt(RATES, &[&device.uuid()]).await?;
        row.map(|row| read(&row, 0, device.uuid())).transpose()
    }

    /// Stores the rates of KRA's code list, which was read just now. Returns what was known before
    /// and what is known now.
    ///
    /// Invoices that have a number keep the body that was built for it.
    pub async fn store_listed_tax_rates(
        &self,
        device: DeviceId,
        rates: &TaxPercents,
        operator: &str,
    ) -> Result<(DeviceTaxRates, DeviceTaxRates), ManageError> {
        let id = device.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let row = transaction
            .query_opt(LOCK, &[&id])
            .await?
            .ok_or(ManageError::NoDevice(device))?;
        let before = read(&row, 0, id)?;
        let old = transaction.device_values(id).await?;
        let row = transaction
            .query_one(STORE, &[&id, &tax_rates_json(rates)])
            .await?;
        let now = read(&row, 0, id)?;
        let new = transaction.device_values(id).await?;
        let change = RecordedChange {
            operator,
            reason: None,
            subject: json!({ "device_id": id }),
            changes: differences(&old, &new, &DEVICE_SECRETS),
        };
        transaction.record_change("codes sync", change).await?;
        transaction.commit().await?;
        Ok((before, now))
    }
}

/// Reads `tax_rates`, `listed_tax_rates` and `tax_rates_listed_at`, which begin at this column.
pub(crate) fn read(row: &Row, first: usize, device: Uuid) -> Result<DeviceTaxRates, LedgerError> {
    let stored = |column| LedgerError::Stored {
        table: "devices",
        column,
        row: device.to_string(),
    };
    let set: Value = row.try_get(first)?;
    let listed: Option<Value> = row.try_get(first + 1)?;
    let read_at: Option<Timestamp> = row.try_get(first + 2)?;
    let listed = match listed.zip(read_at) {
        None => None,
        Some((listed, read_at)) => Some(ListedTaxRates {
            rates: read_tax_rates(&listed).ok_or_else(|| stored("listed_tax_rates"))?,
            read_at,
        }),
    };
    Ok(DeviceTaxRates {
        set: read_tax_rates(&set).ok_or_else(|| stored("tax_rates"))?,
        listed,
    })
}

/// Reads `{"E": "8"}`, where the rates are decimal text.
fn read_tax_rates(json: &Value) -> Option<TaxPercents> {
    json.as_object()?
        .iter()
        .map(|(tax_type, rate)| Some((tax_type.parse().ok()?, rate.as_str()?.parse().ok()?)))
        .collect()
}

pub(crate) fn tax_rates_json(rates: &TaxPercents) -> Value {
    let rates = rates.iter().map(|(tax_type, rate)| {
        (
            tax_type.as_str().to_owned(),
            Value::String(rate.to_string()),
        )
    });
    Value::Object(rates.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percents(rates: &[(TaxType, &str)]) -> TaxPercents {
        rates
            .iter()
            .map(|(tax_type, rate)| (*tax_type, rate.parse().unwrap()))
            .collect()
    }

    #[test]
    fn tax_rates_survive_as_decimal_text() {
        let rates = percents(&[(TaxType::E, "8.50")]);
        let json = tax_rates_json(&rates);
        assert_eq!(json.to_string(), r#"{"E":"8.50"}"#);
        assert_eq!(read_tax_rates(&json), Some(rates));
    }

    #[test]
    fn rate_that_is_no_decimal_text_is_refused() {
        for bad in [r#"{"E": 8.5}"#, r#"{"Z": "8"}"#, r#"{"E": "eight"}"#, "[]"] {
            assert_eq!(
                read_tax_rates(&serde_json::from_str(bad).unwrap()),
                None,
                "{bad}"
            );
        }
    }

    #[test]
    fn what_a_person_has_set_comes_before_the_list() {
        let rates = DeviceTaxRates {
            set: percents(&[(TaxType::E, "8")]),
            listed: Some(ListedTaxRates {
                rates: percents(&[(TaxType::B, "16"), (TaxType::E, "0")]),
                read_at: Timestamp::UNIX_EPOCH,
            }),
        };
        assert_eq!(
            rates.in_force(),
            percents(&[(TaxType::B, "16"), (TaxType::E, "8")])
        );
    }
}
