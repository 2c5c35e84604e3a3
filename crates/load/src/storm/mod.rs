//! The storm: shuffled deliveries, many at a time, over all ingresses.

mod deliveries;
mod delivery;
mod fixed_rate;
mod in_flight;
mod send;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::sync::Semaphore;

use self::deliveries::Deliveries;
use self::delivery::DeliveryContext;
use self::fixed_rate::FixedRate;
use self::in_flight::InFlight;
use self::send::{send_as_answered, send_at_rate};
use crate::cli::StormArgs;
use crate::fleet::{Fleet, Merchant};
use crate::http;
use crate::record::Recorder;

/// Time limit of a request. It is longer than the 3 s in which every webhook is answered.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time within which every ingress knows all merchants.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: StormArgs) -> anyhow::Result<()> {
    let fleet = Fleet::read(&args.fleet)?;
    ensure!(!fleet.merchants.is_empty(), "the fleet has no merchants");
    let recorder = Recorder::create(&args.record)?;

    let mut context = DeliveryContext {
        ingress: args.ingress.clone(),
        client: http::client(GATEWAY_TIMEOUT)?,
        in_flight: Semaphore::new(args.concurrency as usize),
        record: recorder.lines(),
        began: Instant::now(),
    };
    wait_until_known(&context, &fleet).await?;

    let began = Instant::now();
    context.began = began;
    let context = Arc::new(context);
    let mut deliveries = Deliveries::new(&fleet, &args, context.record.clone());
    let mut in_flight = InFlight::new(context.clone(), args.concurrency);
    match FixedRate::from_args(&args) {
        Some(rate) => send_at_rate(&mut deliveries, &mut in_flight, rate).await?,
        None => send_as_answered(&mut deliveries, &mut in_flight, args.payments).await?,
    }

    let sent = in_flight.finish().await;
    let payments = deliveries.generated();
    // The recorder ends once all its senders are gone.
    drop((deliveries, context));
    recorder.finish().await?;
    eprintln!(
        "{sent} webhooks about {payments} payments in {:.1} s",
        began.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Bytes of a body that every ingress refuses with its default limit of 256 KiB.
const TOO_LARGE: usize = 300 * 1024;

/// Waits until every ingress knows every merchant. An ingress answers 404 for a new merchant until
/// it has read the directory again.
async fn wait_until_known(context: &DeliveryContext, fleet: &Fleet) -> anyhow::Result<()> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    for ingress in 0..context.ingress.len() {
        for merchant in &fleet.merchants {
            loop {
                let status = probe(context, ingress, merchant).await?;
                if status == Some(413) {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "the ingress at {} does not know {}: {}",
                    context.ingress[ingress],
                    merchant.slug,
                    status.map_or("no answer".to_owned(), |status| format!(
                        "it answers {status}"
                    )),
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(())
}

/// Sends more than any webhook has to a merchant's address. An address that exists answers 413 and
/// keeps nothing.
async fn probe(
    context: &DeliveryContext,
    ingress: usize,
    merchant: &Merchant,
) -> anyhow::Result<Option<u16>> {
    let path = format!("webhooks/daraja/{}/stk", merchant.webhook_secret);
    let request = context
        .client
        .post(context.ingress[ingress].join(&path)?)
        .header("content-type", "application/json")
        .body(vec![b' '; TOO_LARGE]);
    let answer = request.send().await.ok();
    Ok(answer.map(|answer| answer.status().as_u16()))
}
