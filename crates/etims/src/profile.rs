//! What has to be known of a device to talk to KRA in its name.

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
    /// Where receipts are checked; KRA's own portal of the environment when not set.
    pub portal_url: Option<Url>,
    /// Gateway only: how to get a token.
    pub token: Option<TokenSettings>,
    /// The taxpayer's PIN, eleven characters.
    pub pin: String,
    /// Two characters.
    pub branch: String,
    pub serial: String,
    /// From initialisation; a VSCU keeps it to itself.
    pub cmc_key: Option<SecretString>,
    /// The control unit's id, from initialisation.
    pub sdc_id: Option<String>,
    /// Printed on the receipt, cut to 20 characters.
    pub trade_name: Option<String>,
    pub item: Item,
    pub tax_rates: TaxRates,
}

/// Where and as whom the gateway's bearer token is fetched.
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
    /// Host and port of the API: what the cap and the breaker count by.
    pub fn host(&self) -> String {
        let host = self.base_url.host_str().unwrap_or_default();
        match self.base_url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl DeviceProfile {
    /// What must never show up in a message, should KRA echo it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let mut secrets = self.token.as_ref().map(TokenSettings::secrets).unwrap_or_default();
        secrets.extend(self.cmc_key.as_ref().map(SecretString::expose_secret));
        secrets
    }
}

impl TokenSettings {
    pub(crate) fn secrets(&self) -> Vec<&str> {
        vec![self.consumer_secret.expose_secret(), &self.consumer_key, &self.app_id]
    }
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSettings").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}
