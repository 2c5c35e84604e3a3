//! The record of a storm: one JSON object a line, written as it happens.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::noise::Stray;
use crate::story::Expected;

#[derive(Serialize, Deserialize, Debug)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    /// A payment whose messages are about to be sent.
    Payment(Expected),
    /// A request that is no payment.
    Stray(Stray),
    Sent(Sent),
    /// It was due, and as many as may be were in flight.
    Skipped(Skipped),
}

/// A delivery that was never made.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Skipped {
    pub(crate) story: u64,
    pub(crate) message: usize,
    pub(crate) copy: u32,
    pub(crate) at_ms: u64,
}

/// One request and its answer.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) story: u64,
    /// Which of the story's messages.
    pub(crate) message: usize,
    pub(crate) copy: u32,
    /// From 1; more than 1 where the gateway tries again.
    #[serde(rename = "try")]
    pub(crate) attempt: u32,
    /// Which of the addresses it went to.
    pub(crate) to: usize,
    /// None: no answer came, and what became of the request nobody can tell.
    pub(crate) status: Option<u16>,
    /// The answer said that this was known.
    pub(crate) duplicate: bool,
    /// When it left: by the clock on the wall, and since the storm began.
    pub(crate) at: Timestamp,
    pub(crate) at_ms: u64,
    /// When it should have left, for the first try of a storm by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due_ms: Option<u64>,
    /// Until the answer.
    pub(crate) ms: u64,
}

/// Takes lines from many tasks; holds a bounded number of them in memory.
pub(crate) struct Recorder {
    lines: mpsc::Sender<Line>,
    writer: JoinHandle<anyhow::Result<()>>,
}

const LINES_HELD: usize = 1024;

impl Recorder {
    /// Replaces what was there.
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

    /// All lines are in the file when it returns; senders must be gone.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        drop(self.lines);
        self.writer.await.context("the recorder broke down")?
    }
}

/// Calls `take` for each line in turn.
pub(crate) fn read(path: &Path, mut take: impl FnMut(Line)) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = serde_json::from_str(&line?);
        take(
            line.with_context(|| format!("line {} of {} cannot be read", at + 1, path.display()))?,
        );
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sent(story: u64, status: Option<u16>, duplicate: bool) -> Sent {
        Sent {
            story,
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
    fn every_story_can_be_read_again() {
        let fleet = crate::fleet::tests::sample();
        let teller = crate::story::Teller {
            fleet: &fleet,
            seed: 1,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        for number in 0..500 {
            let told = teller.story(number).expected;
            let text = serde_json::to_string(&Line::Payment(told.clone())).unwrap();
            let Line::Payment(read) = serde_json::from_str(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(read, told);
        }
    }

    #[tokio::test]
    async fn lines_come_back_in_order() {
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
