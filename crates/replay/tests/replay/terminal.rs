//! Runs at a terminal, for which the program `script` stands in.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::fixture::{Fixture, WAIT_MAX};

/// Types an answer, and returns what the terminal showed when the program ended.
async fn run_and_answer(fixture: &Fixture, answer: &str) -> String {
    let program = env!("CARGO_BIN_EXE_risiti-replay");
    let mut script = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("{program} run"),
            "/dev/null",
        ])
        .envs(fixture.variables())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    script
        .stdin
        .take()
        .unwrap()
        .write_all(answer.as_bytes())
        .await
        .unwrap();
    let output = tokio::time::timeout(WAIT_MAX, script.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    shown
}

#[tokio::test]
async fn run_shows_what_it_would_take_and_asks() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    let shown = run_and_answer(&fixture, "n\n").await;
    assert!(
        shown.contains("1 matched") && shown.contains("refused (891)"),
        "{shown}"
    );
    assert!(
        shown.contains("Replay 1? [y/N]") && shown.contains("Nothing was moved"),
        "{shown}"
    );
    assert_eq!(fixture.count_invoices("dead").await, 1);
    let shown = run_and_answer(&fixture, "y\n").await;
    assert!(shown.contains("1 replayed"), "{shown}");
    assert_eq!(fixture.count_invoices("pending").await, 1);
}
