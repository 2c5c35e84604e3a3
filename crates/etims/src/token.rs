//! The gateway's bearer tokens: fetched once for all who wait, refreshed before they end.

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
use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::fields::Fields;
use crate::http::{Failure, Http, HttpAnswer};
use crate::outcome::HaltReason;
use crate::profile::TokenSettings;

/// A token this close to its end is not used any more, or when a tenth of its life is left if that is less.
const EARLY: Duration = Duration::from_secs(60);
/// For an answer that names no life.
const LIFE_UNSAID: Duration = Duration::from_secs(5 * 60);
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Apps whose tokens are remembered; more than that and all are fetched anew.
const APPS_MAX: usize = 10_000;
/// Longer than any token seen.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Remembers one token per app.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    apps: Arc<Mutex<HashMap<App, Arc<Slot>>>>,
}

/// A token and when it was fetched, which tells two tokens apart.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    fetched_at: Instant,
    use_until: Instant,
}

/// Why there is no token: the outcome of a call that was never made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    Later(Answer),
    Never { reason: HaltReason, answer: Answer },
}

#[derive(PartialEq, Eq, Hash)]
struct App {
    url: Url,
    consumer_key: String,
}

/// Held locked while its token is fetched, so that everybody else waits for that one fetch.
type Slot = tokio::sync::Mutex<State>;

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The last fetch that failed, with the time it ended: whoever waited for it shares its failure.
    failed: Option<(Instant, NoToken)>,
}

impl Tokens {
    /// A token that is good for a while; never `refused`, which the gateway has turned away.
    pub(crate) async fn get(
        &self,
        http: &Http,
        settings: &TokenSettings,
        refused: Option<&Token>,
    ) -> Result<Token, NoToken> {
        let asked_at = Instant::now();
        let slot = self.slot(settings);
        let mut state = slot.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| token.usable(refused)) {
            return Ok(token.clone());
        }
        if let Some((_, failure)) = state
            .failed
            .as_ref()
            .filter(|(ended_at, _)| *ended_at >= asked_at)
        {
            return Err(failure.clone());
        }
        match fetch(http, settings).await {
            Ok(token) => {
                *state = State {
                    token: Some(token.clone()),
                    failed: None,
                };
                Ok(token)
            }
            Err(failure) => {
                *state = State {
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
        // A panic elsewhere leaves the map whole: it is only ever inserted into or cleared.
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= APPS_MAX && !apps.contains_key(&app) {
            apps.clear();
        }
        Arc::clone(apps.entry(app).or_default())
    }
}

impl Token {
    fn usable(&self, refused: Option<&Self>) -> bool {
        Instant::now() < self.use_until
            && refused.is_none_or(|refused| refused.fetched_at < self.fetched_at)
    }
}

/// GET: a POST is answered with 200 and an empty body.
async fn fetch(http: &Http, settings: &TokenSettings) -> Result<Token, NoToken> {
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

fn read(settings: &TokenSettings, http: &HttpAnswer) -> Result<Token, NoToken> {
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
        .map_or(LIFE_UNSAID, |seconds| {
            Duration::from_secs(seconds.max(0).unsigned_abs())
        })
        .min(LIFE_MAX);
    let use_until = fetched_at + life - EARLY.min(life / 10);
    Ok(Token {
        secret: SecretString::from(token),
        fetched_at,
        use_until,
    })
}

fn refusal(settings: &TokenSettings, http: &HttpAnswer) -> NoToken {
    let envelope = Envelope::read(http.status, &http.body);
    let class = match (&envelope, http.status) {
        // OAuth's own word for wrong credentials.
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
        Class::Halt(reason) => NoToken::Never { reason, answer },
        _ => NoToken::Later(answer),
    }
}

fn is_printable(token: &str) -> bool {
    token.bytes().all(|b| b.is_ascii_graphic())
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}
