//! What happened to whom and when: `faults.jsonl`, one object a line, written as it happens.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::programme::{Fault, Victim};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// Nobody could be hit: it was down already.
    Missed {
        fault: Fault,
    },
    Begun {
        fault: Fault,
    },
    Ended {
        fault: Fault,
    },
    /// A process is gone, whoever did it.
    Gone {
        who: Victim,
        how: Exit,
    },
    /// It runs again.
    Back {
        who: Victim,
    },
    /// A process was stopped or goes on, whoever did it.
    Stopped {
        who: Victim,
    },
    GoesOn {
        who: Victim,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// By the programme.
    Planned,
    /// By somebody else.
    Killed,
    /// It ended, and nobody had asked it to.
    ByItself,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    #[serde(flatten)]
    pub(crate) event: Event,
}

pub(crate) struct Diary {
    file: Mutex<File>,
    began: Instant,
}

impl Diary {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
            began: Instant::now(),
        })
    }

    pub(crate) fn note(&self, event: Event) {
        match &event {
            Event::Begun { fault } => {
                self.tell(&format!(
                    "{}, for {:.1} s",
                    fault.what,
                    fault.lasts().as_secs_f32()
                ));
            }
            Event::Gone {
                who,
                how: Exit::Killed,
            } => self.tell(&format!("{who} was killed by somebody else")),
            Event::Gone {
                who,
                how: Exit::ByItself,
            } => self.tell(&format!("{who} ENDED BY ITSELF")),
            _ => {}
        }
        let mut line = serde_json::to_vec(&Entry {
            at: Timestamp::now(),
            event,
        })
        .expect("an entry is JSON");
        line.push(b'\n');
        let mut file = self.file.lock().expect("nobody panics while writing");
        if let Err(error) = file.write_all(&line) {
            eprintln!("chaos: failed to write faults.jsonl: {error}");
        }
    }

    /// To whoever watches.
    pub(crate) fn tell(&self, text: &str) {
        eprintln!("{:>5} s  {text}", self.began.elapsed().as_secs());
    }
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::{Program, Server, programme};

    #[test]
    fn is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.jsonl");
        let diary = Diary::create(&path).unwrap();
        let fault = programme(1, 60)[0];
        let events = [
            Event::Begun { fault },
            Event::Gone {
                who: Victim::Program(Program::Ingress1),
                how: Exit::Planned,
            },
            Event::Back {
                who: Victim::Server(Server::Redis),
            },
            Event::Ended { fault },
        ];
        for event in &events {
            diary.note(event.clone());
        }
        let read: Vec<Event> = read(&path)
            .unwrap()
            .into_iter()
            .map(|entry| entry.event)
            .collect();
        assert_eq!(read, events);
    }
}
