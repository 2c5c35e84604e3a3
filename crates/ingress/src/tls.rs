//! TLS on the public listener, with a certificate that may be renewed while ingress runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use risiti_service::BadSetting;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// How often the files are read. Certificates are renewed every few weeks, and the old one stays
/// valid for days.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
const CERT_SETTING: &str = "--tls-cert-file (RISITI_TLS_CERT_FILE)";
const KEY_SETTING: &str = "--tls-key-file (RISITI_TLS_KEY_FILE)";

/// The certificate in use and the files it came from.
pub(crate) struct Certificate {
    files: Files,
    serving: RwLock<Serving>,
}

#[derive(Clone)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

struct Serving {
    key: Arc<CertifiedKey>,
    /// Digest of the files' content. Unchanged files are not parsed again, and content that cannot
    /// be used is logged once.
    digest: [u8; 32],
}

/// Whether the files held another certificate than the one in use.
#[derive(Debug, PartialEq, Eq)]
enum Renewal {
    Renewed,
    Unchanged,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("chain", &self.files.chain)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// # Errors
    /// Fails when a file cannot be read or holds no certificate or key, or when the two do not
    /// belong together.
    pub(crate) fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, BadSetting> {
        let files = Files {
            chain: chain.to_owned(),
            key: key.to_owned(),
        };
        let (pem, digest) = files.read()?;
        let serving = Serving {
            key: pem.certified_key()?,
            digest,
        };

        Ok(Arc::new(Self {
            files,
            serving: RwLock::new(serving),
        }))
    }

    /// The listener's configuration. Each new connection gets the certificate in use at that
    /// moment.
    pub(crate) fn server_config(self: &Arc<Self>) -> ServerConfig {
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// Takes up renewed files until cancelled. Files that cannot be used leave the old certificate
    /// in place, because half of a renewal may have been written.
    pub(crate) async fn follow(self: Arc<Self>, end: CancellationToken) {
        let following = async {
            loop {
                tokio::time::sleep(RELOAD_INTERVAL).await;
                let certificate = Arc::clone(&self);
                // Reading files blocks.
                tokio::task::spawn_blocking(move || certificate.reload())
                    .await
                    .ok();
            }
        };
        end.run_until_cancelled(following).await;
    }

    fn reload(&self) {
        match self.renew() {
            Ok(Renewal::Renewed) => tracing::info!("serving with the renewed certificate"),
            Ok(Renewal::Unchanged) => {}
            Err(problem) => {
                tracing::error!(%problem, "the renewed certificate cannot be used; serving with the old one")
            }
        }
    }

    fn renew(&self) -> Result<Renewal, BadSetting> {
        // A file that is missing for a moment is part of a renewal. One that stays missing is
        // reported at the next start.
        let Ok((pem, digest)) = self.files.read() else {
            return Ok(Renewal::Unchanged);
        };

        let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        if serving.digest == digest {
            return Ok(Renewal::Unchanged);
        }
        serving.digest = digest;
        serving.key = pem.certified_key()?;
        Ok(Renewal::Renewed)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self
                .serving
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .key,
        ))
    }
}

/// The content of the two files.
struct Pem {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(&self) -> Result<(Pem, [u8; 32]), BadSetting> {
        let read = |path: &Path, setting| {
            std::fs::read(path)
                .map_err(|error| BadSetting::new(setting, format!("{}: {error}", path.display())))
        };
        let pem = Pem {
            chain: read(&self.chain, CERT_SETTING)?,
            key: read(&self.key, KEY_SETTING)?,
        };
        let digest = Sha256::new()
            .chain_update(&pem.chain)
            .chain_update([0])
            .chain_update(&pem.key)
            .finalize();
        Ok((pem, digest.into()))
    }
}

impl Pem {
    /// Parses both files. The parser's error about a key file is left out, because it may quote the
    /// file.
    fn certified_key(&self) -> Result<Arc<CertifiedKey>, BadSetting> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if chain.is_empty() {
            return Err(BadSetting::new(CERT_SETTING, "holds no certificate in PEM"));
        }

        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| BadSetting::new(KEY_SETTING, "holds no private key in PEM"))?;
        let provider = CryptoProvider::get_default()
            .ok_or_else(|| BadSetting::new(KEY_SETTING, "no TLS provider"))?;

        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    BadSetting::new(KEY_SETTING, "is not the key of the certificate")
                }
                other => BadSetting::new(CERT_SETTING, format!("cannot be used: {other}")),
            })?;
        Ok(Arc::new(certified))
    }
}

#[cfg(test)]
mod tests {
    use risiti_testkit::Authority;

    use super::*;

    fn install_provider() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }

    fn problem(chain: &Path, key: &Path) -> String {
        Certificate::load(chain, key).unwrap_err().to_string()
    }

    #[test]
    fn unusable_file_is_named_by_its_setting() {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (chain, key) = authority.issue_to("localhost", folder.path());
        assert!(Certificate::load(&chain, &key).is_ok());

        let missing = folder.path().join("missing.pem");
        assert!(problem(&missing, &key).starts_with(CERT_SETTING));
        assert!(problem(&chain, &missing).starts_with(KEY_SETTING));
        assert!(
            problem(&key, &key).starts_with(CERT_SETTING),
            "a key is no certificate"
        );
        assert!(
            problem(&chain, &chain).starts_with(KEY_SETTING),
            "a certificate is no key"
        );

        std::fs::write(&key, authority.issue("localhost").1).unwrap();
        assert!(problem(&chain, &key).contains("is not the key of the certificate"));
        let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        std::fs::write(&key, broken).unwrap();
        assert!(
            !problem(&chain, &key).contains("c2VjcmV0"),
            "{}",
            problem(&chain, &key)
        );
    }

    #[test]
    fn half_a_renewal_leaves_the_old_certificate_in_use() {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (chain, key) = authority.issue_to("localhost", folder.path());
        let certificate = Certificate::load(&chain, &key).unwrap();
        let served = || certificate.serving.read().unwrap().key.cert.clone();
        let old = served();
        assert_eq!(certificate.renew().unwrap(), Renewal::Unchanged);

        let (new_chain, new_key) = authority.issue("localhost");
        std::fs::write(&chain, new_chain).unwrap();
        assert!(certificate.renew().is_err());
        let again = certificate.renew().unwrap();
        assert_eq!(
            again,
            Renewal::Unchanged,
            "an unusable file is reported once"
        );

        std::fs::remove_file(&key).unwrap();
        assert_eq!(certificate.renew().unwrap(), Renewal::Unchanged);
        assert_eq!(served(), old);

        std::fs::write(&key, new_key).unwrap();
        assert_eq!(certificate.renew().unwrap(), Renewal::Renewed);
        assert_ne!(served(), old);
    }

    #[test]
    fn debug_output_shows_no_key() {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = Authority::new().issue_to("localhost", folder.path());
        let shown = format!("{:?}", Certificate::load(&chain, &key).unwrap());
        assert_eq!(shown, format!("Certificate {{ chain: {chain:?}, .. }}"));
    }
}
