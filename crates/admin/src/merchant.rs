//! `merchant create`, `update`, `list`, `rotate-secret`.

use anyhow::Result;
use jiff::Timestamp;
use risiti_ledger::{SecretSummary, plain};
use rust_decimal::Decimal;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::cli::MerchantCommand;
use crate::session::Session;

pub(crate) async fn run(session: &Session, command: MerchantCommand) -> Result<()> {
    match command {
        MerchantCommand::Create {
            slug,
            name,
            amount_max,
        } => create(session, &slug, &name, amount_max).await,
        MerchantCommand::Update {
            slug,
            amount_max,
            reason,
        } => {
            let before = session
                .ledger
                .set_ceiling(&slug, amount_max, &reason)
                .await?;
            session.out.object(
                &json!({ "merchant": slug, "amount_max": amount_max, "amount_max_before": before }),
                &format!("{slug}: a payment above {amount_max} is flagged (before: {before})."),
            );
            Ok(())
        }
        MerchantCommand::List => list(session).await,
        MerchantCommand::RotateSecret { slug, overlap } => {
            let (secret, until) = session.ledger.rotate_path_secret(&slug, overlap).await?;
            let secret = secret.expose_secret();
            let text = match until {
                Some(until) => {
                    format!("New webhook secret: {secret}\nThe previous one works until {until}.")
                }
                None => format!("New webhook secret: {secret}"),
            };
            session.out.object(
                &json!({ "webhook_secret": secret, "old_valid_until": until }),
                &text,
            );
            Ok(())
        }
    }
}

async fn create(
    session: &Session,
    slug: &str,
    name: &str,
    amount_max: Option<Decimal>,
) -> Result<()> {
    if let Some(vault) = session.vault_if_given().await? {
        session.ledger.plant_canary(vault).await?;
    }
    let (id, secret) = session
        .ledger
        .create_merchant(slug, name, amount_max)
        .await?;
    let secret = secret.expose_secret();
    let text = format!(
        "Merchant {slug} ({id})\nWebhook secret, shown this once: {secret}\n\nAddresses to register:\n  \
         Daraja    /webhooks/daraja/{secret}/stk, …/c2b/confirmation, …/c2b/validation, …/result, …/timeout\n  \
         Paystack  /webhooks/paystack/{slug}\n  Gumroad   /webhooks/gumroad/{secret}\n\n\
         Next: risiti-admin provider add --merchant {slug} …"
    );
    session.out.object(
        &json!({ "merchant_id": id, "slug": slug, "webhook_secret": secret }),
        &text,
    );
    Ok(())
}

async fn list(session: &Session) -> Result<()> {
    let merchants = session.ledger.merchants().await?;
    let objects: Vec<Value> = merchants
        .iter()
        .map(|merchant| {
            json!({
                "merchant_id": merchant.id,
                "slug": merchant.slug,
                "name": merchant.name,
                "providers": merchant.providers,
                "devices": merchant.devices,
                "amount_max": merchant.amount_max,
                "created_at": merchant.created_at,
                "secrets": merchant.secrets.iter().map(secret).collect::<Vec<_>>(),
                "secret_since": merchant.secrets.first().map(|secret| secret.created_at),
                "earlier_ends": earlier_ends(&merchant.secrets),
            })
        })
        .collect();
    let columns = [
        "slug",
        "name",
        "providers",
        "devices",
        "amount_max",
        "merchant_id",
    ];
    session.out.list_with_details(
        &objects,
        &columns,
        "No merchants yet: `risiti-admin merchant create` adds one.",
        |merchant| {
            let secrets = merchant["secrets"].as_array().into_iter().flatten();
            secrets.map(secret_text).collect()
        },
    );
    Ok(())
}

fn secret(secret: &SecretSummary) -> Value {
    let state = match secret.expires_at {
        None => "current",
        Some(end) if end <= Timestamp::now() => "ended",
        Some(_) => "ending",
    };
    json!({
        "state": state,
        "created_at": secret.created_at,
        "ends_at": secret.expires_at,
        "last_used_at": secret.last_used_at,
    })
}

/// A secret as text: since when, until when, and its last use.
fn secret_text(secret: &Value) -> String {
    let [state, since, end] = ["state", "created_at", "ends_at"].map(|key| plain(&secret[key]));
    let life = match state.as_str() {
        "current" => format!("secret of {since}: current"),
        "ended" => format!("secret of {since}: ended {end}"),
        _ => format!("secret of {since}: ends {end}"),
    };
    format!("{life}, {}", last_use(&secret["last_used_at"]))
}

/// When a credential last let a webhook in.
pub(crate) fn last_use(at: &Value) -> String {
    match at.as_str() {
        Some(at) => format!("last used {at}"),
        None => "no use recorded".to_owned(),
    }
}

/// When the last of the secrets that were replaced and still work ends.
fn earlier_ends(secrets: &[SecretSummary]) -> Option<Timestamp> {
    let ends = secrets.iter().filter_map(|secret| secret.expires_at);
    ends.filter(|end| *end > Timestamp::now()).max()
}
