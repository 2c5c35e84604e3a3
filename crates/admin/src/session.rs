//! What every command works with: the database, the vault, the output, and the operator's name.

use anyhow::Result;
use risiti_ledger::{DatabaseSettings, KeyCheck, Ledger, Vault};
use risiti_service::{Context, CredentialsArgs, DatabaseArgs, operator_name};
use secrecy::SecretString;

use crate::cli::Cli;
use crate::output::Output;

const NOT_GIVEN: &str = "required, and not given";

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
    /// A [`BadSetting`](risiti_service::BadSetting) for a shared setting that is missing or wrong.
    pub(crate) fn new(cli: &Cli, context: Context) -> Result<Self> {
        let shared = &cli.shared;
        let database_url = shared
            .database_url
            .clone()
            .ok_or_else(|| DatabaseArgs::bad_url(NOT_GIVEN))?;
        let settings = DatabaseSettings {
            url: database_url.clone(),
            pool_size: 2,
            role: Some("risiti_admin"),
            application_name: "risiti-admin",
        };
        let operator = shared.operator.clone().unwrap_or_else(operator_name);
        let ledger = Ledger::open(settings).map_err(DatabaseArgs::bad_url)?;
        Ok(Self {
            ledger: ledger.on_behalf_of(&operator),
            database_url,
            out: Output::new(shared.json),
            operator,
            context,
            vault: vault(cli)?,
        })
    }

    /// The vault, after a check that its key is the one that this installation's secrets are sealed
    /// under.
    ///
    /// # Errors
    /// A [`BadSetting`](risiti_service::BadSetting) when no key was given, or another one.
    pub(crate) async fn vault(&self) -> Result<&Vault> {
        self.vault_if_given()
            .await?
            .ok_or_else(|| CredentialsArgs::bad_key(NOT_GIVEN).into())
    }

    /// The vault like [`Session::vault`], for commands that work without one too.
    pub(crate) async fn vault_if_given(&self) -> Result<Option<&Vault>> {
        let Some(vault) = &self.vault else {
            return Ok(None);
        };
        match self.ledger.prove_key(vault).await? {
            KeyCheck::Right | KeyCheck::NothingSealedYet => Ok(Some(vault)),
            KeyCheck::Wrong => Err(CredentialsArgs::bad_key(
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
    let expected = "expected 32 bytes in base64";

    // The new key is tried alone first, so that the error names the key that is wrong.
    let vault = Vault::new(key, None).map_err(|_| CredentialsArgs::bad_key(expected))?;
    if old.is_none() {
        return Ok(Some(vault));
    }
    let vault = Vault::new(key, old).map_err(|_| CredentialsArgs::bad_old_key(expected))?;
    Ok(Some(vault))
}
