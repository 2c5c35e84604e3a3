//! `codes sync`: reading KRA's code lists, and the tax rates that a device's invoices have.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use risiti_domain::{DeviceId, Dialect, TaxType};
use risiti_etims::{DeviceProfile, TaxRates};
use risiti_ledger::{DeviceTaxRates, ManageError, NewDevice, TaxPercents};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::device_args::CallArgs;
use crate::kra;
use crate::session::Session;
use crate::values;

/// `device add` waits no longer than this for the code list, since the device is added already.
const WAIT_OF_ADD: Duration = Duration::from_secs(15);

#[derive(Debug, Subcommand)]
pub(crate) enum CodesCommand {
    /// Read the tax rates from KRA's code list and use them for this device
    ///
    /// KRA refuses an invoice whose rates are not its own, also those of tax types that the invoice
    /// does not use. The rates are stored with the time. They apply to invoices that get their
    /// number from now on: a body that was sent already is sent again as it was. A rate set with
    /// `device add --tax-rate` or `device update --tax-rate` comes before the list.
    #[command(after_help = "Examples:
  risiti-admin codes sync 01890a5d-ac96-774b-bcce-b302099a8057
  risiti-admin codes sync 01890a5d-ac96-774b-bcce-b302099a8057 --json | jq .tax_rates")]
    Sync {
        /// The device's id, or the slug of a merchant with one device
        #[arg(value_parser = values::short_text)]
        device: String,
        #[command(flatten)]
        call: CallArgs,
    },
}

pub(crate) async fn run(session: &Session, command: CodesCommand) -> Result<()> {
    let CodesCommand::Sync { device, call } = command;
    let vault = session.vault().await?;
    let device = session.ledger.device_named(&device).await?;
    let stored = session
        .ledger
        .device(device, vault)
        .await?
        .ok_or(ManageError::NoDevice(device))?;
    let profile = kra::profile_of_stored(&stored)?;
    let (before, now) = sync(session, device, &profile, &call).await?;

    let rates: Map<String, Value> = TaxType::ALL
        .iter()
        .map(|tax_type| {
            let rate = json!({
                "before": percent(&before, *tax_type).to_string(),
                "listed": listed(&now, *tax_type).map(|listed| listed.to_string()),
                "in_force": percent(&now, *tax_type).to_string(),
                "source": source(&now, *tax_type),
            });
            (tax_type.as_str().to_owned(), rate)
        })
        .collect();
    let read_at = now.listed.as_ref().map(|listed| listed.read_at.to_string());
    session.out.object(
        &json!({ "device_id": device, "read_at": read_at, "tax_rates": rates }),
        &text(&before, &now),
    );
    Ok(())
}

/// Reads the rates of a device that was added just now. Where KRA cannot be asked the rates of the
/// specification hold, and this only warns.
pub(crate) async fn sync_new(session: &Session, id: DeviceId, device: &NewDevice, call: &CallArgs) {
    // Without its key KRA would refuse it.
    if device.options.cmc_key.is_none() && device.dialect != Dialect::Vscu {
        return;
    }
    let call = CallArgs {
        etims_timeout: call.etims_timeout.min(WAIT_OF_ADD),
    };
    let profile = kra::profile_of_new(device);
    match sync(session, id, &profile, &call).await {
        Ok((before, now)) if in_force(&before) != in_force(&now) => {
            session.out.note(&text(&before, &now));
        }
        Ok(_) => {}
        Err(error) => session.out.note(&format!(
            "warning: KRA's tax rates were not read: {error:#}; those of its specification hold until \
             `risiti-admin codes sync {id}`"
        )),
    }
}

async fn sync(
    session: &Session,
    device: DeviceId,
    profile: &DeviceProfile,
    call: &CallArgs,
) -> Result<(DeviceTaxRates, DeviceTaxRates)> {
    let client = kra::client(call, None)?;
    let list = client.code_list(profile).await?;
    let rates = list
        .tax_rates()
        .context("KRA's code list does not have one rate for each tax type (code class 04)")?;
    let percents: TaxPercents = TaxType::ALL
        .iter()
        .map(|tax_type| (*tax_type, rates.rate(*tax_type)))
        .collect();
    let stored = session
        .ledger
        .store_listed_tax_rates(device, &percents, &session.operator)
        .await?;
    Ok(stored)
}

