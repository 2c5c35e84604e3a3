//! What every command works with: database, vault, output, and who runs it.

use anyhow::Result;
use risiti_ledger::{DatabaseSettings, KeyCheck, Ledger, Vault};
use risiti_service::{BadSetting, Context};
use secrecy::SecretString;

use crate::cli::Cli;
use crate::output::Output;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) ledger: Ledger,
    pub(crate) database_url: SecretString,
    pub(crate) out: Output,
    pub(crate) operator: String,
    pub(crate) context: Context,
    vault: Option<Vault>,
}

impl Session {
    /// # Errors
    /// [`BadSetting`] for what no command can work with.
    pub(crate) fn new(cli: &Cli, context: Context) -> Result<Self> {
        let shared = &cli.shared;
        let database_url = shared
            .database_url
            .clone()
            .ok_or_else(|| missing("--database-url (DATABASE_URL)"))?;
        let settings = DatabaseSettings {
            url: database_url.clone(),
            pool_size: 2,
            role: Some("risiti_admin"),
            application_name: "risiti-admin",
        };
        let ledger = Ledger::open(settings)
            .map_err(|error| BadSetting::new("--database-url (DATABASE_URL)", error.to_string()))?;
        Ok(Self {
            ledger,
            database_url,
            out: Output::new(shared.json),
            operator: shared.operator.clone().unwrap_or_else(login_name),
            context,
            vault: vault(cli)?,
        })
    }

    /// The vault, once it is sure that its key is the one this installation's secrets are sealed under.
    ///
    /// # Errors
    /// [`BadSetting`] when no key was given, or another one.
    pub(crate) async fn vault(&self) -> Result<&Vault> {
        self.vault_if_given()
            .await?
            .ok_or_else(|| missing("--credentials-key (RISITI_CREDENTIALS_KEY)").into())
    }

    /// The same for commands that can do without.
    pub(crate) async fn vault_if_given(&self) -> Result<Option<&Vault>> {
        let Some(vault) = &self.vault else {
            return Ok(None);
        };
        match self.ledger.prove_key(vault).await? {
            KeyCheck::Right | KeyCheck::NothingSealedYet => Ok(Some(vault)),
            KeyCheck::Wrong => Err(BadSetting::new(
                "--credentials-key (RISITI_CREDENTIALS_KEY)",
                "not the key that this database's secrets are encrypted under",
            )
            .into()),
        }
    }
}

fn vault(cli: &Cli) -> Result<Option<Vault>> {
    let old = cli.shared.credentials_key_old.as_ref();
    let Some(key) = &cli.shared.credentials_key else {
        return Ok(None);
    };
    let bad = |setting: &str| BadSetting::new(setting, "expected 32 bytes in base64");
    let vault =
        Vault::new(key, None).map_err(|_| bad("--credentials-key (RISITI_CREDENTIALS_KEY)"))?;
    match old {
        None => Ok(Some(vault)),
        Some(_) => Ok(Some(Vault::new(key, old).map_err(|_| {
            bad("--credentials-key-old (RISITI_CREDENTIALS_KEY_OLD)")
        })?)),
    }
}

fn missing(setting: &str) -> BadSetting {
    BadSetting::new(setting, "required, and not given")
}

fn login_name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
