//! Keys of payments and reversals, as columns for `unnest`.

use risiti_domain::{MerchantId, Provider};
use uuid::Uuid;

/// Keys, each with its merchant and provider (protocol C1).
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) merchants: Vec<Uuid>,
    pub(crate) providers: Vec<&'static str>,
    pub(crate) keys: Vec<String>,
}

impl Keys {
    pub(crate) fn push(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.merchants.push(merchant.uuid());
        self.providers.push(provider.as_str());
        self.keys.push(key.to_owned());
    }

    /// Adds a key, if there is one.
    pub(crate) fn push_known(
        &mut self,
        merchant: MerchantId,
        provider: Provider,
        key: Option<&String>,
    ) {
        if let Some(key) = key {
            self.push(merchant, provider, key);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
