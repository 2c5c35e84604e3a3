//! The bare publisher: what the broker confirms when nothing but lapin is in front of it.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::{Channel, Confirmation, Connection, ConnectionProperties};

use super::handler::{declare, persistent};
use super::{Pace, tell};

/// Channels of one connection, as many as the server of the bare handler has threads for.
const CHANNELS: usize = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    amqp_url: String,
    #[arg(long)]
    queue: String,
    /// Publishes that wait for their confirm at once
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    #[arg(long, default_value_t = 430)]
    body_bytes: usize,
}

#[tokio::main]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&args.amqp_url, properties).await?;
    declare(&connection, &args.queue).await?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        channels.push(channel);
    }

    let body = vec![b'x'; args.body_bytes];
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let mut under_way = FuturesUnordered::new();
    let mut confirmed = 0;
    for place in 0..args.in_flight {
        under_way.push(publish(&channels[place % CHANNELS], &args.queue, &body));
    }
    while let Some(outcome) = under_way.next().await {
        let (channel, confirmation) = outcome?;
        confirmed += u64::from(matches!(confirmation, Confirmation::Ack(_)));
        if Instant::now() < end {
            under_way.push(publish(channel, &args.queue, &body));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    drop(under_way);
    channels[0]
        .queue_delete(args.queue.as_str().into(), QueueDeleteOptions::default())
        .await?;
    tell(&Pace {
        count: confirmed,
        seconds,
    })
}

async fn publish<'a>(
    channel: &'a Channel,
    queue: &str,
    body: &[u8],
) -> lapin::Result<(&'a Channel, Confirmation)> {
    let confirm = channel.basic_publish(
        "".into(),
        queue.into(),
        BasicPublishOptions::default(),
        body,
        persistent(),
    );
    Ok((channel, confirm.await?.await?))
}
