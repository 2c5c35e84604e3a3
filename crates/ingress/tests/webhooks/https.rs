//! The public listener under TLS.

use std::sync::Arc;

use futures_util::future::join_all;
use risiti_testkit::{Authority, eventually};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{DEADLINE, Fixture, Ingress, IngressBuilder, JSON, stk_success};

/// A folder with a certificate for `localhost` and its key.
fn certificate_folder(authority: &Authority) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    authority.issue_to("localhost", folder.path());
    folder
}

fn with_certificate(builder: IngressBuilder, folder: &TempDir) -> IngressBuilder {
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    builder
        .env("RISITI_TLS_CERT_FILE", path("certificate.pem"))
        .env("RISITI_TLS_KEY_FILE", path("key.pem"))
}

/// Posts a webhook as a client that trusts only this authority. Returns the status, or `None` when
/// the handshake fails.
async fn post(
    fixture: &Fixture,
    ingress: &Ingress,
    authority: &Authority,
    receipt: &str,
) -> Option<u16> {
    let root = reqwest::Certificate::from_pem(&std::fs::read(authority.root()).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .build()
        .unwrap();

    let port = ingress.address.port();
    let url = format!("https://localhost:{port}{}", fixture.stk_path());
    let request = client
        .post(url)
        .header(JSON.0, JSON.1)
        .body(stk_success(receipt));
    let answer = request.send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test]
async fn renewed_certificate_is_served_without_a_restart() {
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let folder = certificate_folder(&authority);
    let ingress = with_certificate(fixture.ingress(), &folder).ready().await;
    let accepted = post(&fixture, &ingress, &authority, "UIS4000101").await;
    assert_eq!(accepted, Some(200));
    assert_eq!(fixture.queued().await, 1);

    let successor = Authority::new();
    let too_early = post(&fixture, &ingress, &successor, "UIS4000102").await;
    assert_eq!(too_early, None, "no certificate of it is served yet");

    successor.issue_to("localhost", folder.path());
    eventually("the renewed certificate is served", DEADLINE, async || {
        post(&fixture, &ingress, &successor, "UIS4000102").await
    })
    .await;
    let too_late = post(&fixture, &ingress, &authority, "UIS4000103").await;
    assert_eq!(too_late, None, "the old certificate is no longer served");
}

#[tokio::test]
async fn client_that_does_not_speak_tls_is_disconnected() {
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let folder = certificate_folder(&authority);
    let builder = with_certificate(fixture.ingress(), &folder);
    let mut ingress = builder.body_timeout("500ms").ready().await;

    let mut plain = TcpStream::connect(ingress.address).await.unwrap();
    let request = format!("POST {} HTTP/1.1\r\nhost: x\r\n\r\n", fixture.stk_path());
    plain.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, plain.read_to_end(&mut answer))
        .await
        .expect("the plain connection is closed in time")
        .ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    // This client sends nothing and keeps the connection.
    let mut silent = TcpStream::connect(ingress.address).await.unwrap();
    tokio::time::timeout(DEADLINE, silent.read_to_end(&mut Vec::new()))
        .await
        .expect("the time for the handshake is bounded")
        .ok();

    let accepted = post(&fixture, &ingress, &authority, "UIS4000104").await;
    assert_eq!(accepted, Some(200));
    // Lines are written in their order, so those about the other clients are there as well.
    ingress
        .process
        .line_with("webhook accepted", DEADLINE)
        .await;
    let log = ingress.process.log();
    assert!(
        !log.contains("ERROR") && !log.contains("WARN"),
        "anybody could fill the log: {log}"
    );
    ingress.stop().await;
}

#[tokio::test]
async fn certificate_and_key_that_do_not_match_end_it_with_2() {
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let folder = certificate_folder(&authority);
    let (_, other_key) = authority.issue("localhost");
    std::fs::write(folder.path().join("key.pem"), other_key).unwrap();

    let builder = with_certificate(fixture.ingress(), &folder);
    let (code, log) = builder.run_to_exit().await;
    assert_eq!(code, Some(2));
    assert!(log.contains("RISITI_TLS_KEY_FILE"), "{log}");
}

/// Opens a TLS connection as a client that trusts only this authority.
async fn connect_tls(ingress: &Ingress, authority: &Authority) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(authority.root()).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(ingress.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .ok()
}

/// The attacks of `attacks.rs` on places, before the handshake, in the first head and in the second.
#[tokio::test]
async fn half_heads_under_tls_keep_nobody_out() {
    const LIMIT: usize = 60;
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let folder = certificate_folder(&authority);
    let ingress = with_certificate(fixture.ingress(), &folder)
        .body_timeout("10m")
        .env("RISITI_CONNECTIONS_MAX", LIMIT.to_string())
        .env("RISITI_CONNECTIONS_PER_SOURCE", "1000")
        .ready()
        .await;

    let silent = (0..LIMIT).map(|_| TcpStream::connect(ingress.address));
    let _silent = join_all(silent).await;
    assert_eq!(
        post(&fixture, &ingress, &authority, "UIS4000110").await,
        Some(200)
    );

    let whole = crate::attacks::post(&fixture.stk_path(), "", &stk_success("UIS4000111"));
    for first in [String::new(), whole] {
        let attackers = (0..LIMIT).map(async |_| {
            let mut stream = connect_tls(&ingress, &authority).await?;
            // The connection may be cut at any time.
            stream.write_all(first.as_bytes()).await.ok()?;
            // Reading does not send what TLS still holds.
            stream.flush().await.ok()?;
            if !first.is_empty() {
                stream.read_exact(&mut [0; 12]).await.ok()?;
            }
            stream.write_all(b"P").await.ok()?;
            stream.flush().await.ok()?;
            Some(stream)
        });
        let _open = join_all(attackers).await;
        for number in 0..10 {
            let receipt = format!("UIS40{:03}{number:02}", first.len());
            let answer = post(&fixture, &ingress, &authority, &receipt).await;
            assert_eq!(answer, Some(200), "{receipt}");
        }
    }
}
