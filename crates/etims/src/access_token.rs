//! The gateway's access tokens (OAuth). One fetch serves all who wait, and a token is replaced
//! before it ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use risiti_domain::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use crate::answer::Answer;
use crate::classify::{self, Class, HaltReason};
use crate::envelope::Envelope;
use crate::fields::Fields;
use crate::http::{Failure, Http, HttpAnswer};
use crate::profile::TokenSettings;

/// How long before its end a token is replaced. It is a tenth of its life if that is less.
const REPLACED_BEFORE_END: Duration = Duration::from_secs(60);
/// The life of a token whose answer names none.
const LIFE_DEFAULT: Duration = Duration::from_secs(5 * 60);
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many apps' tokens are kept. With one more, all are dropped and fetched anew.
const APPS_MAX: usize = 10_000;
/// Longer than any token seen.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Keeps one access token per app.
#[derive(Clone, Default)]
pub(crate) struct AccessTokens {
    apps: Arc<Mutex<HashMap<App, Arc<Slot>>>>,
}

/// A token with the time of its fetch, which tells two tokens apart.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) secret: SecretString,
    fetched_at: Instant,
    use_until: Instant,
}

/// Why there is no token, and so the outcome of the call that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// Another try may succeed.
    Later(Answer),
    /// A person has to look.
    Halt { reason: HaltReason, answer: Answer },
}

#[derive(PartialEq, Eq, Hash)]
struct App {
    url: Url,
    consumer_key: String,
}

/// The lock is held while the token is fetched, so that everybody else waits for that one fetch.
type Slot = tokio::sync::Mutex<LastFetch>;

/// How the last fetch for an app ended.
#[derive(Default)]
struct LastFetch {
    token: Option<AccessToken>,
    /// The failure and the time it ended. Whoever waited for the fetch shares its failure.
    failed: Option<(Instant, NoToken)>,
}

impl AccessTokens {
    /// Returns a token that stays valid for a while. It is never `refused`, which the gateway has
    /// refused.
    pub(crate) async fn get(
        &self,
        http: &Http,
        settings: &TokenSettings,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, NoToken> {
        let asked_at = Instant::now();
        let slot = self.slot(settings);
        let mut last = slot.lock().await;
        if let Some(token) = last.token.as_ref().filter(|token| token.is_usable(refused)) {
            return Ok(token.clone());
        }
        if let Some((_, failure)) = last
            .failed
            .as_ref()
            .filter(|(ended_at, _)| *ended_at >= asked_at)
        {
            return Err(failure.clone());
        }
        match fetch(http, settings).await {
            Ok(token) => {
                *last = LastFetch {
                    token: Some(token.clone()),
                    failed: None,
                };
                Ok(token)
            }
            Err(failure) => {
                *last = LastFetch {
                    token: None,
                    failed: Some((Instant::now(), failure.clone())),
                };
                Err(failure)
            }
        }
    }

    fn slot(&self, settings: &TokenSettings) -> Arc<Slot> {
        let app = App {
            url: settings.url.clone(),
            consumer_key: settings.consumer_key.clone(),
        };
        // A panic elsewhere leaves the map whole, because entries are only inserted or cleared.
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= APPS_MAX && !apps.contains_key(&app) {
            apps.clear();
        }
        Arc::clone(apps.entry(app).or_default())
    }
}

impl AccessToken {
    fn is_usable(&self, refused: Option<&Self>) -> bool {
        Instant::now() < self.use_until
            && refused.is_none_or(|refused| refused.fetched_at < self.fetched_at)
    }
}

/// Fetches a token with GET. The gateway answers a POST with 200 and an empty body.
async fn fetch(http: &Http, settings: &TokenSettings) -> Result<AccessToken, NoToken> {
    let credentials = format!(
        "{}:{}",
        settings.consumer_key,
        settings.consumer_secret.expose_secret()
    );
    let credentials =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, credentials);

    let mut basic = HeaderValue::from_str(&format!("Basic {credentials}"))
        .expect("base64 is made of characters that a header takes");
    basic.set_sensitive(true);
    let mut request = reqwest::Request::new(Method::GET, settings.url.clone());
    request.headers_mut().insert(AUTHORIZATION, basic);
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("application/json"));

    match http.call(request).await {
        Ok(answer) => read(settings, &answer),
        // However the fetch ended, the sale itself was not sent.
        Err(Failure::NotSent(cause) | Failure::Lost(cause)) => Err(NoToken::Later(Answer::none(
            &format!("no token: {cause}"),
            true,
        ))),
    }
}

fn read(settings: &TokenSettings, http: &HttpAnswer) -> Result<AccessToken, NoToken> {
    let fetched_at = Instant::now();
    let fields = std::str::from_utf8(&http.body).ok().and_then(Fields::read);
    let token = fields
        .as_ref()
        .filter(|_| http.status == 200)
        .and_then(|fields| {
            fields
                .text("access_token")
                .filter(|token| token.len() <= TOKEN_BYTES_MAX && is_printable(token))
        });
    let (Some(token), Some(fields)) = (token, fields) else {
        return Err(refusal(settings, http));
    };

    let life = fields
        .integer("expires_in")
        .map_or(LIFE_DEFAULT, |seconds| {
            Duration::from_secs(seconds.max(0).unsigned_abs())
        })
        .min(LIFE_MAX);
    let use_until = fetched_at + life - REPLACED_BEFORE_END.min(life / 10);
    Ok(AccessToken {
        secret: SecretString::from(token),
        fetched_at,
        use_until,
    })
}

fn refusal(settings: &TokenSettings, http: &HttpAnswer) -> NoToken {
    let envelope = Envelope::read(http.status, &http.body);
    let class = match (&envelope, http.status) {
        // OAuth answers wrong credentials with 400.
        (_, 400) => Class::Halt(HaltReason::Credentials),
        (Some(envelope), _) if envelope.code.is_some() => classify::of_code(
            Dialect::Gateway,
            envelope.code.as_deref().unwrap_or_default(),
        ),
        (envelope, status) => classify::of_status(status, envelope.is_some()),
    };
    let answer = Answer::judged(&settings.secrets(), http, envelope.as_ref(), class);
    let answer = Answer {
        message: format!("no token: {}", answer.message),
        ..answer
    };
    match class {
        // One bad answer of the token host must not stop the lanes of all its apps.
        Class::Halt(reason) | Class::HostHalt(reason) => NoToken::Halt {
            reason,
            answer: Answer {
                against_host: true,
                ..answer
            },
        },
        _ => NoToken::Later(answer),
    }
}

fn is_printable(token: &str) -> bool {
    token.bytes().all(|b| b.is_ascii_graphic())
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessTokens(…)")
    }
}
