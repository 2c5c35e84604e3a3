//! Reading the answer to initialisation.

use risiti_domain::Dialect;
use secrecy::SecretString;

use crate::answer::Answer;
use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::http::HttpAnswer;
use crate::outcome::CallError;
use crate::profile::DeviceProfile;
use crate::text::clip;

const KEY_CHARS_MAX: usize = 255;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitialiseError {
    /// KRA hands the key out once only.
    #[error("device is installed already, its key has to come from where it was installed: {0}")]
    AlreadyInstalled(Answer),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What KRA hands out once, at initialisation.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// A VSCU keeps its key and hands out `None`.
    pub cmc_key: Option<SecretString>,
    pub sdc_id: Option<String>,
    pub mrc_no: Option<String>,
    pub device_id: Option<String>,
    pub taxpayer_name: Option<String>,
    /// KRA's whole answer, to be stored. `Initialised::read` reads it again.
    pub answer: SecretString,
}

impl Initialised {
    /// Reads a stored answer of any dialect. It is `None` where a dialect other than VSCU has no
    /// `cmcKey`.
    pub fn read(dialect: Dialect, answer: &str) -> Option<Self> {
        let envelope = Envelope::read(200, answer.as_bytes()).filter(Envelope::succeeded)?;
        let data = envelope.data?;
        let info = data.fields("info").unwrap_or(data);
        let text = |key, chars_max| info.text(key).map(|text| clip(&text, chars_max));
        let cmc_key = text("cmcKey", KEY_CHARS_MAX).map(SecretString::from);
        if cmc_key.is_none() && dialect != Dialect::Vscu {
            return None;
        }
        Some(Self {
            cmc_key,
            // The specification spells it the second way in one table.
            sdc_id: text("sdcId", 18).or_else(|| text("sdicId", 18)),
            mrc_no: text("mrcNo", 11),
            device_id: text("dvcId", 20),
            taxpayer_name: text("taxprNm", 60),
            answer: SecretString::from(answer),
        })
    }
}

pub(crate) fn read(
    profile: &DeviceProfile,
    http: &HttpAnswer,
) -> Result<Initialised, InitialiseError> {
    let envelope = Envelope::read(http.status, &http.body);
    if envelope.as_ref().is_some_and(Envelope::succeeded) {
        let done = std::str::from_utf8(&http.body)
            .ok()
            .and_then(|body| Initialised::read(profile.dialect, body));
        return done.ok_or_else(|| {
            let answer = Answer::judged(
                &profile.secrets(),
                http,
                envelope.as_ref(),
                Class::Unknown {
                    against_host: false,
                },
            );
            CallError::NoAnswer(answer.with_message("initialised, but without a cmcKey")).into()
        });
    }

    let class = classify::of_answer(profile, http, envelope.as_ref(), 0);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    if answer.code.as_deref() == Some("902") {
        return Err(InitialiseError::AlreadyInstalled(answer));
    }
    Err(CallError::of_class(class, answer).into())
}
