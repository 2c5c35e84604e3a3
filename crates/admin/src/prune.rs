//! `prune`: removes bodies that nothing needs any more.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use risiti_ledger::{BODY_AGE_MIN, BodyAges, BodyCount, BodyTable, PruneWalk};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::INTERRUPTED;
use crate::session::Session;
use crate::values;

/// The shortest pause after a batch. A slower batch is followed by a pause as long as itself, so
/// that a run takes at most half of one connection's time.
const PAUSE_MIN: Duration = Duration::from_millis(20);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// Age in days of webhooks, of requests that KRA did not accept, and of solved dead letters
    /// since they were solved; at least 180d
    #[arg(long, default_value = "400d", value_parser = body_age, value_name = "DAYS")]
    older_than: Duration,

    /// Age in days of requests that KRA accepted, which are tax records; at least 180d
    #[arg(long, default_value = "2200d", value_parser = body_age, value_name = "DAYS")]
    filed_older_than: Duration,

    /// Why, for the table operator_actions
    #[arg(long, value_parser = values::reason, value_name = "TEXT", default_value = "retention")]
    reason: String,

    /// Only count what would be removed
    #[arg(long, required_unless_present = "yes", conflicts_with = "yes")]
    dry_run: bool,

    /// Remove it. Nothing brings a removed body back
    #[arg(long)]
    yes: bool,
}

fn body_age(text: &str) -> Result<Duration, String> {
    const ACCEPTED: &str = "expected a whole number of days, such as 400d";
    let days: u32 = text
        .strip_suffix('d')
        .and_then(|days| days.parse().ok())
        .ok_or(ACCEPTED)?;
    let age = DAY * days;
    if age < BODY_AGE_MIN {
        return Err("no body may be removed before 180d".to_owned());
    }
    if days > 36_500 {
        return Err("too long".to_owned());
    }
    Ok(age)
}

/// Walks through each table with bodies. An interrupt ends it after the batch under way.
pub(crate) async fn run(session: &Session, args: PruneArgs) -> Result<ExitCode> {
    let ages = BodyAges {
        filed: args.filed_older_than,
        others: args.older_than,
    };
    let mut tables = Vec::new();
    let mut total = BodyCount::default();
    if args.dry_run {
        for table in BodyTable::ALL {
            let walk = PruneWalk::counting(table, ages);
            tables.push((table, walk_through(session, walk, &mut total).await?));
        }
    } else {
        let ledger = &session.ledger;
        let begun = ledger
            .begin_prune(&session.operator, &args.reason, &ages)
            .await?;
        for table in BodyTable::ALL {
            let walk = PruneWalk::removing(table, ages);
            let walked = walk_through(session, walk, &mut total).await;
            if walked.is_err() {
                // The error that ended the walk says more than a second one would.
                ledger.end_prune(begun, total.bodies).await.ok();
            }
            tables.push((table, walked?));
        }
        ledger.end_prune(begun, total.bodies).await?;
    }

    let interrupted = session.context.shutdown.is_cancelled();
    print(session, &args, &tables, total, interrupted);
    Ok(if interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Does one batch after the other, until the walk or the program ends.
async fn walk_through(
    session: &Session,
    mut walk: PruneWalk,
    total: &mut BodyCount,
) -> Result<BodyCount> {
    let shutdown = &session.context.shutdown;
    let mut count = BodyCount::default();
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        let Some(batch) = session.ledger.prune_next(&mut walk).await? else {
            break;
        };
        count += batch;
        *total += batch;

        let pause = began.elapsed().max(PAUSE_MIN);
        tokio::time::timeout(pause, shutdown.cancelled()).await.ok();
    }
    Ok(count)
}

fn print(
    session: &Session,
    args: &PruneArgs,
    tables: &[(BodyTable, BodyCount)],
    total: BodyCount,
    interrupted: bool,
) {
    let mut object = json!({
        "dry_run": args.dry_run,
        "interrupted": interrupted,
        "bodies": total.bodies,
        "bytes": total.bytes,
    });
    let mut text = String::from(if args.dry_run {
        "Would be removed:"
    } else {
        "Removed:"
    });
    for (table, count) in tables {
        object[table.as_str()] = counted(*count);
        text += &format!(
            "\n  {:12}  {} bodies, {} bytes",
            table.as_str(),
            count.bodies,
            count.bytes
        );
    }
    if interrupted {
        text += "\nInterrupted. Run it again for the rest.";
    }
    session.out.object(&object, &text);
}

fn counted(count: BodyCount) -> Value {
    json!({ "bodies": count.bodies, "bytes": count.bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_days_and_not_below_the_minimum() {
        assert_eq!(body_age("180d"), Ok(DAY * 180));
        for refused in ["179d", "0d", "4320h", "180", "d", "-1d", "40000d"] {
            assert!(body_age(refused).is_err(), "{refused}");
        }
    }
}
