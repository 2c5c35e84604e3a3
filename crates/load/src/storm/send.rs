//! Sending all deliveries: as fast as the answers come, or at a fixed rate.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::deliveries::Deliveries;
use super::delivery::Delivery;
use super::fixed_rate::FixedRate;
use super::in_flight::InFlight;
use crate::record::{Line, Skipped};

pub(crate) async fn send_as_answered(
    deliveries: &mut Deliveries<'_>,
    in_flight: &mut InFlight,
    payments: u64,
) -> anyhow::Result<()> {
    let progress = progress_bar(payments);
    while let Some(delivery) = deliveries.next().await? {
        in_flight.start_when_room(delivery).await;
        progress.set_position(deliveries.generated());
    }
    progress.finish_and_clear();
    Ok(())
}

/// Sends each request when it is due, whether or not earlier ones were answered. Otherwise a slow
/// answer would delay the requests after it, and hide its own effect.
pub(crate) async fn send_at_rate(
    deliveries: &mut Deliveries<'_>,
    in_flight: &mut InFlight,
    rate: FixedRate,
) -> anyhow::Result<()> {
    for due in rate.due_times() {
        tokio::time::sleep_until((in_flight.context.began + due).into()).await;
        let Some(delivery) = deliveries.next().await? else {
            break;
        };

        if in_flight.has_room() {
            in_flight.start(Delivery {
                due: Some(due),
                ..delivery
            });
        } else {
            let context = &in_flight.context;
            let skipped = Skipped {
                number: delivery.number,
                message: delivery.message,
                copy: delivery.copy,
                at_ms: context.now_ms(),
            };
            context.record.send(Line::Skipped(skipped)).await?;
        }
    }
    Ok(())
}

fn progress_bar(payments: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  storm {wide_bar} {pos}/{len} payments  {elapsed}");
    let bar = ProgressBar::new(payments);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
