//! The calls, over one shared pool of connections.

use std::time::Duration;

use crate::outcome::{
    Answer, CallError, CodeList, InitialiseError, Initialised, LookUpOutcome, SendOutcome,
};
use crate::profile::DeviceProfile;

/// Limits of the shared HTTP client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// One call from connecting to the last byte of the answer.
    pub call_timeout: Duration,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub idle_per_host_max: usize,
    /// Calls, and so connections in use, at once over all hosts.
    pub calls_max: usize,
    /// Bytes of an answer.
    pub answer_bytes_max: usize,
    /// One more certificate authority to trust, PEM: for a VSCU or a test behind its own.
    pub extra_root_pem: Option<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            idle_per_host_max: 100,
            calls_max: 200,
            answer_bytes_max: 1 << 20,
            extra_root_pem: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no HTTP client could be made")]
    Http(#[source] reqwest::Error),
    #[error("extra root certificate is not PEM")]
    RootCertificate(#[source] reqwest::Error),
}

/// Cheap to clone; clones share connections, tokens and limits.
#[derive(Clone, Debug)]
pub struct Client {
    settings: ClientSettings,
}

impl Client {
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        Ok(Self { settings })
    }

    /// Sends a stored body under its number. One request, but for an expired token: then once more.
    pub async fn send(&self, _profile: &DeviceProfile, _body: &[u8], _invoice_no: i64) -> SendOutcome {
        SendOutcome::Unknown(Answer::default())
    }

    /// Asks KRA what it has under a number.
    pub async fn look_up(&self, _profile: &DeviceProfile, _invoice_no: i64) -> LookUpOutcome {
        LookUpOutcome::NoAnswer(Answer::default())
    }

    /// Initialises a device. Never call this in a loop: repeats damaged device records at KRA.
    pub async fn initialise(&self, _profile: &DeviceProfile) -> Result<Initialised, InitialiseError> {
        Err(CallError::NoAnswer(Answer::default()).into())
    }

    /// All of KRA's code lists.
    pub async fn code_list(&self, _profile: &DeviceProfile) -> Result<CodeList, CallError> {
        Err(CallError::NoAnswer(Answer::default()))
    }

    /// Gateway: fetches a token, fresh or remembered, and says whether that went well. Others need none.
    pub async fn check_token(&self, _profile: &DeviceProfile) -> Result<(), CallError> {
        Err(CallError::NoAnswer(Answer::default()))
    }
}
