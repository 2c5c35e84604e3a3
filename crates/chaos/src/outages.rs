//! When a program was dead or frozen, by the diary.

use jiff::{SignedDuration, Timestamp};

use crate::diary::{Entry, Event};
use crate::programme::Victim;

/// The diary notices a little late.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_millis(200);

pub(crate) struct Outages(Vec<(Timestamp, Timestamp)>);

impl Outages {
    pub(crate) fn of(victim: Victim, diary: &[Entry]) -> Self {
        let (mut outages, mut since) = (Vec::new(), None);
        for entry in diary {
            match entry.event {
                Event::Gone { who, .. } | Event::Stopped { who } if who == victim => {
                    since = since.or(entry.at.checked_sub(NOTICED_WITHIN).ok());
                }
                Event::Back { who } | Event::GoesOn { who } if who == victim => {
                    outages.extend(since.take().map(|since| (since, entry.at)));
                }
                _ => {}
            }
        }
        outages.extend(since.map(|since| (since, Timestamp::MAX)));
        Self(outages)
    }

    /// At any moment between these.
    pub(crate) fn touch(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0
            .iter()
            .any(|(began, ended)| *began <= to && from <= *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diary::Exit;
    use crate::programme::Program;

    #[test]
    fn lasts_from_the_first_blow_to_the_return() {
        let (who, other) = (
            Victim::Program(Program::Ingress1),
            Victim::Program(Program::Ingress2),
        );
        let at = |second| Timestamp::from_second(second).unwrap();
        let entry = |second, event| Entry {
            at: at(second),
            event,
        };
        let diary = [
            entry(10, Event::Stopped { who }),
            entry(
                12,
                Event::Gone {
                    who,
                    how: Exit::Killed,
                },
            ),
            entry(13, Event::Back { who: other }),
            entry(14, Event::Back { who }),
            entry(30, Event::Stopped { who }),
        ];
        let outages = Outages::of(who, &diary);
        assert!(!outages.touch(at(1), at(9)) && outages.touch(at(1), at(10)));
        assert!(outages.touch(at(13), at(13)) && outages.touch(at(14), at(20)));
        assert!(!outages.touch(at(15), at(29)) && outages.touch(at(40), at(41)));
        assert!(!Outages::of(other, &diary).touch(at(0), at(99)));
    }
}
