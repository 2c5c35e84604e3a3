//! Installing a device at KRA: one call, and its answer safe before anything else happens.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use risiti_domain::DeviceId;
use risiti_etims::{
    CallError, Client, ClientSettings, DeviceProfile, InitialiseError, Initialised, Witness,
};
use risiti_service::BadSetting;
use secrecy::ExposeSecret as _;

use crate::device_cli::{CallArgs, MoreArgs};
use crate::kept::{Keep, Kept};
use crate::session::Session;

/// A device that KRA has installed, whose key is on disk and has to go to the database.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) device: DeviceId,
    pub(crate) initialised: Initialised,
    keep: Keep,
}

impl Installed {
    /// To be called once the database has it.
    pub(crate) fn settle(self) -> Result<()> {
        self.keep.remove()
    }
}

/// Calls KRA, unless an earlier run of this command did and could not finish.
///
/// Everything else that could be refused has been checked by now: `device` names where the key will go.
pub(crate) async fn install(
    session: &Session,
    device: DeviceId,
    profile: &DeviceProfile,
    args: &MoreArgs,
) -> Result<Installed> {
    let vault = session.vault().await?;
    let folder = state_folder(args)?;
    let keep = Keep::open(&folder, profile.environment, &profile.pin, &profile.branch)?;
    if let Some(kept) = keep.read(vault)? {
        if kept.serial != profile.serial {
            bail!(
                "{} holds KRA's answer for serial {}, not {}: run the command with that serial",
                keep.path().display(),
                kept.serial,
                profile.serial
            );
        }
        session
            .out
            .note("Taking up KRA's answer of an earlier run; KRA is not called again.");
        let initialised = Initialised::read(profile.dialect, kept.answer.expose_secret())
            .with_context(|| format!("{} holds no usable answer", keep.path().display()))?;
        return Ok(Installed {
            device: kept.device,
            initialised,
            keep,
        });
    }
    let client = client(&args.call, None)?;
    let initialised = client.initialise(profile).await.map_err(explain)?;
    let kept = Kept {
        device,
        serial: profile.serial.clone(),
        answer: initialised.answer.clone(),
    };
    keep.write(&kept, vault)?;
    Ok(Installed {
        device,
        initialised,
        keep,
    })
}

pub(crate) fn client(args: &CallArgs, witness: Option<Witness>) -> Result<Client> {
    let settings = ClientSettings {
        call_timeout: args.etims_timeout,
        witness,
        ..ClientSettings::default()
    };
    Ok(Client::new(settings)?)
}

fn state_folder(args: &MoreArgs) -> Result<PathBuf> {
    if let Some(folder) = &args.state_dir {
        return Ok(folder.clone());
    }
    let of = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = of("XDG_STATE_HOME").or_else(|| of("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        BadSetting::new("--state-dir (RISITI_STATE_DIR)", "required without HOME")
    })?;
    Ok(state.join("risiti"))
}

fn explain(error: InitialiseError) -> anyhow::Error {
    let advice = match &error {
        InitialiseError::AlreadyInstalled(_) => {
            "give that key with --cmc-key-file, or ask KRA's support to reset the device"
        }
        InitialiseError::Call(CallError::NoAnswer(_)) => {
            "KRA may have installed the device without our learning its key, and hands it out once: ask KRA's \
             support before trying again"
        }
        InitialiseError::Call(CallError::NotSent(_)) => {
            "nothing reached KRA, so it can be tried again"
        }
        InitialiseError::Call(CallError::Refused(_) | CallError::Halt { .. }) => {
            "the device is not installed: correct what KRA names, then try again"
        }
    };
    anyhow::anyhow!("KRA did not install the device: {error}; {advice}")
}
