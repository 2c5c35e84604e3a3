//! The program as other programs start it.

use crate::support::{Answer, KEY, PIN, client, sale};
use serde_json::json;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Starts `etims-sim` and reads where it listens.
async fn started(arguments: &[&str]) -> (Child, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_etims-sim"));
    let mut child = program
        .args(arguments)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, url)) = line.split_once("listening on ") {
            return (child, url.to_owned());
        }
    }
    panic!("it ended without listening");
}

#[tokio::test]
async fn it_tells_its_port_serves_and_ends_with_zero_on_sigterm() {
    let line = [
        "--listen",
        "127.0.0.1:0",
        "--dialect",
        "vscu",
        "--latency",
        "10ms",
        "--strict-sequence",
        "true",
    ];
    let (mut child, url) = started(&line).await;
    let client = client();
    let device = json!({"tin": PIN, "bhfId": "00", "dvcSrlNo": "S", "cmcKey": KEY});
    client
        .post(format!("{url}/_sim/devices"))
        .body(device.to_string())
        .send()
        .await
        .unwrap();
    let request = client
        .post(format!("{url}/trnsSales/saveSales"))
        .header("Content-Type", "application/json");
    let answer = Answer::read(request.body(sale(1).to_string()).send().await.unwrap()).await;
    assert_eq!(answer.code(), "000");
    // The client's idle connection must not keep it.
    let id = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_ends_it() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_etims-sim"));
    let output = program.args(["--latency", "100"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--latency"));
}
