//! `provider add`, `list`, `remove-key`.

use anyhow::Result;
use risiti_domain::Provider;
use risiti_ledger::{KeySummary, NewAccount, plain};
use risiti_service::BadSetting;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::cli::{ProviderAdd, ProviderCommand};
use crate::merchant::last_use;
use crate::session::Session;
use crate::{flags, secrets};

/// Paystack's own have 40 characters after the prefix. It nowhere promises that number.
const KEY_CHARS_MIN: usize = 16;

pub(crate) async fn run(session: &Session, command: ProviderCommand) -> Result<()> {
    match command {
        ProviderCommand::Add(args) => add(session, &args).await,
        ProviderCommand::List { merchant } => list(session, merchant.as_deref()).await,
        ProviderCommand::RemoveKey {
            merchant,
            provider,
            key_id,
            force,
        } => {
            if provider != Provider::Paystack {
                return Err(
                    BadSetting::new(flags::PROVIDER, "only paystack signs with keys").into(),
                );
            }

            session.ledger.remove_key(&merchant, key_id, force).await?;
            let text = format!("Key {key_id} is no longer accepted.");
            session.out.object(
                &json!({ "merchant": merchant, "removed_key_id": key_id }),
                &text,
            );
            Ok(())
        }
    }
}

async fn add(session: &Session, args: &ProviderAdd) -> Result<()> {
    refuse_flags_of_others(args)?;
    note_open_ranges(session, args);
    let account = match args.provider {
        Provider::Daraja => NewAccount::Daraja {
            short_codes: args.short_codes.clone(),
            allow_cidrs: args.allow_cidrs.clone(),
            enforce: args.enforce_cidr,
        },
        Provider::Paystack => NewAccount::Paystack {
            key: paystack_key(args)?,
        },
        Provider::Gumroad => NewAccount::Gumroad {
            seller_id: args
                .seller_id
                .clone()
                .ok_or_else(|| BadSetting::new(flags::SELLER_ID, "gumroad needs it"))?,
        },
    };

    // A missing credentials key is a bad setting, so it is found before anything is changed.
    let vault = match args.provider {
        Provider::Paystack => Some(session.vault().await?),
        Provider::Daraja | Provider::Gumroad => None,
    };
    let added = session
        .ledger
        .add_account(&args.merchant, &account, vault)
        .await?;

    let object = json!({
        "merchant": args.merchant,
        "provider": args.provider,
        "account_id": added.account_id,
        "key_id": added.key_id,
        "short_codes": args.short_codes,
        "waiting_payments": added.waiting_payments,
    });
    let mut text = match added.key_id {
        Some(key) => format!(
            "{} takes {} webhooks signed with key {key}.",
            args.merchant, args.provider
        ),
        None => format!("{} takes {} webhooks.", args.merchant, args.provider),
    };
    if added.waiting_payments > 0 {
        text += &format!(
            "\n{} flagged payments waited for a short code; the ledger workers count them now.",
            added.waiting_payments
        );
    }
    session.out.object(&object, &text);
    Ok(())
}

fn refuse_flags_of_others(args: &ProviderAdd) -> Result<()> {
    let given = [
        (
            flags::SECRET_KEY_FILE,
            Provider::Paystack,
            args.secret_key_file.is_some(),
        ),
        (
            flags::SECRET_KEY_ENV,
            Provider::Paystack,
            args.secret_key_env.is_some(),
        ),
        (
            flags::SHORTCODE,
            Provider::Daraja,
            !args.short_codes.is_empty(),
        ),
        (
            flags::ALLOW_CIDR,
            Provider::Daraja,
            !args.allow_cidrs.is_empty(),
        ),
        (flags::ENFORCE_CIDR, Provider::Daraja, args.enforce_cidr),
        (
            flags::SELLER_ID,
            Provider::Gumroad,
            args.seller_id.is_some(),
        ),
    ];
    let foreign = given
        .iter()
        .find(|(_, owner, given)| *given && *owner != args.provider);
    match foreign {
        Some((flag, owner, _)) => Err(BadSetting::new(*flag, format!("is for {owner}")).into()),
        None => Ok(()),
    }
}

