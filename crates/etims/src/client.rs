//! The calls to KRA, over one shared pool of connections.

use bytes::Bytes;
use reqwest::Method;
use risiti_domain::Dialect;

use crate::access_token::{AccessToken, AccessTokens, NoToken};
use crate::answer::Answer;
use crate::classify::HaltReason;
use crate::code_list::CodeList;
use crate::dialect::{self, Action};
use crate::envelope::Envelope;
use crate::http::{ClientError, ClientSettings, Failure, Http, HttpAnswer};
use crate::initialise::{InitialiseError, Initialised};
use crate::outcome::{CallError, LookUpOutcome, SendOutcome};
use crate::profile::{DeviceProfile, TokenSettings};
use crate::wire::{self, Query};
use crate::{code_list, initialise, look_up, sale};

/// A date before KRA had any of its systems, so that all codes are listed and not only changed
/// ones.
const BEFORE_ETIMS: &str = "20180101000000";

/// The client of the tax API. Clones share connections, access tokens and limits.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    access_tokens: AccessTokens,
}

/// A lane halts only after the gateway refused this many fresh access tokens.
///
/// One is not enough: an app's token is shared by its lanes and by all workers. It may end between
/// two calls, or with the gateway's restart.
const REFRESHES_MAX: usize = 3;

/// Why a call brought no answer.
enum NoAnswer {
    NotSent(Answer),
    Lost(Answer),
    Halt(HaltReason, Answer),
}

impl Client {
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        Ok(Self {
            http: Http::new(&settings)?,
            access_tokens: AccessTokens::default(),
        })
    }

    /// Sends a stored body under its number. It makes one request, and repeats it only with a fresh
    /// access token after the gateway refused the old one.
    pub async fn send(&self, profile: &DeviceProfile, body: &[u8], invoice_no: i64) -> SendOutcome {
        match self
            .call(profile, Action::SaveSale, Bytes::copy_from_slice(body))
            .await
        {
            Ok(http) => sale::read(profile, &http, invoice_no),
            Err(NoAnswer::NotSent(answer)) => SendOutcome::NotSent(answer),
            Err(NoAnswer::Lost(answer)) => SendOutcome::Unknown(answer),
            Err(NoAnswer::Halt(reason, answer)) => SendOutcome::Halt { reason, answer },
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
            .call(profile, Action::FindInvoice, wire::bytes(&query).into())
            .await
        {
            Ok(http) => look_up::read(profile, &http, invoice_no),
            Err(NoAnswer::NotSent(answer) | NoAnswer::Lost(answer)) => {
                LookUpOutcome::NoAnswer(answer)
            }
            Err(NoAnswer::Halt(reason, answer)) => LookUpOutcome::Halt { reason, answer },
        }
    }

    /// Initialises a device. Never call this in a loop, because repeats damaged device records at
    /// KRA.
    pub async fn initialise(
        &self,
        profile: &DeviceProfile,
    ) -> Result<Initialised, InitialiseError> {
        let query = Query {
            dvc_srl_no: Some(&profile.serial),
            ..query(profile)
        };
        let http = self
            .call(profile, Action::Initialise, wire::bytes(&query).into())
            .await;
        initialise::read(profile, &http.map_err(CallError::from)?)
    }

    /// Fetches all of KRA's code lists.
    pub async fn code_list(&self, profile: &DeviceProfile) -> Result<CodeList, CallError> {
        let query = Query {
            last_req_dt: Some(BEFORE_ETIMS),
            ..query(profile)
        };
        let http = self
            .call(profile, Action::CodeList, wire::bytes(&query).into())
            .await;
        code_list::read(profile, &http?)
    }

    /// Makes sure that the gateway's access token can be fetched. The other dialects need none.
    pub async fn check_token(&self, profile: &DeviceProfile) -> Result<(), CallError> {
        let Some(settings) = token_settings(profile) else {
            return Ok(());
        };
        self.access_tokens
            .get(&self.http, settings, None)
            .await
            .map_err(NoAnswer::from)?;
        Ok(())
    }

    /// Calls the spellings of an action's path until one exists.
    async fn call(
        &self,
        profile: &DeviceProfile,
        action: Action,
        body: Bytes,
    ) -> Result<HttpAnswer, NoAnswer> {
        let mut last = Err(NoAnswer::NotSent(Answer::none(
            "the dialect has no such call",
            false,
        )));
        for path in dialect::paths(profile.dialect, action) {
            last = self.call_path(profile, action, path, body.clone()).await;
            if !last.as_ref().is_ok_and(no_such_path) {
                break;
            }
        }
        last
    }

    /// Calls one path, with an access token where the dialect needs one.
    async fn call_path(
        &self,
        profile: &DeviceProfile,
        action: Action,
        path: &str,
        body: Bytes,
    ) -> Result<HttpAnswer, NoAnswer> {
        let Some(settings) = token_settings(profile) else {
            return self.post(profile, action, path, body, None).await;
        };

        let mut token = self.access_tokens.get(&self.http, settings, None).await?;
        let mut http = self
            .post(profile, action, path, body.clone(), Some(&token))
            .await?;
        for _ in 0..REFRESHES_MAX {
            if !refuses_token(&http) {
                break;
            }
            // The request did go out. Most likely the gateway did not pass it on, but that is not
            // proven. From here on nothing counts as not sent (protocol D7).
            let fresh = self
                .access_tokens
                .get(&self.http, settings, Some(&token))
                .await;
            token = fresh.map_err(|no_token| NoAnswer::from(no_token).after_sending())?;

            let again = self
                .post(profile, action, path, body.clone(), Some(&token))
                .await;
            http = again.map_err(NoAnswer::after_sending)?;
        }
        Ok(http)
    }

    async fn post(
        &self,
        profile: &DeviceProfile,
        action: Action,
        path: &str,
        body: Bytes,
        token: Option<&AccessToken>,
    ) -> Result<HttpAnswer, NoAnswer> {
        let secret = token.map(|token| &token.secret);
        let headers = dialect::headers(profile, action, secret).map_err(|unusable| {
            NoAnswer::Halt(
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
                Failure::NotSent(cause) => NoAnswer::NotSent(Answer::none(&cause, true)),
                Failure::Lost(cause) => NoAnswer::Lost(Answer::none(&cause, true)),
            })
    }
}

fn query(profile: &DeviceProfile) -> Query<'_> {
    Query::new(&profile.pin, &profile.branch)
}

/// The settings for access tokens, for the gateway only.
fn token_settings(profile: &DeviceProfile) -> Option<&TokenSettings> {
    profile
        .token
        .as_ref()
        .filter(|_| profile.dialect == Dialect::Gateway)
}

/// A 404 of the host rather than of KRA, which may say "nothing found" under any status.
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

impl NoAnswer {
    /// What the failure means once a request has gone out.
    fn after_sending(self) -> Self {
        match self {
            Self::NotSent(answer) => Self::Lost(answer),
            other => other,
        }
    }
}

impl From<NoToken> for NoAnswer {
    fn from(no_token: NoToken) -> Self {
        match no_token {
            NoToken::Later(answer) => Self::NotSent(answer),
            NoToken::Halt { reason, answer } => Self::Halt(reason, answer),
        }
    }
}

impl From<NoAnswer> for CallError {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::NotSent(answer) => Self::NotSent(answer),
            NoAnswer::Lost(answer) => Self::NoAnswer(answer),
            NoAnswer::Halt(reason, answer) => Self::Halt { reason, answer },
        }
    }
}
