//! The settings of ingress, each by flag or by variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use ipnet::IpNet;
use risiti_domain::Provider;
use risiti_service::{
    AmqpArgs, CredentialsArgs, DatabaseArgs, GraceArgs, LogArgs, OpsArgs, parse_duration,
    parse_range, parse_size,
};
use secrecy::SecretString;

use crate::connection::{Clock, ConnectionLimits};

/// Payment webhooks in: each is authenticated, deduplicated, made durable, and only then answered
/// with 200.
#[derive(Parser, Debug)]
#[command(name = "risiti-ingress", version)]
pub struct Settings {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) dedup: DedupArgs,
    /// Directory for what must survive a restart, one for each replica: spool and copy of the
    /// merchant directory
    #[arg(
        long,
        env = "RISITI_DATA_DIR",
        default_value = ".risiti",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,
    /// Largest sum of webhooks kept on disk while the broker is away, in bytes or with KiB, MiB,
    /// GiB; 0: no spool
    #[arg(long, env = "RISITI_SPOOL_LIMIT", default_value = "1GiB", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) spool_limit: u64,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialsArgs,
    #[command(flatten)]
    pub ops: OpsArgs,
    #[command(flatten)]
    pub grace: GraceArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Args, Debug)]
pub(crate) struct HttpArgs {
    /// Public address for webhooks
    #[arg(
        long,
        env = "RISITI_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR"
    )]
    pub(crate) listen: SocketAddr,
    /// Certificate chain in PEM, to serve HTTPS; a renewed file is taken up without a restart
    /// [default: plain HTTP]
    #[arg(
        long,
        env = "RISITI_TLS_CERT_FILE",
        requires = "tls_key_file",
        value_name = "FILE"
    )]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// Private key in PEM, that of the certificate
    #[arg(
        long,
        env = "RISITI_TLS_KEY_FILE",
        requires = "tls_cert_file",
        value_name = "FILE"
    )]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// Largest body, in bytes or with KiB, MiB
    #[arg(long, env = "RISITI_BODY_LIMIT", default_value = "262144", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) body_limit: u64,
    /// Longest wait for a request's headers, for its body, and for a TLS handshake
    #[arg(long, env = "RISITI_BODY_TIMEOUT", default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) body_timeout: Duration,
    /// Proxies whose X-Forwarded-For is believed, as comma-separated CIDR ranges [default: none]
    #[arg(
        long,
        env = "RISITI_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_parser = parse_range,
        value_name = "CIDR"
    )]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Least bytes per second of a body before its signature is checked; 0: any
    #[arg(
        long,
        env = "RISITI_BODY_RATE_MIN",
        default_value_t = 1_024,
        value_name = "BYTES"
    )]
    pub(crate) body_rate_min: u64,
    /// How long a connection may wait for its next request
    #[arg(long, env = "RISITI_IDLE_TIMEOUT", default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) idle_timeout: Duration,
    /// Connections open at once. Near it, new ones take the place of those that do nothing
    #[arg(
        long,
        env = "RISITI_CONNECTIONS_MAX",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub(crate) connections_max: usize,
    /// Connections of one address, or one /64 of IPv6, unless it is a trusted proxy [default: a
    /// quarter of RISITI_CONNECTIONS_MAX]
    #[arg(long, env = "RISITI_CONNECTIONS_PER_SOURCE", value_name = "N")]
    pub(crate) connections_per_source: Option<usize>,
    /// Requests on one connection, after which it is closed
    #[arg(
        long,
        env = "RISITI_CONNECTION_REQUESTS_MAX",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub(crate) connection_requests_max: u32,
    /// Age of a connection after which it is closed with its next answer
    #[arg(long, env = "RISITI_CONNECTION_AGE_MAX", default_value = "1h", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) connection_age_max: Duration,
}

