//! What a call to KRA needs to know about the device.

use std::fmt;

use risiti_domain::{Dialect, Environment, TaxType};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::tax::TaxRates;

/// A tax device with its credentials. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct DeviceProfile {
    pub dialect: Dialect,
    pub environment: Environment,
    /// With or without a trailing slash.
    pub base_url: Url,
    /// Where receipts are checked. Without it, KRA's own portal of the environment is used.
    pub portal_url: Option<Url>,
    /// How to get an access token, for the gateway only.
    pub token: Option<TokenSettings>,
    /// The taxpayer's PIN, eleven characters.
    pub pin: String,
    /// Two characters.
    pub branch: String,
    pub serial: String,
    /// The key from initialisation. A VSCU keeps it to itself.
    pub cmc_key: Option<SecretString>,
    /// The control unit's id, from initialisation.
    pub sdc_id: Option<String>,
    /// Printed on the receipt, cut to 20 characters.
    pub trade_name: Option<String>,
    pub item: Item,
    pub tax_rates: TaxRates,
}

/// Where the gateway's access token is fetched, and with which credentials.
#[derive(Clone)]
pub struct TokenSettings {
    /// The whole URL, its query included.
    pub url: Url,
    pub consumer_key: String,
    pub consumer_secret: SecretString,
    pub app_id: String,
}

/// The one registered item that every sale of the device is filed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub code: String,
    pub class: String,
    pub name: String,
    pub tax_type: TaxType,
}

impl DeviceProfile {
    /// Host and port of the API, which the cap and the breaker count by.
    pub fn host(&self) -> String {
        let host = self.base_url.host_str().unwrap_or_default();
        match self.base_url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What must never appear in a message, even if KRA echoes it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let mut secrets = self
            .token
            .as_ref()
            .map(TokenSettings::secrets)
            .unwrap_or_default();
        secrets.extend(self.cmc_key.as_ref().map(SecretString::expose_secret));
        secrets
    }
}

impl TokenSettings {
    pub(crate) fn secrets(&self) -> Vec<&str> {
        vec![
            self.consumer_secret.expose_secret(),
            &self.consumer_key,
            &self.app_id,
        ]
    }
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSettings")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// The device of the fixtures in `tests/facts`.
#[cfg(test)]
pub(crate) fn sample(dialect: Dialect) -> DeviceProfile {
    DeviceProfile {
        dialect,
        environment: Environment::Sandbox,
        base_url: Url::parse("http://kra.test:8088/etims-api/").unwrap(),
        portal_url: None,
        token: (dialect == Dialect::Gateway).then(|| TokenSettings {
            url: Url::parse("http://kra.test/v1/token/generate?grant_type=client_credentials")
                .unwrap(),
            consumer_key: "consumer-key".to_owned(),
            consumer_secret: SecretString::from("consumer-secret"),
            app_id: "11111111-2222-4333-8444-555555555555".to_owned(),
        }),
        pin: "P000000001A".to_owned(),
        branch: "00".to_owned(),
        serial: "SERIAL-1".to_owned(),
        cmc_key: (dialect != Dialect::Vscu).then(|| SecretString::from("the-cmc-key")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let profile = sample(Dialect::Gateway);
        let shown = format!("{profile:?}");
        for secret in profile.secrets() {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(profile.secrets().len(), 4);
    }

    #[test]
    fn the_host_includes_its_port() {
        let mut profile = sample(Dialect::Legacy);
        assert_eq!(profile.host(), "kra.test:8088");
        profile.base_url = Url::parse("https://ETIMS-api.kra.go.ke/etims-api").unwrap();
        assert_eq!(profile.host(), "etims-api.kra.go.ke:443");
    }
}
