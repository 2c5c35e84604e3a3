//! Settings that several programs share. There is one struct per concern, and a program flattens
//! those it needs into its own.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::BadSetting;
use crate::units::parse_duration;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

// The structs have no doc comments, because clap would print one as the program's description.

#[derive(Args, Clone, Debug, Default)]
pub struct LogArgs {
    /// How log lines look on standard error; RUST_LOG sets the filter [default filter: info]
    #[arg(long, env = "RISITI_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Args, Clone, Debug)]
pub struct OpsArgs {
    /// Private address for /healthz, /readyz and /metrics; port 0 picks a free one, which is logged
    #[arg(
        long,
        env = "RISITI_OPS_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDR"
    )]
    pub ops_listen: SocketAddr,
}

#[derive(Args, Clone, Debug)]
pub struct GraceArgs {
    /// After SIGTERM or SIGINT: how long to finish what is held (250ms, 2s, 15m, 24h)
    #[arg(long, env = "RISITI_GRACE", default_value = "20s", value_parser = parse_duration, value_name = "DURATION")]
    pub grace: Duration,
}

#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// Postgres, as postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = database_url, value_name = "URL")]
    pub database_url: SecretString,
}

#[derive(Args, Clone, Debug)]
pub struct AmqpArgs {
    /// RabbitMQ, as amqp://user:password@host:port/vhost, or amqps:// for TLS
    #[arg(long, env = "AMQP_URL", hide_env_values = true, value_parser = amqp_url, value_name = "URL")]
    pub amqp_url: SecretString,

    /// Prefix of every exchange and queue; two namespaces never meet
    #[arg(long, env = "RISITI_NAMESPACE", default_value = "risiti", value_parser = namespace, value_name = "NAME")]
    pub namespace: String,

    /// Longest wait for a broker's confirm (250ms, 2s, 15m, 24h)
    #[arg(long, env = "RISITI_PUBLISH_TIMEOUT", default_value = "2s", value_parser = parse_duration, value_name = "DURATION")]
    pub publish_timeout: Duration,
}

#[derive(Args, Clone, Debug)]
pub struct CredentialsArgs {
    /// 32 bytes in base64: encrypts secrets at rest
    #[arg(long, env = "RISITI_CREDENTIALS_KEY", hide_env_values = true, value_parser = credentials_key, value_name = "BASE64")]
    pub credentials_key: SecretString,

    /// The key before, to decrypt only, while `risiti-admin keys reencrypt` runs
    #[arg(long, env = "RISITI_CREDENTIALS_KEY_OLD", hide_env_values = true, value_parser = credentials_key, value_name = "BASE64")]
    pub credentials_key_old: Option<SecretString>,
}

impl DatabaseArgs {
    /// Names the database's URL as a bad setting.
    pub fn bad_url(problem: impl Display) -> BadSetting {
        BadSetting::of::<Self>("database_url", problem)
    }
}

impl CredentialsArgs {
    /// Names the current key as a bad setting.
    pub fn bad_key(problem: impl Display) -> BadSetting {
        BadSetting::of::<Self>("credentials_key", problem)
    }

    /// Names the previous key as a bad setting.
    pub fn bad_old_key(problem: impl Display) -> BadSetting {
        BadSetting::of::<Self>("credentials_key_old", problem)
    }
}

fn database_url(text: &str) -> Result<SecretString, String> {
    url_with_scheme(text, &["postgres", "postgresql"])
}

fn amqp_url(text: &str) -> Result<SecretString, String> {
    url_with_scheme(text, &["amqp", "amqps"])
}

fn url_with_scheme(text: &str, schemes: &[&str]) -> Result<SecretString, String> {
    let url = url::Url::parse(text).map_err(|e| format!("not a URL: {e}"))?;
    if schemes.contains(&url.scheme()) {
        Ok(text.into())
    } else {
        Err(format!(
            "expected a URL that starts with {}://",
            schemes.join(":// or ")
        ))
    }
}

fn namespace(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if (1..=60).contains(&text.len()) && text.chars().all(legal) {
        Ok(text.into())
    } else {
        Err("expected 1 to 60 of a-z 0-9 . _ -".into())
    }
}

fn credentials_key(text: &str) -> Result<SecretString, String> {
    match BASE64_STANDARD.decode(text.trim()) {
        Ok(bytes) if bytes.len() == 32 => Ok(text.trim().into()),
        Ok(bytes) => Err(format!(
            "expected 32 bytes in base64, found {}",
            bytes.len()
        )),
        Err(_) => Err("expected 32 bytes in base64".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_with_another_scheme_is_refused() {
        assert!(database_url("postgres://u:p@h/d").is_ok());
        assert!(database_url("postgresql://h/d").is_ok());
        assert!(database_url("mysql://h/d").is_err());
        assert!(amqp_url("amqps://u:p@h:5671/%2f").is_ok());
        assert!(amqp_url("localhost:5672").is_err());
    }

    #[test]
    fn namespace_holds_only_what_queue_names_allow() {
        assert!(namespace("risiti-2.test_a").is_ok());
        for bad in ["", "Risiti", "a b", "ä", &"n".repeat(61)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_key_is_exactly_32_bytes() {
        assert!(credentials_key(&BASE64_STANDARD.encode([7; 32])).is_ok());
        assert!(credentials_key(&BASE64_STANDARD.encode([7; 31])).is_err());
        assert!(credentials_key("not base64!").is_err());
    }
}
