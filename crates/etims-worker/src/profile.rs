//! Turns the ledger's device into the profile that the eTIMS client takes.

use risiti_etims::{DeviceProfile, Item, TaxRates, TokenSettings};
use risiti_ledger::Device;

/// A stored URL that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("its {0} is not a URL")]
pub(crate) struct BadUrl(&'static str);

pub(crate) fn profile(device: Device) -> Result<DeviceProfile, BadUrl> {
    let token = device.token.map(|token| {
        Ok(TokenSettings {
            url: token.url.parse().map_err(|_| BadUrl("token URL"))?,
            consumer_key: token.consumer_key,
            consumer_secret: token.consumer_secret,
            app_id: token.app_id,
        })
    });
    let rates = device.tax_rates.in_force().into_iter();
    Ok(DeviceProfile {
        dialect: device.dialect,
        environment: device.environment,
        base_url: device.base_url.parse().map_err(|_| BadUrl("base URL"))?,
        portal_url: device
            .portal_url
            .map(|url| url.parse())
            .transpose()
            .map_err(|_| BadUrl("portal URL"))?,
        token: token.transpose()?,
        pin: device.pin,
        branch: device.branch,
        serial: device.serial,
        cmc_key: device.cmc_key,
        sdc_id: device.sdc_id,
        trade_name: Some(device.merchant_name),
        item: Item {
            code: device.item_code,
            class: device.item_class,
            name: device.item_name,
            tax_type: device.tax_type,
        },
        tax_rates: rates.fold(TaxRates::default(), |rates, (tax_type, rate)| {
            rates.with(tax_type, rate)
        }),
    })
}
