//! The bare handler: what is left of ingress without verifying, parsing, deduplicating and spooling.
//!
//! It is the code of lapin's and actix's own examples. Each worker thread of the server has one
//! channel in confirm mode. A request reads its body, publishes it with one header, awaits the
//! confirm and answers 200.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use super::listening;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    amqp_url: String,
    #[arg(long)]
    queue: String,
}

struct Publisher {
    channel: Channel,
    queue: String,
}

#[actix_web::main]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&args.amqp_url, properties).await?;
    declare(&connection, &args.queue).await?;

    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut publishers = Vec::new();
    for _ in 0..workers {
        publishers.push(open(&connection, &args.queue).await?);
    }
    let publishers = Arc::new(Mutex::new(publishers));

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        // The server makes one app for each of its threads.
        let publisher = publishers.lock().ok().and_then(|mut all| all.pop());
        let publisher = web::Data::new(publisher.expect("there is a channel for each thread"));
        App::new()
            .app_data(publisher)
            .default_service(web::to(receive))
    });
    let server = server.workers(workers).listen(listener)?.run();
    listening(address);
    server.await.context("the bare handler failed")
}

async fn receive(publisher: web::Data<Publisher>, body: web::Bytes) -> HttpResponse {
    match publisher.publish(&body).await {
        Ok(Confirmation::Ack(_)) => HttpResponse::Ok().json(serde_json::json!({"ResultCode": 0})),
        _ => HttpResponse::ServiceUnavailable().finish(),
    }
}

impl Publisher {
    async fn publish(&self, body: &[u8]) -> lapin::Result<Confirmation> {
        let confirm = self.channel.basic_publish(
            "".into(),
            self.queue.as_str().into(),
            BasicPublishOptions::default(),
            body,
            persistent(),
        );
        confirm.await?.await
    }
}

/// Persistent, with one header.
pub(super) fn persistent() -> BasicProperties {
    let mut headers = FieldTable::default();
    let id = AMQPValue::LongString("01890a5d-ac96-774b-bcce-b302099a8057".into());
    headers.insert("event-id".into(), id);
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_headers(headers)
}

pub(super) async fn declare(connection: &Connection, queue: &str) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let channel = connection.create_channel().await?;
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    channel.close(200, "done".into()).await
}

async fn open(connection: &Connection, queue: &str) -> lapin::Result<Publisher> {
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(Publisher {
        channel,
        queue: queue.to_owned(),
    })
}
