//! The fault log, `faults.jsonl`: every fault, exit and restart with its time, one object a line.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::target::Victim;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum LogEvent {
    /// The fault was not injected, because its target was down already.
    Missed {
        fault: Fault,
    },
    Begun {
        fault: Fault,
    },
    Ended {
        fault: Fault,
    },
    /// A process exited, whoever caused it.
    #[serde(rename = "gone")]
    Exited {
        who: Victim,
        #[serde(rename = "how")]
        cause: ExitCause,
    },
    /// A process that had exited runs again.
    #[serde(rename = "back")]
    Restarted {
        who: Victim,
    },
    /// A process was stopped by a signal, whoever sent it.
    Stopped {
        who: Victim,
    },
    /// A stopped process runs again.
    #[serde(rename = "goes-on")]
    Resumed {
        who: Victim,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExitCause {
    /// The fault programme killed it.
    Planned,
    /// Somebody else killed it.
    Killed,
    /// It exited without a signal from anybody.
    ByItself,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct LogEntry {
    pub(crate) at: Timestamp,
    #[serde(flatten)]
    pub(crate) event: LogEvent,
}

pub(crate) struct FaultLog {
    file: Mutex<File>,
    began: Instant,
}

impl FaultLog {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
            began: Instant::now(),
        })
    }

    /// Writes the event to the file, and the notable ones to the terminal.
    pub(crate) fn record(&self, event: LogEvent) {
        match &event {
            LogEvent::Begun { fault } => {
                let seconds = fault.duration().as_secs_f32();
                self.print(&format!("{}, for {seconds:.1} s", fault.kind));
            }
            LogEvent::Exited {
                who,
                cause: ExitCause::Killed,
            } => self.print(&format!("{who} was killed by somebody else")),
            LogEvent::Exited {
                who,
                cause: ExitCause::ByItself,
            } => self.print(&format!("{who} ENDED BY ITSELF")),
            _ => {}
        }

        let mut line = serde_json::to_vec(&LogEntry {
            at: Timestamp::now(),
            event,
        })
        .expect("an entry is JSON");
        line.push(b'\n');

        let mut file = self.file.lock().expect("no thread panics while it writes");
        if let Err(error) = file.write_all(&line) {
            eprintln!("chaos: failed to write faults.jsonl: {error}");
        }
    }

    /// Prints a line on the terminal.
    pub(crate) fn print(&self, text: &str) {
        eprintln!("{:>5} s  {text}", self.began.elapsed().as_secs());
    }
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<LogEntry>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::programme;
    use crate::target::{Program, Server};

    #[test]
    fn recorded_events_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.jsonl");
        let log = FaultLog::create(&path).unwrap();
        let fault = programme(1, 60)[0];
        let events = [
            LogEvent::Begun { fault },
            LogEvent::Exited {
                who: Victim::Program(Program::Ingress1),
                cause: ExitCause::Planned,
            },
            LogEvent::Restarted {
                who: Victim::Server(Server::Redis),
            },
            LogEvent::Ended { fault },
        ];

        for event in &events {
            log.record(event.clone());
        }

        let read: Vec<LogEvent> = read(&path)
            .unwrap()
            .into_iter()
            .map(|entry| entry.event)
            .collect();
        assert_eq!(read, events);
    }
}
