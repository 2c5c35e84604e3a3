//! Waits until the work is done.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::views::{Progress, ReportingDatabase};

const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The work is done once nothing has changed for this long. Unconfirmed messages may still arrive
/// after all confirmed ones are recorded.
const UNCHANGED_FOR: Duration = Duration::from_secs(2);

pub(crate) struct Settled {
    pub(crate) done: bool,
    pub(crate) waited: Duration,
    progress: Progress,
    confirmed: i64,
}

/// Waits until every confirmed message is recorded, no invoice is open and nothing changes. It
/// gives up when the time is over.
pub(crate) async fn wait(
    database: &ReportingDatabase,
    merchants: &[String],
    confirmed: usize,
    time_limit: Duration,
) -> anyhow::Result<Settled> {
    let began = Instant::now();
    let confirmed = i64::try_from(confirmed)?;
    let mut unchanged: Option<(Progress, Instant)> = None;
    let spinner = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    loop {
        let progress = database.progress(merchants).await?;
        let since = match unchanged {
            Some((last, since)) if last == progress => since,
            _ => Instant::now(),
        };
        unchanged = Some((progress, since));

        spinner.set_message(format!(
            "{} events, {} invoices to file",
            progress.events, progress.open_invoices
        ));
        spinner.tick();

        let done = is_done(progress, confirmed) && since.elapsed() >= UNCHANGED_FOR;
        if done || began.elapsed() >= time_limit {
            spinner.finish_and_clear();
            return Ok(Settled {
                done,
                waited: began.elapsed(),
                progress,
                confirmed,
            });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn is_done(progress: Progress, confirmed: i64) -> bool {
    progress.open_invoices == 0 && progress.events >= confirmed
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress {
            events,
            open_invoices,
        } = self.progress;
        write!(
            f,
            "after {:.0} s: {events} events",
            self.waited.as_secs_f32()
        )?;
        if events < self.confirmed {
            write!(f, " of {}", self.confirmed)?;
        }
        write!(f, ", {open_invoices} invoices to file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_when_recorded_and_filed() {
        let progress = |events, open_invoices| Progress {
            events,
            open_invoices,
        };
        assert!(is_done(progress(5, 0), 5));
        assert!(!is_done(progress(4, 0), 5));
        assert!(!is_done(progress(5, 1), 5));
    }
}
