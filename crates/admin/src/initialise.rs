//! Installs a device at KRA. It calls KRA once and puts the answer on disk before it does anything
//! else.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use risiti_domain::DeviceId;
use risiti_etims::{CallError, DeviceProfile, InitialiseError, Initialised};
use risiti_service::BadSetting;
use secrecy::ExposeSecret as _;

use crate::answer_file::{AnswerFile, InstallAnswer};
use crate::device_args::OptionArgs;
use crate::session::Session;
use crate::{flags, kra};

/// A device that KRA has installed. Its key is on disk and still has to be stored in the database.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) device: DeviceId,
    pub(crate) initialised: Initialised,
    file: AnswerFile,
}

impl Installed {
    /// Removes KRA's answer from the disk, once the database has the key.
    pub(crate) fn remove_answer(self) -> Result<()> {
        self.file.remove()
    }
}

/// Calls KRA to install a device, unless an earlier run of this command has called it and could not
/// finish.
///
/// The caller has checked everything else that could be refused. The key will belong to `device`.
pub(crate) async fn install(
    session: &Session,
    device: DeviceId,
    profile: &DeviceProfile,
    args: &OptionArgs,
) -> Result<Installed> {
    let vault = session.vault().await?;
    let folder = state_folder(args)?;
    let file = AnswerFile::open(&folder, profile.environment, &profile.pin, &profile.branch)?;

    if let Some(earlier) = file.read(vault)? {
        if earlier.serial != profile.serial {
            bail!(
                "{} holds KRA's answer for serial {}, not {}: run the command with that serial",
                file.path().display(),
                earlier.serial,
                profile.serial
            );
        }
        session
            .out
            .note("Using KRA's answer from an earlier run; KRA is not called again.");
        let initialised = Initialised::read(profile.dialect, earlier.answer.expose_secret())
            .with_context(|| format!("{} holds no usable answer", file.path().display()))?;
        return Ok(Installed {
            device: earlier.device,
            initialised,
            file,
        });
    }

    let client = kra::client(&args.call, None)?;
    let initialised = client.initialise(profile).await.map_err(explain)?;
    let answer = InstallAnswer {
        device,
        serial: profile.serial.clone(),
        answer: initialised.answer.clone(),
    };
    file.write(&answer, vault)?;
    Ok(Installed {
        device,
        initialised,
        file,
    })
}

/// The folder of answers that the database does not have yet.
fn state_folder(args: &OptionArgs) -> Result<PathBuf> {
    if let Some(folder) = &args.state_dir {
        return Ok(folder.clone());
    }
    let folder_in = |variable| {
        env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = folder_in("XDG_STATE_HOME")
        .or_else(|| folder_in("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| BadSetting::new(flags::STATE_DIR, "required without HOME"))?;
    Ok(state.join("risiti"))
}

/// The error with advice on what to do about it.
fn explain(error: InitialiseError) -> anyhow::Error {
    let advice = match &error {
        InitialiseError::AlreadyInstalled(_) => format!(
            "give that key with {}, or ask KRA's support to reset the device",
            flags::CMC_KEY_FILE
        ),
        InitialiseError::Call(CallError::NoAnswer(_)) => {
            "KRA may have installed the device, but its answer with the key was lost, and KRA gives the \
             key only once: ask KRA's support before trying again"
                .to_owned()
        }
        InitialiseError::Call(CallError::NotSent(_)) => {
            "nothing reached KRA, so it can be tried again".to_owned()
        }
        InitialiseError::Call(CallError::Refused(_) | CallError::Halt { .. }) => {
            "the device is not installed: correct what KRA names, then try again".to_owned()
        }
    };
    anyhow!("KRA did not install the device: {error}; {advice}")
}
