//! What the tests of this crate set up: the device of the facts, client settings, and the facts.

use std::time::Duration;

use risiti_domain::{Dialect, Environment, TaxType};
use risiti_etims::{ClientSettings, DeviceProfile, Item, TaxRates, TokenSettings};
use serde_json::Value;
use url::Url;

/// The device of the facts, at this address.
pub(crate) fn profile(dialect: Dialect, base_url: &str) -> DeviceProfile {
    let base_url: Url = base_url.parse().unwrap();
    DeviceProfile {
        dialect,
        environment: Environment::Sandbox,
        token: (dialect == Dialect::Gateway).then(|| TokenSettings {
            url: base_url
                .join("/v1/token/generate?grant_type=client_credentials")
                .unwrap(),
            consumer_key: "consumer-key".to_owned(),
            consumer_secret: "consumer-secret".into(),
            app_id: "11111111-2222-4333-8444-555555555555".to_owned(),
        }),
        base_url,
        portal_url: None,
        pin: "P000000001A".to_owned(),
        branch: "00".to_owned(),
        serial: "SERIAL-1".to_owned(),
        cmc_key: (dialect != Dialect::Vscu).then(|| "the-cmc-key".into()),
        sdc_id: Some("KRACU0100000001".to_owned()),
        trade_name: Some("Baraka Mini Mart".to_owned()),
        item: Item {
            code: "KE2NTNO0000001".to_owned(),
            class: "5059690800".to_owned(),
            name: "Cooking gas regulator".to_owned(),
            tax_type: TaxType::B,
        },
        tax_rates: TaxRates::default(),
    }
}

/// The limits of production, with a time-out that ends a failing test.
pub(crate) fn test_settings() -> ClientSettings {
    ClientSettings {
        call_timeout: Duration::from_secs(20),
        ..ClientSettings::default()
    }
}

/// Reads a file of `tests/facts`.
pub(crate) fn facts(name: &str) -> Value {
    let path = format!("{}/tests/facts/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
