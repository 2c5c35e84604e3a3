//! What Risiti is measured against: the plain program that somebody would write for the one thing
//! that is measured. Each runs as a process of its own.

mod handler;

use clap::Subcommand;
use risiti_testkit::Process;

use crate::ground::Ground;
use crate::load::Target;

#[derive(Subcommand)]
pub(crate) enum Yardstick {
    /// An HTTP handler that publishes each body to a quorum queue and waits for the confirm
    Handler(handler::Args),
}

pub(crate) fn run(yardstick: Yardstick) -> anyhow::Result<()> {
    match yardstick {
        Yardstick::Handler(args) => handler::run(args),
    }
}

/// Tells the measurement where this yardstick listens.
fn listening(address: std::net::SocketAddr) {
    println!("listening on {address}");
}

/// A yardstick that serves HTTP.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) target: Target,
    pub(crate) queue: Option<String>,
}

pub(crate) async fn start_handler(ground: &Ground) -> anyhow::Result<Server> {
    let queue = format!("yardstick-{}", ground.count());
    let mut process = ground
        .program("risiti-bench")?
        .args(["yardstick", "handler", "--queue", &queue])
        .env("AMQP_URL", ground.servers.amqp_url())
        .start();
    let address = process.address_after("listening on ").await;
    let path = "/webhooks/daraja/00000000000000000000000000000000/stk".to_owned();
    Ok(Server {
        process,
        target: Target { address, path },
        queue: Some(queue),
    })
}
