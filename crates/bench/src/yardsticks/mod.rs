//! What Risiti is measured against: the plain program that somebody would write for the one thing
//! that is measured. Each runs as a process of its own.

mod echo;
mod fsync;
mod handler;
mod insert;
mod publisher;

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use risiti_testkit::{Process, Program};
use serde::{Deserialize, Serialize};

use crate::ground::Ground;
use crate::load::Target;

#[derive(Subcommand)]
pub(crate) enum Yardstick {
    /// An HTTP handler that publishes each body to a quorum queue and waits for the confirm
    Handler(handler::Args),
    /// An HTTP handler that reads the body and answers
    Echo,
    /// Publishes with confirms, as many as the broker takes
    Publisher(publisher::Args),
    /// The rows of another database, by one multi-row statement for each group of payments
    Insert(insert::Args),
    /// Appends to a file with one fsync for each group
    Fsync(fsync::Args),
}

pub(crate) fn run(yardstick: Yardstick) -> anyhow::Result<()> {
    match yardstick {
        Yardstick::Handler(args) => handler::run(args),
        Yardstick::Echo => echo::run(),
        Yardstick::Publisher(args) => publisher::run(args),
        Yardstick::Insert(args) => insert::run(args),
        Yardstick::Fsync(args) => fsync::run(args),
    }
}

/// How much a yardstick did, and how long it took.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pace {
    count: u64,
    seconds: f64,
}

impl Pace {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// A yardstick that serves HTTP.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) target: Target,
    /// Where it publishes to.
    pub(crate) queue: Option<String>,
}

pub(crate) async fn start_handler(ground: &Ground) -> anyhow::Result<Server> {
    let queue = format!("yardstick-{}", ground.count());
    let program = program(ground, &["handler", "--queue", &queue])?;
    start(program, Some(queue)).await
}

pub(crate) async fn start_echo(ground: &Ground) -> anyhow::Result<Server> {
    start(program(ground, &["echo"])?, None).await
}

/// Runs a yardstick that ends by itself.
pub(crate) async fn pace(ground: &Ground, args: &[&str]) -> anyhow::Result<Pace> {
    let output = program(ground, args)?.output().await;
    ensure!(
        output.status.success(),
        "yardstick {}: {}",
        args[0],
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("yardstick {} printed no pace", args[0]))
}

fn program(ground: &Ground, args: &[&str]) -> anyhow::Result<Program> {
    let program = ground.program("risiti-bench")?.arg("yardstick");
    Ok(program
        .args(args.iter().copied())
        .env("AMQP_URL", ground.servers.amqp_url()))
}

async fn start(program: Program, queue: Option<String>) -> anyhow::Result<Server> {
    let mut process = program.start();
    let address = process.address_after("listening on ").await;
    // As long as ingress's path, so that both read the same bytes.
    let path = format!("/webhooks/daraja/{}/stk", "0".repeat(32));
    Ok(Server {
        process,
        target: Target::new(address, vec![path]),
        queue,
    })
}

/// Tells the measurement where this yardstick listens.
fn listening(address: SocketAddr) {
    println!("listening on {address}");
}

fn tell(pace: &Pace) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(pace)?);
    Ok(())
}
