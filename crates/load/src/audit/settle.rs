//! Waiting for the work to end.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::views::{Database, Progress};

const GLANCE: Duration = Duration::from_millis(500);
/// Unconfirmed messages may still be on their way after all confirmed ones are there.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) struct Settled {
    pub(crate) done: bool,
    pub(crate) waited: Duration,
    progress: Progress,
    certain: i64,
}

/// Until all that was confirmed is recorded, nothing is open and nothing moves; or the patience is over.
pub(crate) async fn wait(
    database: &Database,
    merchants: &[String],
    certain: usize,
    patience: Duration,
) -> anyhow::Result<Settled> {
    let (began, certain) = (Instant::now(), i64::try_from(certain)?);
    let mut still: Option<(Progress, Instant)> = None;
    let spinner = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    loop {
        let progress = database.progress(merchants).await?;
        let since = match still {
            Some((last, since)) if last == progress => since,
            _ => Instant::now(),
        };
        still = Some((progress, since));
        spinner.set_message(format!(
            "{} events, {} invoices to file",
            progress.events, progress.open_invoices
        ));
        spinner.tick();
        let done = is_done(progress, certain) && since.elapsed() >= QUIET;
        if done || began.elapsed() >= patience {
            spinner.finish_and_clear();
            return Ok(Settled {
                done,
                waited: began.elapsed(),
                progress,
                certain,
            });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn is_done(progress: Progress, certain: i64) -> bool {
    progress.open_invoices == 0 && progress.events >= certain
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
        if events < self.certain {
            write!(f, " of {}", self.certain)?;
        }
        write!(f, ", {open_invoices} invoices to file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_over_when_all_is_recorded_and_nothing_is_open() {
        assert!(is_done(
            Progress {
                events: 5,
                open_invoices: 0
            },
            5
        ));
        assert!(!is_done(
            Progress {
                events: 4,
                open_invoices: 0
            },
            5
        ));
        assert!(!is_done(
            Progress {
                events: 5,
                open_invoices: 1
            },
            5
        ));
    }
}
