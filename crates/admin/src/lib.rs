#![doc = include_str!("../README.md")]

mod answer_file;
mod audit;
mod buyer;
mod cli;
mod codes;
mod device;
mod device_args;
mod expected_number;
mod find;
mod flags;
mod initialise;
mod kra;
mod merchant;
mod ops;
mod output;
mod production;
mod provider;
mod prune;
mod secrets;
mod session;
mod spools;
mod status;
mod status_attention;
mod status_text;
mod values;
mod verify;

use std::process::ExitCode;

use risiti_ledger::{LedgerError, ManageError};
use risiti_service::{BadSetting, Context, DatabaseArgs};
use serde_json::json;

pub use cli::Cli;
use cli::{Command, KeysCommand};
use session::Session;

/// The exit code that a shell reports for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Runs one command to its end.
///
/// # Errors
/// Only a [`BadSetting`] is returned. Why a command was refused or failed is printed here.
pub async fn run(cli: Cli, context: Context) -> anyhow::Result<ExitCode> {
    let shutdown = context.shutdown.clone();
    let session = Session::new(&cli, context)?;
    let must_finish = cli.command.must_finish();

    let done = dispatch(&session, cli.command);
    let done = tokio::select! {
        done = done => done,
        // Dropping a command rolls back its transaction.
        () = shutdown.cancelled(), if !must_finish => return Ok(ExitCode::from(INTERRUPTED)),
    };
    match done {
        Ok(code) => Ok(code),
        Err(error) if is_pooler(&error) => Err(DatabaseArgs::bad_url(error).into()),
        Err(error) if error.chain().any(|cause| cause.is::<BadSetting>()) => Err(error),
        Err(error) => {
            session.out.problem(&explain(&error));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Whether a transaction pooler stands in front of the database, which is a bad setting.
fn is_pooler(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<LedgerError>();
        matches!(cause, Some(LedgerError::TransactionPooler))
    })
}

async fn dispatch(session: &Session, command: Command) -> anyhow::Result<ExitCode> {
    if !matches!(command, Command::Migrate) {
        session.ledger.check_schema().await?;
    }
    match command {
        Command::Status(args) => status::run(session, &args).await?,
        Command::Find(args) => return find::run(session, &args).await,
        Command::Audit(args) => audit::run(session, &args).await?,
        Command::Migrate => migrate(session).await?,
        Command::Merchant(command) => merchant::run(session, command).await?,
        Command::Provider(command) => provider::run(session, command).await?,
        Command::Device(command) => return device::run(session, *command).await,
        Command::Codes(command) => codes::run(session, command).await?,
        Command::Buyer(command) => buyer::run(session, command).await?,
        Command::Keys(KeysCommand::Reencrypt) => reencrypt(session).await?,
        Command::Prune(args) => return prune::run(session, args).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(session: &Session) -> anyhow::Result<()> {
    let report = risiti_ledger::migrate(&session.database_url).await?;
    session.ledger.record_migration(&report).await?;
    if let Some(vault) = session.vault_if_given().await? {
        session.ledger.plant_canary(vault).await?;
    }
    for warning in &report.warnings {
        session.out.note(&format!("warning: {warning}"));
    }
    let text = match report.applied.as_slice() {
        [] => format!("The schema is up to date at V{}.", report.version),
        applied => format!(
            "Applied {}. The schema is at V{}.",
            applied.join(", "),
            report.version
        ),
    };
    let object = json!({ "version": report.version, "applied": report.applied, "warnings": report.warnings });
    session.out.object(&object, &text);
    Ok(())
}

async fn reencrypt(session: &Session) -> anyhow::Result<()> {
    let done = session.ledger.reencrypt(session.vault().await?).await?;
    let text = format!(
        "Sealed anew: {} signing keys and the secrets of {} devices. RISITI_CREDENTIALS_KEY_OLD can go once \
         every program runs with the new key.",
        done.provider_keys, done.devices
    );
    session.out.object(
        &json!({ "provider_keys": done.provider_keys, "devices": done.devices }),
        &text,
    );
    Ok(())
}

/// The whole chain, with each cause once. A refusal's own text contains its reason.
fn explain(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ManageError>() {
        Some(ManageError::Ledger(_)) | None => format!("{error:#}"),
        Some(refusal) => refusal.to_string(),
    }
}
