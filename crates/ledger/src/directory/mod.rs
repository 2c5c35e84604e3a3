//! Merchants, their provider accounts and devices: what ingress reads and what an operator changes.

pub(crate) mod credential_uses;
pub(crate) mod device_changes;
pub(crate) mod device_names;
pub(crate) mod device_values;
pub(crate) mod devices;
mod freshness;
pub(crate) mod listen;
pub(crate) mod manage_error;
pub(crate) mod merchants;
pub(crate) mod new_device;
pub(crate) mod next_number;
pub(crate) mod provider_accounts;
pub(crate) mod provider_keys;
pub(crate) mod snapshot;
pub(crate) mod tax_rates;
