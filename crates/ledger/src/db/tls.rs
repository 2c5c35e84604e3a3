//! What a connection string says of TLS. TLS that is demanded is always verified, by chain and by name: an encrypted
//! line to nobody knows whom protects from no one.

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

/// A connection string without the parts that tokio-postgres does not know.
#[derive(PartialEq)]
pub(crate) struct Wish {
    pub(crate) url: String,
    pub(crate) demanded: bool,
    /// `sslrootcert`, where it names a file; else the platform's roots count, and `SSL_CERT_FILE`.
    pub(crate) root: Option<String>,
}

impl Wish {
    /// `require` verifies like `verify-full`. What does not demand TLS goes without: `prefer`, also the default,
    /// would verify nobody, or fail where a server has the certificate its package made up.
    pub(crate) fn read(url: &str) -> Self {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut wish = Self {
            url: String::new(),
            demanded: false,
            root: None,
        };
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = url::form_urlencoded::parse(pair.as_bytes())
                .next()
                .unwrap_or_default();
            match (&*key, &*value) {
                ("sslmode", "require" | "verify-ca" | "verify-full") => wish.demanded = true,
                ("sslmode", "prefer" | "disable") => {}
                ("sslrootcert", "system") => wish.root = None,
                ("sslrootcert", file) => wish.root = Some(file.to_owned()),
                _ => rest.push(pair),
            }
        }
        rest.push(if wish.demanded {
            "sslmode=require"
        } else {
            "sslmode=disable"
        });
        wish.url = format!("{base}?{}", rest.join("&"));
        wish
    }

    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, LedgerError> {
        let roots = match (&self.root, self.demanded) {
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
    trusted(certificates)
        .ok_or_else(|| bad_root(&format!("{}: holds no certificate in PEM", file.display())))
}

fn bad_root(problem: &str) -> LedgerError {
    LedgerError::Setting(format!("sslrootcert={problem}"))
}

/// A platform may hold roots that cannot be read; the others count.
fn from_platform() -> Result<RootCertStore, LedgerError> {
    trusted(rustls_native_certs::load_native_certs().certs).ok_or_else(|| {
        LedgerError::Setting(
            "TLS is demanded and no trusted roots are installed: see sslrootcert, SSL_CERT_FILE"
                .into(),
        )
    })
}

fn trusted(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    (!roots.is_empty()).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_demanded_by_name_only() {
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
            let wish = Wish::read(&format!("postgres://u:p@h/db{query}"));
            assert_eq!(
                (wish.url, wish.demanded),
                (format!("postgres://u:p@h/db{rest}"), demanded),
                "{query}"
            );
        }
    }

    #[test]
    fn an_unknown_mode_stays_for_the_parser_to_refuse() {
        let wish = Wish::read("postgres://h/db?sslmode=allow");
        assert!(wish.url.contains("sslmode=allow"));
        assert!(crate::db::pool::config(&wish.url.as_str().into(), "test").is_err());
    }

    #[test]
    fn a_root_that_cannot_be_used_is_a_bad_setting() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for file in [folder.path().join("nowhere.pem"), empty] {
            let url = format!(
                "postgres://u:hunter2@h/db?sslmode=require&sslrootcert={}",
                file.display()
            );
            let error = Wish::read(&url).connector().err().unwrap();
            assert!(error.to_string().contains("sslrootcert"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert!(
            Wish::read("postgres://h/db?sslmode=require&sslrootcert=system")
                .root
                .is_none()
        );
    }
}
