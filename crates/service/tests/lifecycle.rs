//! The boot path in a real process.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use risiti_testkit::{Process, Program, eventually, free_port, http_status};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BOUND: Duration = Duration::from_secs(60);
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn program(way: &str) -> Program {
    Program::built("examples/lifecycle")
        .arg(way)
        .env("RISITI_CREDENTIALS_KEY", KEY)
}

async fn body(ops: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(ops).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {ops}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn dropped_lines(metrics: &str) -> u64 {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("risiti_log_lines_dropped_total "));
    let value = value.expect("the metric");
    value.parse().expect("a number")
}

/// A program that has started and was sent SIGTERM.
async fn terminated(way: &str, grace: &str) -> Process {
    let mut process = program(way).env("RISITI_GRACE", grace).start();
    process.address_after("ops listener on ").await;
    process.line_with("starts", BOUND).await;
    process.terminate();
    process
}

#[tokio::test]
async fn first_signal_ends_the_program_with_zero() {
    let mut process = program("obedient").start();
    let ops = process.address_after("ops listener on ").await;
    let ready = async || (http_status(ops, "/readyz").await? == 200).then_some(());
    eventually("readiness", BOUND, ready).await;
    assert_eq!(http_status(ops, "/healthz").await, Some(200));
    let metrics = body(ops, "/metrics").await.unwrap();
    assert!(
        metrics.contains("process_resident_memory_bytes"),
        "{metrics}"
    );
    assert!(metrics.contains("process_open_fds"), "{metrics}");
    assert_eq!(dropped_lines(&metrics), 0, "{metrics}");

    process.terminate();
    assert_eq!(process.exit(BOUND).await.code(), Some(0));
    assert!(
        process
            .log()
            .contains("SIGTERM: shutting down, finishing current work")
    );
}

#[tokio::test]
async fn a_crash_leaves_no_core_file() {
    let mut process = program("obedient").start();
    process.address_after("ops listener on ").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "soft and hard: {core}");
}

/// The pipe takes 64 KiB and then nothing more.
#[tokio::test]
async fn unread_log_pipe_stops_neither_work_nor_the_exit() {
    let ops = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut process = program("talkative")
        .env("RISITI_OPS_LISTEN", ops.to_string())
        .start_with_unread_log();
    let ready = async || (http_status(ops, "/readyz").await? == 200).then_some(());
    eventually("the end of the talk", BOUND, ready).await;
    let metrics = body(ops, "/metrics").await.unwrap();
    assert!(dropped_lines(&metrics) > 0, "{metrics}");

    process.terminate();
    assert_eq!(process.exit(BOUND).await.code(), Some(0));
}

#[tokio::test]
async fn bad_setting_found_late_is_the_last_line() {
    let mut process = program("misconfigured").start();
    assert_eq!(process.exit(BOUND).await.code(), Some(2));
    let log = process.log();
    assert!(log.contains("lifecycle starts"), "{log}");
    let last = log.lines().next_back().unwrap_or_default();
    assert!(last.starts_with("error: RISITI_CREDENTIALS_KEY"), "{log}");
}

#[tokio::test]
async fn work_that_ends_at_the_deadline_exits_with_zero() {
    let mut process = terminated("late", "50ms").await;
    assert_eq!(process.exit(BOUND).await.code(), Some(0));
    assert!(process.log().contains("grace period of 50ms is over"));
}

#[tokio::test]
async fn work_that_outlasts_the_grace_period_exits_with_one() {
    let mut process = terminated("stubborn", "50ms").await;
    assert_eq!(process.exit(BOUND).await.code(), Some(1));
    assert!(
        process
            .log()
            .contains("work did not end within the grace period"),
        "{}",
        process.log()
    );
}

#[tokio::test]
async fn shutdown_is_not_ready_and_a_second_signal_ends_it() {
    let mut process = program("stubborn").env("RISITI_GRACE", "24h").start();
    let ops = process.address_after("ops listener on ").await;
    process.line_with("starts", BOUND).await;
    process.terminate();
    process.line_with("finishing current work", BOUND).await;
    let unready = async || (http_status(ops, "/readyz").await? == 503).then_some(());
    eventually("unreadiness", BOUND, unready).await;
    process.terminate();
    let status = process.exit(BOUND).await;
    assert_eq!((status.code(), status.signal()), (Some(128 + 15), None));
}

#[tokio::test]
async fn result_of_the_program_decides_the_exit_code() {
    for (way, code, said) in [
        ("done", 3, "ended"),
        ("fails", 1, "found no work"),
        (
            "misconfigured",
            2,
            "error: RISITI_CREDENTIALS_KEY: does not fit this database",
        ),
        ("panics", 101, "a defect"),
    ] {
        let mut process = program(way).start();
        assert_eq!(process.exit(BOUND).await.code(), Some(code), "{way}");
        assert!(process.log().contains(said), "{way}: {}", process.log());
    }
}

#[tokio::test]
async fn bad_setting_is_one_line_and_exit_two() {
    for (name, value) in [
        ("RISITI_GRACE", "soon"),
        ("RISITI_LOG_FORMAT", "xml"),
        ("RISITI_OPS_LISTEN", "everywhere"),
        ("RISITI_CREDENTIALS_KEY", "c2hvcnQ="),
        ("RUST_LOG", "risiti=loud"),
    ] {
        let output = program("obedient").env(name, value).output().await;
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(name) && said.lines().count() == 1,
            "{name}: {said}"
        );
        assert!(
            name != "RISITI_CREDENTIALS_KEY" || !said.contains(value),
            "{said}"
        );
    }
}

#[tokio::test]
async fn help_shows_variables_and_defaults_but_no_secret() {
    let output = program("--help").output().await;
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("RISITI_GRACE") && help.contains("20s"),
        "{help}"
    );
    assert!(!help.contains(KEY), "{help}");
}

#[tokio::test]
async fn json_log_is_one_object_a_line_panics_included() {
    let mut process = program("panics").env("RISITI_LOG_FORMAT", "json").start();
    process.exit(BOUND).await;
    let log = process.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let panic = lines
        .iter()
        .find(|line| line["message"] == "panicked: a defect")
        .unwrap();
    assert!(
        panic["location"].as_str().unwrap().contains("lifecycle.rs"),
        "{panic}"
    );
}
