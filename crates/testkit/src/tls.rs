use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// The TLS request that a Postgres client sends first: length 8, code 80877103.
const POSTGRES_TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A certificate authority made for one test. Only clients that are given its root trust it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Creates an authority with a root of its own.
    ///
    /// # Panics
    /// Panics when no certificate can be made or written.
    #[allow(
        clippy::new_without_default,
        reason = "each call creates a different authority"
    )]
    pub fn new() -> Authority {
        let mut params =
            CertificateParams::new(Vec::new()).expect("no name is a legal list of names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("making a key");
        let issuer =
            CertifiedIssuer::self_signed(params, key).expect("signing one's own certificate");
        let folder = tempfile::tempdir().expect("making a folder for certificates");
        fs::write(folder.path().join("root.pem"), issuer.pem()).expect("writing the root");
        Authority { issuer, folder }
    }

    /// Returns the path of its root certificate, for `SSL_CERT_FILE` or `sslrootcert`.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// Issues a certificate with its key for a name or address, both in PEM.
    ///
    /// # Panics
    /// Panics when the name is not valid.
    pub fn issue(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new([name.to_owned()]).expect("a legal name");
        let key = KeyPair::generate().expect("making a key");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("signing a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Issues a certificate and writes it to `certificate.pem` and `key.pem` in the folder.
    ///
    /// # Panics
    /// Panics when the name is not valid or the folder cannot be written to.
    pub fn issue_to(&self, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(name);
        let paths = (folder.join("certificate.pem"), folder.join("key.pem"));
        fs::write(&paths.0, certificate).expect("writing the certificate");
        fs::write(&paths.1, key).expect("writing the key");
        paths
    }
}

/// A TLS proxy in front of a server that speaks no TLS.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    server: Url,
    listening: JoinHandle<()>,
}

impl TlsFront {
    /// Opens a front for the server of a URL such as `DATABASE_URL`. Its certificate is issued by
    /// `authority` for `name`.
    ///
    /// # Panics
    /// Panics when the URL has no host and port, or the name is not valid.
    pub async fn to(url: &str, authority: &Authority, name: &str) -> TlsFront {
        let server = Url::parse(url).expect("a front leads to a URL");
        let host = server
            .host_str()
            .expect("a front leads to a host")
            .to_owned();
        let port = server
            .port_or_known_default()
            .expect("a front leads to a port");
        let is_postgres = server.scheme().starts_with("postgres");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("binding port 0 on loopback");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let acceptor = acceptor(authority, name);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(
                    client,
                    (host.clone(), port),
                    acceptor.clone(),
                    is_postgres,
                ));
            }
        });
        TlsFront {
            address,
            server,
            listening,
        }
    }

    /// Returns the URL under another scheme and through this front, with the host `localhost`.
    ///
    /// # Panics
    /// Panics when the scheme is not valid.
    pub fn url(&self, scheme: &str) -> String {
        let rest = &self.server.as_str()[self.server.scheme().len()..];
        let mut url = Url::parse(&format!("{scheme}{rest}")).expect("a scheme");
        url.set_host(Some("localhost"))
            .expect("the URL had a host before");
        url.set_port(Some(self.address.port()))
            .expect("the URL had a host before");
        url.into()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    let (certificate, key) = authority.issue(name);
    let chain =
        vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM of our own")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM of our own");
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions the provider knows")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate with its own key");
    TlsAcceptor::from(Arc::new(config))
}

async fn carry(
    mut client: TcpStream,
    server: (String, u16),
    acceptor: TlsAcceptor,
    is_postgres: bool,
) {
    if is_postgres {
        let mut asked = [0; 8];
        // A client that asks for no TLS is refused.
        if client.read_exact(&mut asked).await.is_err() || asked != POSTGRES_TLS_REQUEST {
            return;
        }
        if client.write_all(b"S").await.is_err() {
            return;
        }
    }
    // A client that does not trust the certificate ends the handshake.
    let Ok(mut client) = acceptor.accept(client).await else {
        return;
    };
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;

    async fn greeting(
        front: &TlsFront,
        authority: &Authority,
        name: &'static str,
    ) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority.root()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(front.address()).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name.try_into().unwrap(), stream).await?;
        let mut text = [0; 5];
        stream.read_exact(&mut text).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    #[tokio::test]
    async fn front_serves_clients_that_trust_its_certificate() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", server.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                stream.write_all(b"hello").await.unwrap();
            }
        });
        let authority = Authority::new();
        let front = TlsFront::to(&url, &authority, "localhost").await;
        assert_eq!(
            front.url("rediss"),
            format!("rediss://localhost:{}", front.address().port())
        );
        assert_eq!(
            greeting(&front, &authority, "localhost").await.unwrap(),
            "hello"
        );
        assert!(
            greeting(&front, &authority, "elsewhere.test")
                .await
                .is_err()
        );
        assert!(
            greeting(&front, &Authority::new(), "localhost")
                .await
                .is_err()
        );
    }
}