/// The rates in force with their sources, for programs and for a person.
pub(crate) fn shown(rates: &DeviceTaxRates) -> (Value, String) {
    let read_at = rates.listed.as_ref().map(|listed| listed.read_at);
    let mut object = Map::new();
    let mut line = String::new();
    for tax_type in TaxType::ALL {
        let (percent, source) = (percent(rates, *tax_type), source(rates, *tax_type));
        let date = read_at.filter(|_| source == Source::CODE_LIST);
        let rate = json!({
            "percent": percent.to_string(),
            "source": source,
            "read_at": date.map(|date| date.to_string()),
        });
        object.insert(tax_type.as_str().to_owned(), rate);
        let source = match date {
            Some(date) => format!("code list of {}", date.strftime("%Y-%m-%d")),
            None if source == Source::SET => "set with --tax-rate".to_owned(),
            None => "KRA's specification".to_owned(),
        };
        let separator = if line.is_empty() { "" } else { ", " };
        write!(line, "{separator}{tax_type} {percent} % ({source})").ok();
    }
    (Value::Object(object), line)
}

/// Where a rate in force comes from.
struct Source;

impl Source {
    const SET: &str = "set";
    const CODE_LIST: &str = "code_list";
    const SPECIFICATION: &str = "specification";
}

fn source(rates: &DeviceTaxRates, tax_type: TaxType) -> &'static str {
    if rates.set.contains_key(&tax_type) {
        Source::SET
    } else if listed(rates, tax_type).is_some() {
        Source::CODE_LIST
    } else {
        Source::SPECIFICATION
    }
}

fn listed(rates: &DeviceTaxRates, tax_type: TaxType) -> Option<Decimal> {
    rates.listed.as_ref()?.rates.get(&tax_type).copied()
}

fn in_force(rates: &DeviceTaxRates) -> TaxRates {
    kra::rates(&rates.in_force())
}

fn percent(rates: &DeviceTaxRates, tax_type: TaxType) -> Decimal {
    in_force(rates).rate(tax_type).normalize()
}

fn text(before: &DeviceTaxRates, now: &DeviceTaxRates) -> String {
    let mut text = format!("Tax rates: {}.", shown(now).1);
    for tax_type in TaxType::ALL {
        let (old, new) = (percent(before, *tax_type), percent(now, *tax_type));
        if old != new {
            write!(text, "\n{tax_type} was {old} %.").ok();
        }
        let other = listed(now, *tax_type).map(|listed| listed.normalize());
        if let Some(other) = other.filter(|listed| *listed != new) {
            write!(
                text,
                "\n{tax_type} is {other} % in KRA's list. The rate that was set stays."
            )
            .ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use risiti_ledger::ListedTaxRates;

    use super::*;

    fn rates(set: &[(TaxType, i64)], listed: &[(TaxType, i64)]) -> DeviceTaxRates {
        let percents = |rates: &[(TaxType, i64)]| -> TaxPercents {
            rates
                .iter()
                .map(|(tax_type, rate)| (*tax_type, Decimal::from(*rate)))
                .collect()
        };
        DeviceTaxRates {
            set: percents(set),
            listed: (!listed.is_empty()).then(|| ListedTaxRates {
                rates: percents(listed),
                read_at: "2026-11-28T09:00:00Z".parse::<Timestamp>().unwrap(),
            }),
        }
    }

    #[test]
    fn each_rate_tells_where_it_comes_from() {
        let (object, line) = shown(&rates(
            &[(TaxType::A, 1)],
            &[(TaxType::B, 16), (TaxType::A, 0)],
        ));
        assert_eq!(
            object["A"],
            json!({"percent": "1", "source": "set", "read_at": null})
        );
        assert_eq!(object["B"]["source"], "code_list");
        assert_eq!(
            object["E"],
            json!({"percent": "8", "source": "specification", "read_at": null})
        );
        assert!(
            line.starts_with(
                "A 1 % (set with --tax-rate), B 16 % (code list of 2026-11-28), C 0 % (KRA"
            ),
            "{line}"
        );
    }

    #[test]
    fn the_text_tells_what_changed_and_what_did_not() {
        let before = rates(&[], &[]);
        let changed = text(&before, &rates(&[], &[(TaxType::E, 0)]));
        assert!(changed.ends_with("\nE was 8 %."), "{changed}");
        let held = text(&before, &rates(&[(TaxType::E, 8)], &[(TaxType::E, 0)]));
        assert!(
            held.ends_with("\nE is 0 % in KRA's list. The rate that was set stays."),
            "{held}"
        );
    }
}
