//! `provider add`, `list`, `remove-key`.

use anyhow::Result;
use risiti_domain::Provider;
use risiti_ledger::NewAccount;
use risiti_service::BadSetting;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::cli::{ProviderAdd, ProviderCommand};
use crate::secrets;
use crate::session::Session;

pub(crate) async fn run(session: &Session, command: ProviderCommand) -> Result<()> {
    match command {
        ProviderCommand::Add(add) => self::add(session, &add).await,
        ProviderCommand::List { merchant } => list(session, merchant.as_deref()).await,
        ProviderCommand::RemoveKey {
            merchant,
            provider,
            key_id,
            force,
        } => {
            if provider != Provider::Paystack {
                return Err(BadSetting::new("--provider", "only paystack signs with keys").into());
            }
            session.ledger.remove_key(&merchant, key_id, force).await?;
            let text = format!("Key {key_id} is no longer believed.");
            session.out.object(
                &json!({ "merchant": merchant, "removed_key_id": key_id }),
                &text,
            );
            Ok(())
        }
    }
}

async fn add(session: &Session, add: &ProviderAdd) -> Result<()> {
    refuse_flags_of_others(add)?;
    let account = match add.provider {
        Provider::Daraja => NewAccount::Daraja {
            short_codes: add.short_codes.clone(),
            allow_cidrs: add.allow_cidrs.clone(),
            enforce: add.enforce_cidr,
        },
        Provider::Paystack => NewAccount::Paystack {
            key: paystack_key(add)?,
        },
        Provider::Gumroad => NewAccount::Gumroad {
            seller_id: add
                .seller_id
                .clone()
                .ok_or_else(|| BadSetting::new("--seller-id", "gumroad needs it"))?,
        },
    };
    // A key that is missing is a bad setting, found before anything is touched.
    let vault = match add.provider {
        Provider::Paystack => Some(session.vault().await?),
        Provider::Daraja | Provider::Gumroad => None,
    };
    let added = session
        .ledger
        .add_account(&add.merchant, &account, vault)
        .await?;
    let object = json!({
        "merchant": add.merchant,
        "provider": add.provider,
        "account_id": added.account_id,
        "key_id": added.key_id,
        "short_codes": add.short_codes,
    });
    let text = match added.key_id {
        Some(key) => format!(
            "{} takes {} webhooks signed with key {key}.",
            add.merchant, add.provider
        ),
        None => format!("{} takes {} webhooks.", add.merchant, add.provider),
    };
    session.out.object(&object, &text);
    Ok(())
}

fn refuse_flags_of_others(add: &ProviderAdd) -> Result<()> {
    let given = [
        (
            "--secret-key-file",
            Provider::Paystack,
            add.secret_key_file.is_some(),
        ),
        (
            "--secret-key-env",
            Provider::Paystack,
            add.secret_key_env.is_some(),
        ),
        ("--shortcode", Provider::Daraja, !add.short_codes.is_empty()),
        (
            "--allow-cidr",
            Provider::Daraja,
            !add.allow_cidrs.is_empty(),
        ),
        ("--enforce-cidr", Provider::Daraja, add.enforce_cidr),
        ("--seller-id", Provider::Gumroad, add.seller_id.is_some()),
    ];
    match given
        .iter()
        .find(|(_, owner, given)| *given && *owner != add.provider)
    {
        Some((flag, owner, _)) => Err(BadSetting::new(*flag, format!("is for {owner}")).into()),
        None => Ok(()),
    }
}

fn paystack_key(add: &ProviderAdd) -> Result<SecretString> {
    let (flag, key) = match (&add.secret_key_file, &add.secret_key_env) {
        (Some(path), _) => (
            "--secret-key-file",
            secrets::from_file("--secret-key-file", path)?,
        ),
        (None, Some(name)) => (
            "--secret-key-env",
            secrets::from_variable("--secret-key-env", name)?,
        ),
        (None, None) => {
            let problem = "paystack needs it, or --secret-key-env";
            return Err(BadSetting::new("--secret-key-file", problem).into());
        }
    };
    if key.expose_secret().starts_with("pk_") {
        return Err(BadSetting::new(
            flag,
            "that is a public key: webhooks are signed with the secret one",
        )
        .into());
    }
    Ok(key)
}

async fn list(session: &Session, merchant: Option<&str>) -> Result<()> {
    let accounts = session.ledger.accounts(merchant).await?;
    let objects: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let keys = account.keys.iter();
            let key = |key: &risiti_ledger::KeySummary| {
                json!({ "key_id": key.id, "live": key.live, "created_at": key.created_at })
            };
            json!({
                "merchant": account.merchant,
                "provider": account.provider,
                "account_id": account.id,
                "trust_policy": account.trust_policy,
                "short_codes": account.short_codes,
                "allow_cidrs": account.allow_cidrs,
                "enforce_cidr": account.enforce_cidr,
                "seller_id": account.seller_id,
                "keys": keys.map(key).collect::<Vec<_>>(),
                "key_ids": account.keys.iter().map(|key| key.id).collect::<Vec<_>>(),
                "created_at": account.created_at,
            })
        })
        .collect();
    let columns = [
        "merchant",
        "provider",
        "short_codes",
        "allow_cidrs",
        "enforce_cidr",
        "seller_id",
        "key_ids",
    ];
    session.out.list(
        &objects,
        &columns,
        "No gateways yet: `risiti-admin provider add` adds one.",
    );
    Ok(())
}
