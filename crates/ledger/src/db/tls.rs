//! What a connection string says about TLS.
//!
//! TLS that is demanded is always verified, by chain and by name. An encrypted line to an unknown
//! peer protects from nobody.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::error::LedgerError;

/// The bytes under a connection, encrypted or not.
pub(crate) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A connection string, split into what tokio-postgres understands and what it does not.
#[derive(PartialEq)]
pub(crate) struct ConnectionString {
    /// The URL with the parts that tokio-postgres understands.
    pub(crate) url: String,
    pub(crate) tls_required: bool,
    /// The file that `sslrootcert` names. Without one the platform's roots and `SSL_CERT_FILE` are
    /// trusted.
    pub(crate) root_file: Option<String>,
}

impl ConnectionString {
    /// Reads `sslmode` and `sslrootcert`.
    ///
    /// `require` verifies like `verify-full`. A mode that does not demand TLS goes without it:
    /// `prefer`, which is also the default, would either verify nobody or fail at a server with a
    /// self-signed certificate.
    pub(crate) fn parse(url: &str) -> Self {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut tls_required = false;
        let mut root_file = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = url::form_urlencoded::parse(pair.as_bytes())
                .next()
                .unwrap_or_default();
            match (&*key, &*value) {
                ("sslmode", "require" | "verify-ca" | "verify-full") => tls_required = true,
                ("sslmode", "prefer" | "disable") => {}
                ("sslrootcert", "system") => root_file = None,
                ("sslrootcert", file) => root_file = Some(file.to_owned()),
                _ => rest.push(pair),
            }
        }

        rest.push(if tls_required {
            "sslmode=require"
        } else {
            "sslmode=disable"
        });
        Self {
            url: format!("{base}?{}", rest.join("&")),
            tls_required,
            root_file,
        }
    }

    /// The TLS side of a connection, which trusts nobody where TLS is not demanded.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, LedgerError> {
        let roots = match (&self.root_file, self.tls_required) {
            (_, false) => RootCertStore::empty(),
            (Some(file), true) => from_file(Path::new(file))?,
            (None, true) => from_platform()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| LedgerError::Setting(error.to_string()))?;
        Ok(MakeRustlsConnect::new(
            config.with_root_certificates(roots).with_no_client_auth(),
        ))
    }
}

fn from_file(file: &Path) -> Result<RootCertStore, LedgerError> {
    let certificates =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates =
        certificates.map_err(|error| bad_root(&format!("{}: {error}", file.display())))?;
    root_store(certificates)
        .ok_or_else(|| bad_root(&format!("{}: holds no certificate in PEM", file.display())))
}

fn bad_root(problem: &str) -> LedgerError {
    LedgerError::Setting(format!("sslrootcert={problem}"))
}

/// The roots that the platform trusts. Some of them may be unreadable, which leaves the others.
fn from_platform() -> Result<RootCertStore, LedgerError> {
    root_store(rustls_native_certs::load_native_certs().certs).ok_or_else(|| {
        LedgerError::Setting(
            "TLS is demanded and no trusted roots are installed: see sslrootcert, SSL_CERT_FILE"
                .into(),
        )
    })
}

/// `None` when none of the certificates can be used.
fn root_store(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    (!roots.is_empty()).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_modes_demand_tls() {
        for (query, demanded, rest) in [
            ("", false, "?sslmode=disable"),
            ("?sslmode=disable", false, "?sslmode=disable"),
            ("?sslmode=prefer", false, "?sslmode=disable"),
            ("?sslmode=require", true, "?sslmode=require"),
            (
                "?sslmode=verify-ca&connect_timeout=3",
                true,
                "?connect_timeout=3&sslmode=require",
            ),
            (
                "?options=-c%20a%3Db&sslmode=verify-full",
                true,
                "?options=-c%20a%3Db&sslmode=require",
            ),
            ("?%73slmode=verify-full", true, "?sslmode=require"),
        ] {
            let read = ConnectionString::parse(&format!("postgres://u:p@h/db{query}"));
            assert_eq!(
                (read.url, read.tls_required),
                (format!("postgres://u:p@h/db{rest}"), demanded),
                "{query}"
            );
        }
    }

    #[test]
    fn unusable_root_file_is_a_bad_setting() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for file in [folder.path().join("nowhere.pem"), empty] {
            let url = format!(
                "postgres://u:hunter2@h/db?sslmode=require&sslrootcert={}",
                file.display()
            );
            let error = ConnectionString::parse(&url).connector().err().unwrap();
            assert!(error.to_string().contains("sslrootcert"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert!(
            ConnectionString::parse("postgres://h/db?sslmode=require&sslrootcert=system")
                .root_file
                .is_none()
        );
    }
}