impl HttpArgs {
    pub(crate) fn connection_limits(&self) -> ConnectionLimits {
        let open_max = self.connections_max.max(1);
        let per_source_max = self.connections_per_source.unwrap_or(open_max.div_ceil(4));
        ConnectionLimits {
            open_max,
            per_source_max: per_source_max.max(1),
            head_ticks: Clock::ticks(self.body_timeout),
            idle_ticks: Clock::ticks(self.idle_timeout),
            age_ticks: Clock::ticks(self.connection_age_max),
            requests_max: self.connection_requests_max,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct DedupArgs {
    /// Redis shared by replicas, as redis://host:port, or rediss:// for TLS [default: each replica
    /// remembers for itself]
    #[arg(long, env = "RISITI_REDIS_URL", hide_env_values = true, value_parser = redis_url, value_name = "URL")]
    pub(crate) redis_url: Option<SecretString>,
    /// How long a delivery is remembered [default: 24h; Paystack, which retries for 72 hours, 80h]
    #[arg(long, env = "RISITI_DEDUP_TTL", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) dedup_ttl: Option<Duration>,
    /// Deliveries remembered in memory, least recently used first out
    #[arg(
        long,
        env = "RISITI_DEDUP_ENTRIES",
        default_value_t = 1_000_000,
        value_name = "N"
    )]
    pub(crate) dedup_entries: u64,
    /// Webhooks on their way to the broker at once; further ones go to the spool first
    #[arg(
        long,
        env = "RISITI_IN_FLIGHT_MAX",
        default_value_t = 2_500,
        value_name = "N"
    )]
    pub(crate) in_flight_max: usize,
}

/// Refuses a fragment. The client accepts `#insecure` in a URL, but it is built without that
/// feature and would never connect.
fn redis_url(text: &str) -> Result<SecretString, &'static str> {
    if text.contains('#') {
        return Err("TLS is always verified: leave away what follows #");
    }
    Ok(text.into())
}

impl DedupArgs {
    /// How long a delivery is remembered. It is longer than the provider retries: Daraja sends
    /// once, Gumroad retries for 15 minutes and Paystack for 72 hours.
    pub(crate) fn ttl(&self, provider: Provider) -> Duration {
        const HOUR: Duration = Duration::from_secs(3600);
        self.dedup_ttl.unwrap_or(match provider {
            Provider::Daraja | Provider::Gumroad => HOUR * 24,
            Provider::Paystack => HOUR * 80,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Settings, clap::Error> {
        let base = [
            "risiti-ingress",
            "--database-url=postgres://u:p@h/d",
            "--amqp-url=amqp://h",
            "--credentials-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ];
        Settings::try_parse_from(base.iter().chain(more))
    }

    #[test]
    fn paystack_is_remembered_longer_than_it_retries() {
        let settings = parse(&[]).unwrap();
        assert_eq!(
            settings.dedup.ttl(Provider::Paystack),
            Duration::from_secs(80 * 3600)
        );
        assert_eq!(
            settings.dedup.ttl(Provider::Daraja),
            Duration::from_secs(24 * 3600)
        );
        let short = parse(&["--dedup-ttl=1m"]).unwrap();
        assert_eq!(short.dedup.ttl(Provider::Paystack), Duration::from_secs(60));
    }

    #[test]
    fn trusted_proxies_are_a_list_of_ranges() {
        let settings = parse(&["--trusted-proxies=10.0.0.0/8,fd00::/8"]).unwrap();
        assert_eq!(settings.http.trusted_proxies.len(), 2);
        assert!(parse(&["--trusted-proxies=everyone"]).is_err());
        let mapped = parse(&["--trusted-proxies=::ffff:10.0.0.0/104"]).unwrap();
        assert_eq!(mapped.http.trusted_proxies[0].to_string(), "10.0.0.0/8");
    }

    #[test]
    fn certificate_and_key_need_each_other() {
        assert!(parse(&["--tls-cert-file=c.pem", "--tls-key-file=k.pem"]).is_ok());
        for half in ["--tls-cert-file=c.pem", "--tls-key-file=k.pem"] {
            assert!(parse(&[half]).is_err(), "{half}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let settings = parse(&["--redis-url=redis://:hunter2@h"]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
