//! The client that calls KRA, and the profile of a device that it is called with.

use anyhow::{Context as _, Result};
use risiti_etims::{Client, ClientSettings, DeviceProfile, Item, TaxRates, TokenSettings, Witness};
use risiti_ledger::{Device, NewDevice, TaxPercents};

use crate::device_args::CallArgs;

pub(crate) fn client(args: &CallArgs, witness: Option<Witness>) -> Result<Client> {
    let settings = ClientSettings {
        call_timeout: args.etims_timeout,
        witness,
        ..ClientSettings::default()
    };
    Ok(Client::new(settings)?)
}

/// The profile of a device that is in the database.
pub(crate) fn profile_of_stored(device: &Device) -> Result<DeviceProfile> {
    let token = device.token.as_ref().map(|token| {
        anyhow::Ok(TokenSettings {
            url: token
                .url
                .parse()
                .context("invalid token URL in the database")?,
            consumer_key: token.consumer_key.clone(),
            consumer_secret: token.consumer_secret.clone(),
            app_id: token.app_id.clone(),
        })
    });

    let portal_url = device.portal_url.as_deref().map(str::parse).transpose();
    Ok(DeviceProfile {
        dialect: device.dialect,
        environment: device.environment,
        base_url: device
            .base_url
            .parse()
            .context("invalid base URL in the database")?,
        portal_url: portal_url.context("invalid portal URL in the database")?,
        token: token.transpose()?,
        pin: device.pin.clone(),
        branch: device.branch.clone(),
        serial: device.serial.clone(),
        cmc_key: device.cmc_key.clone(),
        sdc_id: device.sdc_id.clone(),
        trade_name: Some(device.merchant_name.clone()),
        item: Item {
            code: device.item_code.clone(),
            class: device.item_class.clone(),
            name: device.item_name.clone(),
            tax_type: device.tax_type,
        },
        tax_rates: rates(&device.tax_rates.in_force()),
    })
}

/// The profile of a device that is not in the database yet.
pub(crate) fn profile_of_new(device: &NewDevice) -> DeviceProfile {
    let more = &device.options;
    let token = match (
        &more.token_url,
        &more.consumer_key,
        &more.consumer_secret,
        &more.app_id,
    ) {
        (Some(url), Some(consumer_key), Some(consumer_secret), Some(app_id)) => {
            Some(TokenSettings {
                url: url.clone(),
                consumer_key: consumer_key.clone(),
                consumer_secret: consumer_secret.clone(),
                app_id: app_id.clone(),
            })
        }
        _ => None,
    };
    DeviceProfile {
        dialect: device.dialect,
        environment: device.environment,
        base_url: device.base_url.clone(),
        portal_url: more.portal_url.clone(),
        token,
        pin: device.pin.clone(),
        branch: device.branch.clone(),
        serial: device.serial.clone(),
        cmc_key: more.cmc_key.clone(),
        sdc_id: more.sdc_id.clone(),
        trade_name: None,
        item: Item {
            code: device.item_code.clone(),
            class: device.item_class.clone(),
            name: device.item_name.clone(),
            tax_type: device.tax_type,
        },
        tax_rates: rates(&more.tax_rates),
    }
}

/// The rates of KRA's specification, with those that are known to be others.
pub(crate) fn rates(known: &TaxPercents) -> TaxRates {
    known
        .iter()
        .fold(TaxRates::default(), |rates, (tax_type, percent)| {
            rates.with(*tax_type, *percent)
        })
}
