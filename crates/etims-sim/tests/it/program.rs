//! The program, as other programs start it.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::fixture::{KEY, PIN, client, sale, send};

/// Starts `etims-sim`, and reads from its log where it listens.
async fn start_program(arguments: &[&str]) -> (Child, String) {
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
    panic!("the program ended without listening");
}

#[tokio::test]
async fn program_logs_its_port_and_exits_0_on_sigterm() {
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
    let (mut child, url) = start_program(&line).await;
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
    let answer = send(request.body(sale(1).to_string())).await;
    assert_eq!(answer.code(), "000");
    // The idle connection of the client must not keep the program from ending.
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
async fn wrong_setting_is_named_and_ends_the_program() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_etims-sim"));
    let output = program.args(["--latency", "100"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--latency"));
}

/// The faults are those of the table in the README.
#[tokio::test]
async fn help_names_every_fault_with_an_example() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_etims-sim"));
    let output = program.arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("curl -X POST"), "{help}");

    let readme = include_str!("../../README.md");
    let table = readme
        .lines()
        .skip_while(|line| !line.starts_with("| `fault` |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let faults: Vec<&str> = table.filter_map(|row| row.split('"').nth(1)).collect();
    assert!(faults.len() >= 12, "{faults:?}");
    for fault in faults {
        assert!(help.contains(&format!("\"{fault}\"")), "{fault}\n{help}");
    }
}
