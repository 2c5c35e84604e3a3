//! Names of this program's own flags as error texts show them. Those of the shared settings come
//! from their definitions (`BadSetting::of`).

pub(crate) const ALLOW_CIDR: &str = "--allow-cidr";
pub(crate) const ALLOW_TEST_ADDRESS: &str = "--allow-test-address";
pub(crate) const BASE_URL: &str = "--base-url";
pub(crate) const CMC_KEY_FILE: &str = "--cmc-key-file";
pub(crate) const CONSUMER_SECRET_FILE: &str = "--consumer-secret-file";
pub(crate) const ENFORCE_CIDR: &str = "--enforce-cidr";
pub(crate) const PORTAL_URL: &str = "--portal-url";
pub(crate) const PROVIDER: &str = "--provider";
pub(crate) const SECRET_KEY_ENV: &str = "--secret-key-env";
pub(crate) const SECRET_KEY_FILE: &str = "--secret-key-file";
pub(crate) const SELLER_ID: &str = "--seller-id";
pub(crate) const SHORTCODE: &str = "--shortcode";
pub(crate) const STATE_DIR: &str = "--state-dir (RISITI_STATE_DIR)";
pub(crate) const TAX_RATE: &str = "--tax-rate";
pub(crate) const TOKEN_URL: &str = "--token-url";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};
    use risiti_service::setting_name;

    use super::*;
    use crate::Cli;

    /// The settings of a command and of all its subcommands.
    fn settings_of(command: &Command) -> Vec<String> {
        let own = command.get_arguments().map(setting_name);
        let below = command.get_subcommands().flat_map(settings_of);
        own.chain(below).collect()
    }

    #[test]
    fn every_name_is_that_of_a_flag() {
        let defined = settings_of(&Cli::command());
        for name in [
            ALLOW_CIDR,
            ALLOW_TEST_ADDRESS,
            BASE_URL,
            CMC_KEY_FILE,
            CONSUMER_SECRET_FILE,
            ENFORCE_CIDR,
            PORTAL_URL,
            PROVIDER,
            SECRET_KEY_ENV,
            SECRET_KEY_FILE,
            SELLER_ID,
            SHORTCODE,
            STATE_DIR,
            TAX_RATE,
            TOKEN_URL,
        ] {
            assert!(defined.iter().any(|known| known == name), "{name}");
        }
    }
}
