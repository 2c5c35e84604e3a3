//! `device add`, `list`, `show`, `update`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use risiti_domain::{DeviceId, Dialect};
use risiti_ledger::{
    CommandMode, DeviceChanges, DeviceOptions, DeviceTaxRates, LaneStatus, ManageError, NewDevice,
    NumberChange, OperatorAction, UpdatedDevice,
};
use risiti_service::BadSetting;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::device_args::{DeviceAdd, DeviceCommand, DeviceUpdate, OptionArgs};
use crate::expected_number::{self, Expected};
use crate::initialise::{self, Installed};
use crate::production::Addresses;
use crate::session::Session;
use crate::{codes, flags, kra, secrets, verify};

pub(crate) async fn run(session: &Session, command: DeviceCommand) -> Result<ExitCode> {
    match command {
        DeviceCommand::Add(args) => add(session, *args).await?,
        DeviceCommand::List => list(session).await?,
        DeviceCommand::Show { device } => {
            let device = session.ledger.device_named(&device).await?;
            let status = session
                .ledger
                .lane_status(device)
                .await?
                .ok_or(ManageError::NoDevice(device))?;
            let rates = session.ledger.device_tax_rates(device).await?;
            show(session, &status, &rates.unwrap_or_default());
        }
        DeviceCommand::Update(args) => update(session, *args).await?,
        DeviceCommand::Verify { device, out, call } => {
            let device = session.ledger.device_named(&device).await?;
            return verify::run(session, device, out.as_deref(), &call).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(session: &Session, args: DeviceAdd) -> Result<()> {
    check_addresses_of_new(&args)?;
    let vault = session.vault().await?;
    let more = options(&args.options)?;
    let mut device = NewDevice {
        id: None,
        merchant: args.merchant,
        pin: args.pin,
        branch: args.branch,
        environment: args.environment,
        dialect: args.dialect,
        base_url: args.base_url,
        serial: args.serial,
        item_code: args.item_code,
        item_class: args.item_class,
        item_name: args.item_name,
        tax_type: args.tax_type,
        next_invoice_no: args.options.next_invoice_no.unwrap_or(1),
        options: more,
    };

    let mut installed = None;
    if args.options.initialise {
        // KRA gives the key only once, so the database's refusals must come before the call.
        session
            .ledger
            .check_new_device(&device, vault, &session.operator)
            .await?;
        let id = DeviceId::from_uuid(Uuid::now_v7());
        let profile = kra::profile_of_new(&device);
        let done = initialise::install(session, id, &profile, &args.options).await?;
        device.id = Some(done.device);
        set_key(&mut device.options, &done);
        installed = Some(done);
    } else if device.options.cmc_key.is_none() && device.dialect != Dialect::Vscu {
        session.out.note(&format!(
            "warning: without a cmcKey KRA refuses this device: `device update {}`",
            flags::CMC_KEY_FILE
        ));
    }

    let id = session
        .ledger
        .add_device(&device, vault, &session.operator)
        .await?;
    if let Some(installed) = installed {
        installed.remove_answer()?;
    }

    let number = device.next_invoice_no;
    let expected = expected_number(&device, &args.options).await;
    if let Some(warning) = number_warning(id, number, &expected) {
        session.out.note(&warning);
    }
    let (expected, unknown) = match expected {
        Expected::Number(expected) => (Some(expected), None),
        Expected::Unknown(why) => (None, Some(why)),
    };
    let text = format!(
        "Device {id} files invoices of {} from number {number} on.",
        device.merchant
    );
    session.out.object(
        &json!({
            "device_id": id,
            "sdc_id": device.options.sdc_id,
            "next_invoice_no": number,
            "expected_invoice_no": expected,
            "expected_unknown": unknown,
        }),
        &text,
    );
    codes::sync_new(session, id, &device, &args.options.call).await;
    Ok(())
}

/// Asks KRA for the number that it expects. The device is added already, so that no trouble with
/// KRA is one of the command.
async fn expected_number(device: &NewDevice, args: &OptionArgs) -> Expected {
    match kra::client(&args.call, None) {
        Ok(client) => {
            let profile = kra::profile_of_new(device);
            expected_number::ask(&client, &profile, device.next_invoice_no).await
        }
        Err(error) => Expected::Unknown(format!("{error:#}")),
    }
}

/// What a person should know about the first number: that it is wrong, or that nobody checked it.
fn number_warning(device: DeviceId, number: i64, expected: &Expected) -> Option<String> {
    match expected {
        Expected::Number(expected) if *expected == number => None,
        Expected::Number(expected) => Some(format!(
            "warning: KRA expects number {expected} next, and not {number}: it shows a sale under {} and none under \
             {expected}. Before the first sale: `risiti-admin device update {device} --next-invoice-no {expected} \
             --reason 'the number KRA expects'`",
            expected - 1
        )),
        Expected::Unknown(why) => Some(format!(
            "note: the first number {number} is not checked: {why}. Compare it with KRA's portal"
        )),
    }
}

fn show(session: &Session, status: &LaneStatus, rates: &DeviceTaxRates) {
    let (rates, line) = codes::shown(rates);
    let with = |rates| {
        let mut object = json!(status);
        object["tax_rates"] = rates;
        object
    };
    session
        .out
        .details(&with(rates), &with(Value::String(line)));
}

async fn update(session: &Session, args: DeviceUpdate) -> Result<()> {
    let vault = session.vault().await?;
    let device = session.ledger.device_named(&args.device).await?;
    let changes = DeviceChanges {
        merchant: args.merchant,
        environment: args.environment,
        dialect: args.dialect,
        base_url: args.base_url,
        serial: args.serial,
        item_code: args.item_code,
        item_class: args.item_class,
        item_name: args.item_name,
        tax_type: args.tax_type,
        next_invoice_no: args.options.next_invoice_no,
        options: options(&args.options)?,
    };
    if changes.is_empty() && !args.options.initialise {
        return Err(BadSetting::new("device update", "nothing to change was given").into());
    }
    if !args.options.allow_test_address {
        check_changed_addresses(session, device, &changes).await?;
    }
    let by = OperatorAction {
        operator: session.operator.clone(),
        reason: args.reason,
    };

    let mut updated = None;
    if !changes.is_empty() {
        updated = Some(
            session
                .ledger
                .update_device(
                    device,
                    &changes,
                    vault,
                    CommandMode::from_dry_run(args.dry_run),
                    &by,
                )
                .await?,
        );
    }
    if args.options.initialise {
        updated = Some(install_known(session, device, &args.options, &by).await?);
    }

    let number = updated.and_then(|updated| updated.number);
    let resumed = updated.is_some_and(|updated| updated.resumed);
    session.out.object(
        &json!({
            "device_id": device,
            "resumed": resumed,
            "next_invoice_no": number,
            "dry_run": args.dry_run,
        }),
        &update_text(args.dry_run, resumed, number),
    );
    Ok(())
}

fn check_addresses_of_new(args: &DeviceAdd) -> Result<()> {
    if args.options.allow_test_address {
        return Ok(());
    }
    let more = [
        (flags::PORTAL_URL, &args.options.portal_url),
        (flags::TOKEN_URL, &args.options.token_url),
    ];
    let more = more
        .into_iter()
        .filter_map(|(flag, url)| Some((flag, url.as_ref()?)));
    let addresses = Addresses {
        environment: args.environment,
        dialect: args.dialect,
        urls: std::iter::once((flags::BASE_URL, &args.base_url))
            .chain(more)
            .collect(),
    };
    Ok(addresses.check()?)
}

/// Checks the addresses as they would be after the change. One that is not changed is looked at
/// where the device would become a production device.
async fn check_changed_addresses(
    session: &Session,
    id: DeviceId,
    changes: &DeviceChanges,
) -> Result<()> {
    let vault = session.vault().await?;
    let stored = session
        .ledger
        .device(id, vault)
        .await?
        .ok_or(ManageError::NoDevice(id))?;
    let profile = kra::profile_of_stored(&stored)?;
    let is_moved = changes
        .environment
        .is_some_and(|environment| environment != stored.environment)
        || changes
            .dialect
            .is_some_and(|dialect| dialect != stored.dialect);
    let token_url = profile.token.as_ref().map(|token| &token.url);
    let urls = [
        (
            flags::BASE_URL,
            changes.base_url.as_ref(),
            Some(&profile.base_url),
        ),
        (
            flags::PORTAL_URL,
            changes.options.portal_url.as_ref(),
            profile.portal_url.as_ref(),
        ),
        (
            flags::TOKEN_URL,
            changes.options.token_url.as_ref(),
            token_url,
        ),
    ];
    let addresses = Addresses {
        environment: changes.environment.unwrap_or(stored.environment),
        dialect: changes.dialect.unwrap_or(stored.dialect),
        urls: urls
            .into_iter()
            .filter_map(|(flag, new, old)| Some((flag, new.or(old.filter(|_| is_moved))?)))
            .collect(),
    };
    Ok(addresses.check()?)
}

/// What was or would be done.
fn update_text(dry_run: bool, resumed: bool, number: Option<NumberChange>) -> String {
    let lane = match (dry_run, resumed) {
        (false, false) => "The device is changed.",
        (false, true) => "The device is changed, and its lane goes on.",
        (true, false) => "The device would be changed. Nothing was changed.",
        (true, true) => {
            "The device would be changed, and its lane would go on. Nothing was changed."
        }
    };
    match number {
        None => lane.to_owned(),
        Some(NumberChange { from, to }) => {
            format!("{lane} Its next invoice number was {from}, and {to} takes its place.")
        }
    }
}

/// Installs a device that is in the database already at KRA.
async fn install_known(
    session: &Session,
    id: DeviceId,
    args: &OptionArgs,
    by: &OperatorAction,
) -> Result<UpdatedDevice> {
    let vault = session.vault().await?;
    let device = session
        .ledger
        .device(id, vault)
        .await?
        .ok_or(ManageError::NoDevice(id))?;
    let installed =
        initialise::install(session, id, &kra::profile_of_stored(&device)?, args).await?;
    let mut changes = DeviceChanges::default();
    set_key(&mut changes.options, &installed);
    let updated = session
        .ledger
        .update_device(id, &changes, vault, CommandMode::Run, by)
        .await?;
    installed.remove_answer()?;
    Ok(updated)
}

fn set_key(options: &mut DeviceOptions, installed: &Installed) {
    options.cmc_key.clone_from(&installed.initialised.cmc_key);
    options.sdc_id.clone_from(&installed.initialised.sdc_id);
}

fn options(args: &OptionArgs) -> Result<DeviceOptions> {
    let secret = |flag, path: &Option<PathBuf>| {
        path.as_deref()
            .map(|path| secrets::from_file(flag, path))
            .transpose()
    };
    Ok(DeviceOptions {
        portal_url: args.portal_url.clone(),
        token_url: args.token_url.clone(),
        app_id: args.app_id.clone(),
        consumer_key: args.consumer_key.clone(),
        consumer_secret: secret(flags::CONSUMER_SECRET_FILE, &args.consumer_secret_file)?,
        cmc_key: secret(flags::CMC_KEY_FILE, &args.cmc_key_file)?,
        sdc_id: args.sdc_id.clone(),
        short_codes: args.short_codes.clone(),
        make_default: args.default,
        walk_in_buyer: args.walk_in_buyer.clone(),
        tax_rates: args.tax_rates.iter().copied().collect(),
    })
}

async fn list(session: &Session) -> Result<()> {
    let lanes: Vec<LaneStatus> = session.ledger.lane_statuses().await?;
    let objects: Vec<Value> = lanes.iter().map(|lane| json!(lane)).collect();
    let columns = [
        "device_id",
        "merchant",
        "environment",
        "dialect",
        "pin",
        "branch",
        "lane_state",
        "pending",
        "dead",
    ];
    session.out.list(
        &objects,
        &columns,
        "No devices yet: `risiti-admin device add` adds one.",
    );
    Ok(())
}
