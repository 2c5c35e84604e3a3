//! What a person sees of a long run: a bar on a terminal, else a line from time to time.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::task::AbortOnDropHandle;

use crate::output::Output;

/// How often a line is printed.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// Makes a progress bar. It is hidden when standard error is no terminal.
pub(crate) fn progress_bar(expected: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}, {eta} left");
    ProgressBar::new(expected).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Prints lines where the bar is hidden, until the handle is dropped.
pub(crate) fn tell_progress(bar: &ProgressBar, out: Output) -> Option<AbortOnDropHandle<()>> {
    if !bar.is_hidden() {
        return None;
    }
    let bar = bar.clone();
    let telling = async move {
        loop {
            tokio::time::sleep(PROGRESS_INTERVAL).await;
            let expected = bar.length().unwrap_or_default();
            out.note(&format!("{} of {expected} done …", bar.position()));
        }
    };
    Some(AbortOnDropHandle::new(tokio::spawn(telling)))
}
