//! How old the first message of a queue can be at most, by what one program knows.
//!
//! AMQP does not tell. Taking the message to look at it would count as a delivery. So a program
//! remembers when it saw the queue, and how much it has published and acked since. A queue hands
//! out its messages in order. The first message is younger than a look at the queue in two cases:
//! this program alone has published as many messages since as wait now, or it has acked as many as
//! waited then.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Looks that are remembered. Beyond it every second one is forgotten, so that a look may be
/// half as precise and still reaches as far back.
const LOOKS_MAX: usize = 512;

/// A queue at one moment, with the counts of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    /// Messages that wait to be delivered.
    pub(crate) waiting: u64,
    /// What this program had published when it looked.
    pub(crate) published: u64,
    /// What this program had acked, and the deliveries that it held.
    pub(crate) acked: u64,
    pub(crate) held: u64,
}

impl Look {
    /// Whether no message that waits `now` was there at this look.
    fn is_passed(&self, now: &Look) -> bool {
        let all_came_since = now.published >= self.published + now.waiting;
        let all_went_since = now.acked >= self.acked + self.held + self.waiting;
        all_came_since || all_went_since
    }
}

/// The looks at one queue that may be older than its first message, oldest first.
#[derive(Debug, Default)]
pub(crate) struct OldestMessage(VecDeque<Look>);

impl OldestMessage {
    /// Notes a look and returns the most that the first message can be old. It is zero for an empty
    /// queue. For messages that waited before the first look, it is the time since that look.
    pub(crate) fn note(&mut self, look: Look) -> Duration {
        if look.waiting == 0 {
            self.0.clear();
            self.0.push_back(look);
            return Duration::ZERO;
        }

        let passed = self.0.iter().rposition(|earlier| earlier.is_passed(&look));
        self.0.drain(..passed.unwrap_or(0));
        let since = self.0.front().map_or(look.at, |earlier| earlier.at);
        if self.0.len() >= LOOKS_MAX {
            self.forget_every_second();
        }
        self.0.push_back(look);
        look.at - since
    }

    fn forget_every_second(&mut self) {
        let mut place = 0;
        self.0.retain(|_| {
            place += 1;
            place % 2 == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 5 s at a queue.
    struct Watch {
        start: Instant,
        oldest: OldestMessage,
    }

    impl Watch {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                oldest: OldestMessage::default(),
            }
        }

        fn publisher(&mut self, second: u64, waiting: u64, published: u64) -> u64 {
            self.note(second, waiting, published, 0, 0)
        }

        fn consumer(&mut self, second: u64, waiting: u64, acked: u64, held: u64) -> u64 {
            self.note(second, waiting, 0, acked, held)
        }

        fn note(
            &mut self,
            second: u64,
            waiting: u64,
            published: u64,
            acked: u64,
            held: u64,
        ) -> u64 {
            let at = self.start + Duration::from_secs(second);
            let look = Look {
                at,
                waiting,
                published,
                acked,
                held,
            };
            self.oldest.note(look).as_secs()
        }
    }

    #[test]
    fn age_grows_while_nobody_consumes() {
        let mut watch = Watch::new();
        assert_eq!(watch.publisher(0, 0, 100), 0);
        assert_eq!(watch.publisher(5, 10, 110), 5);
        assert_eq!(watch.publisher(600, 500, 600), 600);
        assert_eq!(watch.publisher(605, 0, 600), 0);
    }

    #[test]
    fn steady_backlog_is_as_old_as_its_first_message() {
        let mut watch = Watch::new();
        // 100 messages a second, 1,000 of which wait: each waits for ten seconds.
        let ages: Vec<u64> = (0..200)
            .map(|look| watch.publisher(look * 5, 1_000, look * 500))
            .collect();
        assert_eq!(ages[199], 10, "{ages:?}");
    }

    #[test]
    fn consumer_knows_the_age_by_its_acks() {
        let mut watch = Watch::new();
        assert_eq!(watch.consumer(0, 1_000, 0, 300), 0);
        assert_eq!(watch.consumer(5, 1_000, 800, 300), 5);
        assert_eq!(watch.consumer(10, 1_000, 1_600, 300), 10);
        assert_eq!(watch.consumer(15, 1_000, 2_400, 300), 10);
        assert_eq!(watch.consumer(20, 1_000, 2_400, 300), 15);
    }

    #[test]
    fn messages_given_back_do_not_look_young() {
        let mut watch = Watch::new();
        watch.consumer(0, 0, 50, 0);
        assert_eq!(watch.consumer(5, 200, 50, 0), 5);
        assert_eq!(watch.consumer(10, 100, 50, 100), 10);
        assert_eq!(watch.consumer(15, 200, 50, 0), 15);
    }

    #[test]
    fn looks_are_bounded_and_still_reach_back() {
        let mut watch = Watch::new();
        watch.publisher(0, 0, 0);
        for look in 1..10_000 {
            watch.publisher(look * 5, look, look);
            assert!(watch.oldest.0.len() <= LOOKS_MAX);
        }
        assert_eq!(watch.publisher(50_000, 10_000, 10_000), 50_000);
    }
}
