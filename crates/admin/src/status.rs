//! `status`: whether money flows, in one look.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use risiti_ledger::{LedgerError, StatusSection};
use risiti_queue::{Broker, Target};
use risiti_service::{AmqpArgs, BadSetting};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::session::Session;
use crate::spools;
use crate::status_attention::attention;
use crate::status_text::text;
use crate::values;

/// How long it waits for the broker. A person waits too, so that a longer outage is reported.
const BROKER_WAIT_MAX: Duration = Duration::from_secs(5);

/// What is only on the machines of ingress, and where a person finds it.
const NOT_VISIBLE: [&str; 2] = [
    "webhooks in the spools of ingress: give --ops for each ingress, or look at `risiti_spool_entries` at its /metrics",
    "webhooks that ingress refuses: give --ops for each ingress, or look at `risiti_webhooks_total` at its /metrics",
];

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// RabbitMQ, as amqp://user:password@host:port/vhost. Without it the queues are not looked at
    #[arg(
        long,
        env = "AMQP_URL",
        hide_env_values = true,
        value_parser = values::secret,
        value_name = "URL"
    )]
    amqp_url: Option<SecretString>,

    /// Prefix of every exchange and queue
    #[arg(
        long,
        env = "RISITI_NAMESPACE",
        default_value = "risiti",
        value_name = "NAME"
    )]
    namespace: String,

    /// Private listener of an ingress (its RISITI_OPS_LISTEN), as http://host:port. Shows its spool.
    /// Give that of every ingress: several times, or in the variable with commas between them
    #[arg(
        long = "ops",
        env = "RISITI_OPS_URLS",
        value_delimiter = ',',
        value_parser = values::ops_url,
        value_name = "URL"
    )]
    ops: Vec<Url>,
}

pub(crate) async fn run(session: &Session, args: &StatusArgs) -> Result<()> {
    let mut status = Map::new();
    let mut unread = Vec::new();
    for section in StatusSection::ALL {
        let name = section.as_str();
        match session.ledger.status_section(section).await {
            Ok(found) => {
                status.insert(name.to_owned(), found);
            }
            Err(error) => unread.push(json!({ "what": name, "why": error.to_string() })),
        }
    }
    if let Err(error) = add_lane_advice(session, &mut status).await {
        unread.push(json!({ "what": "what halted lanes are about", "why": error.to_string() }));
    }
    match &args.amqp_url {
        Some(url) => match queues(url, &args.namespace).await? {
            Ok(queues) => {
                status.insert("queues".to_owned(), queues);
            }
            Err(why) => unread.push(json!({ "what": "queues", "why": why })),
        },
        None => unread.push(json!({ "what": "queues", "why": "AMQP_URL is not set" })),
    }
    let spools = spools::look(&args.ops).await;
    let not_visible: &[&str] = if args.ops.is_empty() {
        &NOT_VISIBLE
    } else {
        &[]
    };
    status.insert("spools".to_owned(), Value::Array(spools));
    status.insert("not_read".to_owned(), Value::Array(unread));
    status.insert("not_visible".to_owned(), json!(not_visible));

    let mut status = Value::Object(status);
    add_ages(&mut status);
    status["attention"] = attention(&status);
    session.out.object(&status, &text(&status));
    Ok(())
}

/// Adds to the halted lanes what KRA has under their numbers, and what to do first.
async fn add_lane_advice(
    session: &Session,
    status: &mut Map<String, Value>,
) -> Result<(), LedgerError> {
    let halted = status
        .get_mut("lanes")
        .and_then(|lanes| lanes["halted"].as_array_mut());
    for lane in halted.into_iter().flatten() {
        let Some(device) = lane["device_id"].as_str().and_then(|id| id.parse().ok()) else {
            continue;
        };
        if let Some(known) = session.ledger.lane_status(device).await? {
            lane["evidence"] = json!(known.evidence);
            lane["first_action"] = json!(known.first_action);
        }
    }
    Ok(())
}

/// Adds the most that the first message of each queue can be old. It is not asked of the broker,
/// because to take a message counts as a delivery. Messages that wait came after the newest webhook
/// that is recorded, and rows stand for the other messages.
fn add_ages(status: &mut Value) {
    for (queue, bound) in [
        ("payments", "/flow/last_webhook_seconds"),
        ("suspects", "/suspects/oldest_seconds"),
        ("lanes", "/lanes/oldest_wake_up_seconds"),
        ("dead", "/dead_letters/oldest_seconds"),
    ] {
        let bound = status.pointer(bound).cloned().unwrap_or_default();
        if let Some(figures) = status["queues"].get_mut(queue) {
            let oldest = match figures["waiting"].as_u64() {
                Some(0) => json!(0),
                _ => bound,
            };
            figures["oldest_seconds_at_most"] = oldest;
        }
    }
}

/// Looks at every queue. The inner error says why the broker did not answer.
async fn queues(url: &SecretString, namespace: &str) -> Result<Result<Value, String>> {
    let broker = Broker::connect_without_declaring(url.expose_secret(), namespace, "risiti-admin")
        .map_err(|error| BadSetting::of::<AmqpArgs>(error.argument(), error))?;
    let looking = async {
        broker.wait_up().await;
        let mut queues = Map::new();
        for target in [
            Target::Payments,
            Target::Suspects,
            Target::Lanes,
            Target::Dead,
        ] {
            let depth = broker
                .queue_depth(target)
                .await
                .map_err(|error| error.to_string())?;
            let figures = json!({ "waiting": depth.waiting, "consumers": depth.consumers });
            queues.insert(target.as_str().to_owned(), figures);
        }
        Ok::<_, String>(Value::Object(queues))
    };
    let looked = tokio::time::timeout(BROKER_WAIT_MAX, looking).await;
    let queues = looked.unwrap_or_else(|_| {
        Err(broker
            .problem()
            .unwrap_or_else(|| "no answer of the broker".to_owned()))
    });
    broker.close().await;
    Ok(queues)
}
