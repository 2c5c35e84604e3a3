//! The calls, over one shared pool of connections.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use risiti_domain::Dialect;
use secrecy::SecretString;

use crate::answer::Answer;
use crate::code_list::CodeList;
use crate::dialect::{self, Action};
use crate::envelope::Envelope;
use crate::http::{Failure, Http, HttpAnswer};
use crate::initialise::{InitialiseError, Initialised};
use crate::outcome::{CallError, HaltReason, LookUpOutcome, SendOutcome};
use crate::profile::DeviceProfile;
use crate::token::{NoToken, Tokens};
use crate::wire::{self, Query};
use crate::witness::Witness;
use crate::{code_list, initialise, look_up, sale};

/// Before KRA had any of its systems: all codes, not only changed ones.
const SINCE_EVER: &str = "20180101000000";

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
    /// Sees every exchange, for `device verify`.
    pub witness: Option<Witness>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no HTTP client could be made")]
    Http(#[source] reqwest::Error),
    #[error("extra root certificates are not PEM")]
    RootCertificate,
}

/// Cheap to clone; clones share connections, tokens and limits.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    tokens: Tokens,
}

/// A lane is halted, for a person to look, only after so many fresh tokens were turned away. One is not enough: an app's token is shared
/// by its lanes and by all workers, and may end between two calls, or with the gateway's restart.
const REFRESHES_MAX: usize = 3;

/// Why a call brought no answer.
enum Trouble {
    NotSent(Answer),
    Lost(Answer),
    Halt(HaltReason, Answer),
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
            witness: None,
        }
    }
}

