//! The record of a storm. It has one JSON object a line, written as things happen. `risiti-chaos`
//! reads it too, so its keys keep their names when a field here is renamed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::traffic::payment::ExpectedPayment;
use crate::traffic::stray_request::Stray;

#[derive(Serialize, Deserialize, Debug)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    /// A payment whose messages are about to be sent.
    Payment(ExpectedPayment),
    /// A stray request that is about to be sent.
    Stray(Stray),
    Sent(Sent),
    /// The request was due, but too many were in flight.
    Skipped(Skipped),
}

/// A delivery that was never made.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Skipped {
    #[serde(rename = "story")]
    pub(crate) number: u64,
    pub(crate) message: usize,
    pub(crate) copy: u32,
    pub(crate) at_ms: u64,
}

/// One request and its answer.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// The number of the payment or stray request.
    #[serde(rename = "story")]
    pub(crate) number: u64,
    /// The index of the message among those of the payment.
    pub(crate) message: usize,
    pub(crate) copy: u32,
    /// Counts from 1. It is larger where the gateway tried again.
    #[serde(rename = "try")]
    pub(crate) attempt: u32,
    /// The index of the ingress that it was sent to.
    pub(crate) to: usize,
    /// None where no answer came, so that the outcome is unknown.
    pub(crate) status: Option<u16>,
    /// The answer said that the webhook is a duplicate.
    pub(crate) duplicate: bool,
    /// When the request left.
    pub(crate) at: Timestamp,
    /// The same in milliseconds since the storm began.
    pub(crate) at_ms: u64,
    /// When the request should have left. Only the first tries of a storm at a fixed rate have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due_ms: Option<u64>,
    /// How long the answer took.
    pub(crate) ms: u64,
}

/// Writes the lines of many tasks. It holds a bounded number of them in memory.
pub(crate) struct Recorder {
    lines: mpsc::Sender<Line>,
    writer: JoinHandle<anyhow::Result<()>>,
}

const LINES_HELD: usize = 1024;

impl Recorder {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
        let (lines, mut incoming) = mpsc::channel::<Line>(LINES_HELD);
        let writer = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::new(file);
            while let Some(line) = incoming.blocking_recv() {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
            out.flush().context("failed to write the record")
        });
        Ok(Self { lines, writer })
    }

    pub(crate) fn lines(&self) -> mpsc::Sender<Line> {
        self.lines.clone()
    }

    /// Returns once all lines are in the file. All other senders must be dropped before.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        drop(self.lines);
        self.writer.await.context("the recorder panicked")?
    }
}

/// Calls `take` for each line in turn.
pub(crate) fn read(path: &Path, mut take: impl FnMut(Line)) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = serde_json::from_str(&line?);
        let context = || format!("failed to read line {} of {}", at + 1, path.display());
        take(line.with_context(context)?);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fleet::tests::sample;
    use crate::traffic::generator::PaymentGenerator;

    pub(crate) fn sent(number: u64, status: Option<u16>, duplicate: bool) -> Sent {
        Sent {
            number,
            message: 0,
            copy: 1,
            attempt: 1,
            to: 0,
            status,
            duplicate,
            at: Timestamp::UNIX_EPOCH,
            at_ms: 0,
            due_ms: None,
            ms: 4,
        }
    }

    #[test]
    fn every_payment_survives_serialization() {
        let fleet = sample();
        let generator = PaymentGenerator {
            fleet: &fleet,
            seed: 1,
            now: Timestamp::UNIX_EPOCH,
        };
        for number in 0..500 {
            let expected = generator.payment(number).expected;
            let text = serde_json::to_string(&Line::Payment(expected.clone())).unwrap();
            let Line::Payment(read) = serde_json::from_str(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(read, expected);
        }
    }

    #[tokio::test]
    async fn lines_are_read_in_the_order_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let lines = recorder.lines();
        for copy in 0..3000 {
            lines
                .send(Line::Sent(Sent {
                    copy,
                    ..sent(7, None, false)
                }))
                .await
                .unwrap();
        }
        drop(lines);
        recorder.finish().await.unwrap();
        let mut copies = 0;
        read(&path, |line| {
            assert!(
                matches!(line, Line::Sent(sent) if sent.copy == copies && sent.status.is_none())
            );
            copies += 1;
        })
        .unwrap();
        assert_eq!(copies, 3000);
    }
}
