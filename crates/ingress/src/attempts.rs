//! Which sources send requests that are refused as not authentic. The number of sources that are
//! remembered is bounded, whoever sends.
//!
//! This is the space-saving sketch of Metwally, Agrawal and El Abbadi (2005): a source that is not
//! remembered takes the place of the one with the fewest attempts, and inherits their number. So
//! each count is too high by what it inherited, at most, and no frequent source is missed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::connection::Source;

/// Sources remembered.
const SOURCES_MAX: usize = 64;
/// Sources shown in the log.
const SHOWN: usize = 5;
const SHOW_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct FailedAttempts(Mutex<Sketch>);

#[derive(Default)]
struct Sketch {
    entries: Vec<Entry>,
    total: u64,
}

struct Entry {
    source: Source,
    count: u64,
    inherited: u64,
}

impl Sketch {
    fn note(&mut self, source: Source) {
        self.total += 1;
        if let Some(known) = self.entries.iter_mut().find(|entry| entry.source == source) {
            known.count += 1;
            return;
        }
        if self.entries.len() < SOURCES_MAX {
            self.entries.push(Entry {
                source,
                count: 1,
                inherited: 0,
            });
            return;
        }
        if let Some(least) = self.entries.iter_mut().min_by_key(|entry| entry.count) {
            least.source = source;
            least.inherited = least.count;
            least.count += 1;
        }
    }

    /// The sources with the most attempts, and between how many and how many each had.
    fn top(&self) -> Vec<(Source, u64, u64)> {
        let mut top: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry.source, entry.count - entry.inherited, entry.count))
            .collect();
        top.sort_by_key(|(_, at_least, at_most)| std::cmp::Reverse((*at_least, *at_most)));
        top.truncate(SHOWN);
        top
    }
}

impl FailedAttempts {
    pub(crate) fn note(&self, source: Source) {
        let mut sketch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sketch.note(source);
    }

    /// Shows the last minute's attempts in the log, if there were any, and forgets them.
    fn show(&self) {
        let sketch = {
            let mut sketch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *sketch)
        };
        if sketch.total == 0 {
            return;
        }
        let top: Vec<String> = sketch
            .top()
            .into_iter()
            .map(|(source, at_least, at_most)| match at_least == at_most {
                true => format!("{source}: {at_least}"),
                false => format!("{source}: {at_least} to {at_most}"),
            })
            .collect();
        tracing::warn!(
            attempts = sketch.total,
            top = top.join(", "),
            "requests were refused as not authentic in the last minute"
        );
    }

    /// Shows them once a minute. It never ends.
    pub(crate) async fn show_every_minute(&self) {
        loop {
            tokio::time::sleep(SHOW_INTERVAL).await;
            self.show();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn source(number: u32) -> Source {
        IpAddr::from(Ipv4Addr::from(number)).into()
    }

    #[test]
    fn frequent_source_is_found_among_any_number_of_others() {
        let mut sketch = Sketch::default();
        for number in 0..10_000 {
            sketch.note(source(number));
            if number.is_multiple_of(20) {
                sketch.note(source(1_000_000));
            }
        }
        assert_eq!(sketch.entries.len(), SOURCES_MAX);
        assert_eq!(sketch.total, 10_500);
        let frequent = sketch
            .entries
            .iter()
            .find(|entry| entry.source == source(1_000_000))
            .unwrap();
        assert!(frequent.count >= 500);
        assert_eq!(sketch.top().len(), SHOWN);
    }

    #[test]
    fn few_sources_are_counted_exactly() {
        let mut sketch = Sketch::default();
        for number in [1, 2, 2, 3, 2, 3] {
            sketch.note(source(number));
        }
        let top = sketch.top();
        assert_eq!(
            top,
            [(source(2), 3, 3), (source(3), 2, 2), (source(1), 1, 1)]
        );
    }
}
