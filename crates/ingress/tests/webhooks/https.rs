//! The public listener under TLS.

use risiti_testkit::{Authority, Program, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Ingress, PATIENCE, Stage, stk_success};

/// Ingress under a certificate for `localhost`, and the folder with its files.
async fn https(
    stage: &Stage,
    authority: &Authority,
    patience: &str,
) -> (Ingress, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    authority.issue_to("localhost", folder.path());
    let ingress = stage
        .ingress_with(|program| with_files(program, &folder).env("RISITI_BODY_TIMEOUT", patience));
    (ingress.await, folder)
}

fn with_files(program: Program, folder: &tempfile::TempDir) -> Program {
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    program
        .env("RISITI_TLS_CERT_FILE", path("certificate.pem"))
        .env("RISITI_TLS_KEY_FILE", path("key.pem"))
}

/// The status of a webhook posted by somebody who trusts that authority; none where the handshake fails.
async fn post(
    stage: &Stage,
    ingress: &Ingress,
    authority: &Authority,
    receipt: &str,
) -> Option<u16> {
    let root = reqwest::Certificate::from_pem(&std::fs::read(authority.root()).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .tls_built_in_root_certs(false)
        .add_root_certificate(root)
        .build()
        .unwrap();
    let url = format!(
        "https://localhost:{}{}",
        ingress.address.port(),
        stage.stk()
    );
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .body(stk_success(receipt));
    request
        .send()
        .await
        .ok()
        .map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_webhook_over_https_is_taken_and_a_renewed_certificate_needs_no_restart() {
    let (stage, authority) = (Stage::set().await, Authority::new());
    let (ingress, folder) = https(&stage, &authority, "10s").await;
    assert_eq!(
        post(&stage, &ingress, &authority, "UIS4000101").await,
        Some(200)
    );
    assert_eq!(stage.queued().await, 1);

    let successor = Authority::new();
    assert_eq!(
        post(&stage, &ingress, &successor, "UIS4000102").await,
        None,
        "nobody knows it yet"
    );
    successor.issue_to("localhost", folder.path());
    eventually("the renewed certificate is served", PATIENCE, async || {
        post(&stage, &ingress, &successor, "UIS4000102").await
    })
    .await;
    assert_eq!(
        post(&stage, &ingress, &authority, "UIS4000103").await,
        None,
        "the old one is gone"
    );
}

#[tokio::test]
async fn what_does_not_speak_tls_is_let_go() {
    let (stage, authority) = (Stage::set().await, Authority::new());
    let (mut ingress, _folder) = https(&stage, &authority, "500ms").await;

    let mut plain = TcpStream::connect(ingress.address).await.unwrap();
    plain
        .write_all(format!("POST {} HTTP/1.1\r\nhost: x\r\n\r\n", stage.stk()).as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer))
        .await
        .expect("hung up")
        .ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    // Says nothing, and keeps the connection.
    let mut silent = TcpStream::connect(ingress.address).await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    heard.expect("the handshake is bounded").ok();

    assert_eq!(
        post(&stage, &ingress, &authority, "UIS4000104").await,
        Some(200)
    );
    let log = ingress.process.log();
    assert!(
        !log.contains("ERROR") && !log.contains("WARN"),
        "anybody could fill the log: {log}"
    );
    ingress.process.terminate();
    assert!(ingress.process.exit(PATIENCE).await.success());
}

#[tokio::test]
async fn files_that_do_not_fit_end_it_with_2() {
    let (stage, authority) = (Stage::set().await, Authority::new());
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    authority.issue_to("localhost", folder.path());
    std::fs::write(
        folder.path().join("key.pem"),
        authority.issue("localhost").1,
    )
    .unwrap();
    let mut process = with_files(stage.program(&data), &folder).start();
    assert_eq!(process.exit(PATIENCE).await.code(), Some(2));
    assert!(
        process.log().contains("RISITI_TLS_KEY_FILE"),
        "{}",
        process.log()
    );
}