fn paystack_key(args: &ProviderAdd) -> Result<SecretString> {
    let (flag, key) = match (&args.secret_key_file, &args.secret_key_env) {
        (Some(path), _) => {
            let flag = flags::SECRET_KEY_FILE;
            (flag, secrets::from_file(flag, path)?)
        }
        (None, Some(variable)) => {
            let flag = flags::SECRET_KEY_ENV;
            (flag, secrets::from_variable(flag, variable)?)
        }
        (None, None) => {
            let problem = format!("paystack needs it, or {}", flags::SECRET_KEY_ENV);
            return Err(BadSetting::new(flags::SECRET_KEY_FILE, problem).into());
        }
    };
    match problem_of_key(key.expose_secret()) {
        Some(problem) => Err(BadSetting::new(flag, problem).into()),
        None => Ok(key),
    }
}

/// What shows that this is no secret key of Paystack.
fn problem_of_key(key: &str) -> Option<&'static str> {
    if key.starts_with("pk_") {
        return Some("that is a public key: webhooks are signed with the secret one");
    }
    let rest = key
        .strip_prefix("sk_live_")
        .or_else(|| key.strip_prefix("sk_test_"));
    let is_body = |rest: &str| {
        rest.len() >= KEY_CHARS_MIN
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match rest {
        Some(rest) if is_body(rest) => None,
        _ => Some(
            "that is no secret key of Paystack: one is sk_live_ or sk_test_ and 40 letters and \
             digits",
        ),
    }
}

/// Says what a list means that lets every address in.
fn note_open_ranges(session: &Session, args: &ProviderAdd) {
    let open = args.allow_cidrs.iter().find(|range| range.ends_with("/0"));
    if let Some(range) = open {
        let all = match range.contains(':') {
            true => "every IPv6 address",
            false => "every IPv4 address",
        };
        let effect = match args.enforce_cidr {
            true => format!("{} refuses none of them", flags::ENFORCE_CIDR),
            false => "none of them counts as unlisted".to_owned(),
        };
        session
            .out
            .note(&format!("warning: {range} is {all}, so {effect}"));
    }
}

async fn list(session: &Session, merchant: Option<&str>) -> Result<()> {
    let accounts = session.ledger.accounts(merchant).await?;
    let objects: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let newest = account.keys.last().map(|key| key.id);
            let keys = account.keys.iter();
            let key = |key: &KeySummary| {
                let state = if Some(key.id) == newest {
                    "current"
                } else {
                    "earlier"
                };
                json!({
                    "key_id": key.id,
                    "state": state,
                    "live": key.live,
                    "created_at": key.created_at,
                    "last_used_at": key.last_used_at,
                })
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
    ];
    session.out.list_with_details(
        &objects,
        &columns,
        "No gateways yet: `risiti-admin provider add` adds one.",
        |account| {
            let keys = account["keys"].as_array().into_iter().flatten();
            keys.map(key_text).collect()
        },
    );
    Ok(())
}

/// A signing key as text. An earlier one works until it is removed.
fn key_text(key: &Value) -> String {
    let [id, state, since] = ["key_id", "state", "created_at"].map(|name| plain(&key[name]));
    let life = match state.as_str() {
        "current" => "current",
        _ => "works until `provider remove-key`",
    };
    let used = last_use(&key["last_used_at"]);
    format!("key {id} of {since}: {life}, {used}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_shape_of_a_key_is_one() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        for good in [format!("sk_live_{hex}"), format!("sk_test_{hex}")] {
            assert_eq!(problem_of_key(&good), None, "{good}");
        }
        for bad in [
            "sk_live_x".to_owned(),
            "sk_live_".to_owned(),
            hex.to_owned(),
            format!("pk_live_{hex}"),
            format!("sk_prod_{hex}"),
            format!("sk_live_{hex}!"),
            format!("Bearer sk_live_{hex}"),
        ] {
            assert!(problem_of_key(&bad).is_some(), "{bad}");
        }
    }
}