impl Client {
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        Ok(Self {
            http: Http::new(&settings)?,
            tokens: Tokens::default(),
        })
    }

    /// Sends a stored body under its number. One request, but for an expired token: then again with a fresh one.
    pub async fn send(&self, profile: &DeviceProfile, body: &[u8], invoice_no: i64) -> SendOutcome {
        match self
            .ask(profile, Action::SaveSale, Bytes::copy_from_slice(body))
            .await
        {
            Ok(http) => sale::read(profile, &http, invoice_no),
            Err(Trouble::NotSent(answer)) => SendOutcome::NotSent(answer),
            Err(Trouble::Lost(answer)) => SendOutcome::Unknown(answer),
            Err(Trouble::Halt(reason, answer)) => SendOutcome::Halt { reason, answer },
        }
    }

    /// Asks KRA what it has under a number.
    pub async fn look_up(&self, profile: &DeviceProfile, invoice_no: i64) -> LookUpOutcome {
        if profile.dialect == Dialect::Vscu {
            return LookUpOutcome::Unsupported;
        }
        let query = Query {
            invc_no: Some(invoice_no),
            ..query(profile)
        };
        match self
            .ask(profile, Action::FindInvoice, wire::bytes(&query).into())
            .await
        {
            Ok(http) => look_up::read(profile, &http, invoice_no),
            Err(Trouble::NotSent(answer) | Trouble::Lost(answer)) => {
                LookUpOutcome::NoAnswer(answer)
            }
            Err(Trouble::Halt(reason, answer)) => LookUpOutcome::Halt { reason, answer },
        }
    }

    /// Initialises a device. Never call this in a loop: repeats damaged device records at KRA.
    pub async fn initialise(
        &self,
        profile: &DeviceProfile,
    ) -> Result<Initialised, InitialiseError> {
        let query = Query {
            dvc_srl_no: Some(&profile.serial),
            ..query(profile)
        };
        let http = self
            .ask(profile, Action::Initialise, wire::bytes(&query).into())
            .await;
        initialise::read(profile, &http.map_err(CallError::from)?)
    }

    /// All of KRA's code lists.
    pub async fn code_list(&self, profile: &DeviceProfile) -> Result<CodeList, CallError> {
        let query = Query {
            last_req_dt: Some(SINCE_EVER),
            ..query(profile)
        };
        let http = self
            .ask(profile, Action::CodeList, wire::bytes(&query).into())
            .await;
        code_list::read(profile, &http?)
    }

    /// Gateway: fetches a token, fresh or remembered, and says whether that went well. Others need none.
    pub async fn check_token(&self, profile: &DeviceProfile) -> Result<(), CallError> {
        let Some(settings) = profile
            .token
            .as_ref()
            .filter(|_| profile.dialect == Dialect::Gateway)
        else {
            return Ok(());
        };
        self.tokens
            .get(&self.http, settings, None)
            .await
            .map_err(Trouble::from)?;
        Ok(())
    }

    /// Tries the spellings of an action's path until one exists.
    async fn ask(
        &self,
        profile: &DeviceProfile,
        action: Action,
        body: Bytes,
    ) -> Result<HttpAnswer, Trouble> {
        let mut last = Err(Trouble::NotSent(Answer::none(
            "the dialect has no such call",
            false,
        )));
        for path in dialect::paths(profile.dialect, action) {
            last = self.ask_at(profile, action, path, body.clone()).await;
            if !last.as_ref().is_ok_and(no_such_path) {
                break;
            }
        }
        last
    }

    async fn ask_at(
        &self,
        profile: &DeviceProfile,
        action: Action,
        path: &str,
        body: Bytes,
    ) -> Result<HttpAnswer, Trouble> {
        let Some(settings) = profile
            .token
            .as_ref()
            .filter(|_| profile.dialect == Dialect::Gateway)
        else {
            return self.post(profile, action, path, body, None).await;
        };
        let mut token = self.tokens.get(&self.http, settings, None).await?;
        let mut http = self
            .post(profile, action, path, body.clone(), Some(&token.secret))
            .await?;
        for _ in 0..REFRESHES_MAX {
            if !refuses_token(&http) {
                break;
            }
            // The request did go out. That the gateway kept it to itself is likely, not proven: from here on
            // nothing counts as not sent (protocol D7).
            let fresh = self.tokens.get(&self.http, settings, Some(&token)).await;
            token = fresh.map_err(|none| Trouble::from(none).after_sending())?;
            let again = self
                .post(profile, action, path, body.clone(), Some(&token.secret))
                .await;
            http = again.map_err(Trouble::after_sending)?;
        }
        Ok(http)
    }

    async fn post(
        &self,
        profile: &DeviceProfile,
        action: Action,
        path: &str,
        body: Bytes,
        token: Option<&SecretString>,
    ) -> Result<HttpAnswer, Trouble> {
        let headers = dialect::headers(profile, action, token).map_err(|unusable| {
            Trouble::Halt(
                HaltReason::Credentials,
                Answer::none(&unusable.to_string(), false),
            )
        })?;
        let mut request =
            reqwest::Request::new(Method::POST, dialect::join(&profile.base_url, path));
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        self.http
            .call(request)
            .await
            .map_err(|failure| match failure {
                Failure::NotSent(cause) => Trouble::NotSent(Answer::none(&cause, true)),
                Failure::Lost(cause) => Trouble::Lost(Answer::none(&cause, true)),
            })
    }
}

fn query(profile: &DeviceProfile) -> Query<'_> {
    Query::new(&profile.pin, &profile.branch)
}

/// A 404 of the host, not of KRA's own, which may put "nothing found" under any status.
fn no_such_path(http: &HttpAnswer) -> bool {
    http.status == 404
        && Envelope::read(http.status, &http.body).is_none_or(|answer| answer.code.is_none())
}

fn refuses_token(http: &HttpAnswer) -> bool {
    match Envelope::read(http.status, &http.body) {
        Some(envelope) => envelope.refuses_token(http.status),
        None => http.status == 401,
    }
}

impl Trouble {
    fn after_sending(self) -> Self {
        match self {
            Self::NotSent(answer) => Self::Lost(answer),
            other => other,
        }
    }
}

impl From<NoToken> for Trouble {
    fn from(none: NoToken) -> Self {
        match none {
            NoToken::Later(answer) => Self::NotSent(answer),
            NoToken::Never { reason, answer } => Self::Halt(reason, answer),
        }
    }
}

impl From<Trouble> for CallError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotSent(answer) => Self::NotSent(answer),
            Trouble::Lost(answer) => Self::NoAnswer(answer),
            Trouble::Halt(reason, answer) => Self::Halt { reason, answer },
        }
    }
}
