//! With somebody at a terminal, which `script` plays.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::stage::{BOUND, Stage};

/// What the terminal showed once the answer was typed and the program ended.
async fn typed(stage: &Stage, answer: &str) -> String {
    let program = env!("CARGO_BIN_EXE_risiti-replay");
    let mut script = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("{program} run"),
            "/dev/null",
        ])
        .envs(stage.variables())
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
    let output = tokio::time::timeout(BOUND, script.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    shown
}

#[tokio::test]
async fn a_run_shows_what_it_would_take_and_asks() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    let shown = typed(&stage, "n\n").await;
    assert!(
        shown.contains("1 matched") && shown.contains("refused (891)"),
        "{shown}"
    );
    assert!(
        shown.contains("Replay 1? [y/N]") && shown.contains("Nothing was moved"),
        "{shown}"
    );
    assert_eq!(stage.invoices("dead").await, 1);
    let shown = typed(&stage, "y\n").await;
    assert!(shown.contains("1 replayed"), "{shown}");
    assert_eq!(stage.invoices("pending").await, 1);
}
