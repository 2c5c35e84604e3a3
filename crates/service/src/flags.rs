//! Names of the shared settings as error texts show them: the flag, and in brackets its variable.
//!
//! A test holds them against the definitions in `args`.

pub const AMQP_URL: &str = "--amqp-url (AMQP_URL)";
pub const CREDENTIALS_KEY: &str = "--credentials-key (RISITI_CREDENTIALS_KEY)";
pub const CREDENTIALS_KEY_OLD: &str = "--credentials-key-old (RISITI_CREDENTIALS_KEY_OLD)";
pub const DATABASE_URL: &str = "--database-url (DATABASE_URL)";
pub const NAMESPACE: &str = "--namespace (RISITI_NAMESPACE)";
pub const OPS_LISTEN: &str = "--ops-listen (RISITI_OPS_LISTEN)";

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;
    use crate::{AmqpArgs, CredentialsArgs, DatabaseArgs, OpsArgs, setting_name};

    #[test]
    fn every_name_is_that_of_a_shared_setting() {
        let mut command = Command::new("program");
        for augment in [
            AmqpArgs::augment_args,
            CredentialsArgs::augment_args,
            DatabaseArgs::augment_args,
            OpsArgs::augment_args,
        ] {
            command = augment(command);
        }
        let defined: Vec<String> = command.get_arguments().map(setting_name).collect();
        for name in [
            AMQP_URL,
            CREDENTIALS_KEY,
            CREDENTIALS_KEY_OLD,
            DATABASE_URL,
            NAMESPACE,
            OPS_LISTEN,
        ] {
            assert!(defined.iter().any(|known| known == name), "{name}");
        }
    }
}
