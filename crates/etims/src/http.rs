//! One request over the shared pool of connections, and an answer read within bounds.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Request, Response};
use tokio::sync::Semaphore;

use crate::text;
use crate::witness::{Exchange, Witness};

/// The longest pause that a host can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many links of an error chain are kept.
const CAUSES_MAX: usize = 8;

/// Limits of the shared HTTP client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Bounds one call from connecting to the last byte of the answer.
    pub call_timeout: Duration,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub idle_per_host_max: usize,
    /// Bounds the calls, and so the connections in use, at once over all hosts.
    pub calls_max: usize,
    /// Bounds the bytes of an answer.
    pub answer_bytes_max: usize,
    /// One more certificate authority to trust, as PEM, for a VSCU or a test that has its own.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Sees every exchange, for `device verify`.
    pub witness: Option<Witness>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("failed to build the HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("extra root certificates are not PEM")]
    RootCertificate,
}

#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    calls: Arc<Semaphore>,
    call_timeout: Duration,
    answer_bytes_max: usize,
    witness: Option<Witness>,
}

/// A whole answer, of any status.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer, in a phrase that may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection was made, so that no byte of the request left.
    NotSent(String),
    /// The request may have arrived.
    Lost(String),
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

impl Http {
    pub(crate) fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        // It fails when a provider is installed already. That one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("risiti/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.call_timeout)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_host_max)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        if let Some(pem) = &settings.extra_root_pem {
            let roots = Certificate::from_pem_bundle(pem).unwrap_or_default();
            if roots.is_empty() {
                return Err(ClientError::RootCertificate);
            }
            builder = roots
                .into_iter()
                .fold(builder, ClientBuilder::add_root_certificate);
        }
        Ok(Self {
            client: builder.build().map_err(ClientError::Http)?,
            calls: Arc::new(Semaphore::new(settings.calls_max)),
            call_timeout: settings.call_timeout,
            answer_bytes_max: settings.answer_bytes_max,
            witness: settings.witness.clone(),
        })
    }

    /// Makes one call, from waiting for a free place among the connections to the last byte of the
    /// answer.
    pub(crate) async fn call(&self, request: Request) -> Result<HttpAnswer, Failure> {
        let Some(witness) = &self.witness else {
            return self.exchange(request).await;
        };
        let method = request.method().to_string();
        let path = request.url().path().to_owned();
        let sent = request
            .body()
            .and_then(|body| body.as_bytes())
            .unwrap_or_default()
            .to_vec();
        let answer = self.exchange(request).await;
        witness.see(&Exchange {
            method: &method,
            path: &path,
            request: &sent,
            status: answer.as_ref().ok().map(|answer| answer.status),
            answer: answer.as_ref().map_or(&[], |answer| &answer.body),
        });
        answer
    }

    async fn exchange(&self, request: Request) -> Result<HttpAnswer, Failure> {
        let place = tokio::time::timeout(self.call_timeout, self.calls.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Failure::NotSent("too many calls at once".to_owned()));
        };
        // A failed connection is the only error that proves that nothing was sent (protocol D7).
        let answer = self.client.execute(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::NotSent(causes(error))
            } else {
                Failure::Lost(causes(error))
            }
        })?;

        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers(), SystemTime::now());
        let body = self.read(answer).await.map_err(Failure::Lost)?;
        Ok(HttpAnswer {
            status,
            retry_after,
            body,
        })
    }

    async fn read(&self, mut answer: Response) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(causes)? {
            if body.len() + chunk.len() > self.answer_bytes_max {
                return Err(format!(
                    "answer is longer than {} bytes",
                    self.answer_bytes_max
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Writes the error chain without the URL, whose query may carry credentials.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut phrase = error.to_string();
    let mut source = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(cause) = source else { break };
        phrase = format!("{phrase}: {cause}");
        source = cause.source();
    }
    text::message(&phrase)
}

/// Reads the header as seconds or as an HTTP date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            SystemTime::from(until).duration_since(now).ok()?
        }
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_a_date() {
        let now = SystemTime::from("2026-03-05T11:15:00Z".parse::<jiff::Timestamp>().unwrap());
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Thu, 05 Mar 2026 11:16:00 GMT", Some(60)),
            ("999999999", Some(86_400)),
            ("Thu, 05 Mar 2026 11:14:00 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_secs),
                "{text:?}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
