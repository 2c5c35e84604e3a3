//! Which of two places makes a webhook durable: the broker's queue or the spool on disk.
//!
//! A webhook is answered as soon as either has it. The usual place gets a head start. The other one
//! is tried beside it when the first is slow, and at once when the first fails. Both store the webhook
//! under one event id, so having it in both makes no second event.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, timeout_at};

use crate::dedup::Failure;

/// How the two places do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressure {
    /// The broker has left a publish unconfirmed for too long, or has too many.
    pub(super) broker_is_slow: bool,
    /// The disk has not answered a commit for too long.
    pub(super) spool_is_slow: bool,
}

/// The order in which the places are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    QueueFirst,
    SpoolFirst,
    BothAtOnce,
}

impl Pressure {
    /// Chooses the order. A broker that is slow must not cost every webhook its head start, and
    /// neither must a disk. With both slow there is no time to lose.
    pub(super) fn order(self) -> Order {
        match (self.broker_is_slow, self.spool_is_slow) {
            (false, _) => Order::QueueFirst,
            (true, false) => Order::SpoolFirst,
            (true, true) => Order::BothAtOnce,
        }
    }
}

/// Waits until one of two attempts succeeds, and returns its value. The second one starts after the
/// head start, or at once when the first fails.
///
/// # Errors
/// Both failed, or neither succeeded by `deadline`. The failure is that of the first attempt, unless
/// only the second one has failed so far.
pub(super) async fn first_success<T>(
    first: impl Future<Output = Result<T, Failure>>,
    second: impl Future<Output = Result<T, Failure>>,
    head_start: Duration,
    deadline: Instant,
) -> Result<T, Failure> {
    let first = pin!(first);
    let delayed_second = async {
        if !head_start.is_zero() {
            sleep(head_start).await;
        }
    };
    let attempts = async {
        let (first_failure, second_started_early) = match select(first, pin!(delayed_second)).await
        {
            Either::Left((Ok(value), _)) => return Ok(value),
            Either::Left((Err(failure), _)) => (Some(failure), None),
            Either::Right(((), first)) => (None, Some(first)),
        };
        let second = pin!(second);
        let Some(first) = second_started_early else {
            return second.await.map_err(|_| first_failure.unwrap_or(TOO_LATE));
        };
        match select(first, second).await {
            Either::Left((Ok(value), _)) | Either::Right((Ok(value), _)) => Ok(value),
            Either::Left((Err(failure), second)) => second.await.map_err(|_| failure),
            Either::Right((Err(_), first)) => first.await,
        }
    };
    timeout_at(deadline, attempts)
        .await
        .unwrap_or(Err(TOO_LATE))
}

/// The failure of attempts that are still open at the deadline.
const TOO_LATE: Failure = "the webhook was not made durable in time";

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    const HEAD_START: Duration = Duration::from_millis(250);
    const DEADLINE: Duration = Duration::from_millis(2_800);
    const SLOW: Duration = Duration::from_millis(900);

    /// What a place does with a webhook.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Place {
        Stores,
        StoresSlowly,
        Hangs,
        Fails,
    }

    impl Place {
        fn attempt(self, name: &'static str) -> BoxFuture<'static, Result<&'static str, Failure>> {
            match self {
                Self::Stores => async move { Ok(name) }.boxed(),
                Self::StoresSlowly => async move {
                    sleep(SLOW).await;
                    Ok(name)
                }
                .boxed(),
                Self::Hangs => pending().boxed(),
                Self::Fails => async move { Err(name) }.boxed(),
            }
        }
    }

    /// What comes of a webhook, and after how long.
    async fn outcome(first: Place, second: Place) -> (Result<&'static str, Failure>, Duration) {
        let began = Instant::now();
        let outcome = first_success(
            first.attempt("first"),
            second.attempt("second"),
            HEAD_START,
            began + DEADLINE,
        );
        (outcome.await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn webhook_is_durable_when_either_place_stores_it() {
        use Place::{Fails, Hangs, Stores, StoresSlowly};
        let zero = Duration::ZERO;
        // A broker confirms, is slow, hangs, or fails at once (down, blocked, nack). A spool stores, is
        // slow, hangs, or fails at once (full, off). Either may be the first.
        for (first, second, expected, after) in [
            (Stores, Stores, Ok("first"), zero),
            (Stores, StoresSlowly, Ok("first"), zero),
            (Stores, Hangs, Ok("first"), zero),
            (Stores, Fails, Ok("first"), zero),
            (StoresSlowly, Stores, Ok("second"), HEAD_START),
            (StoresSlowly, StoresSlowly, Ok("first"), SLOW),
            (StoresSlowly, Hangs, Ok("first"), SLOW),
            (StoresSlowly, Fails, Ok("first"), SLOW),
            (Hangs, Stores, Ok("second"), HEAD_START),
            (Hangs, StoresSlowly, Ok("second"), HEAD_START + SLOW),
            (Hangs, Hangs, Err(TOO_LATE), DEADLINE),
            (Hangs, Fails, Err(TOO_LATE), DEADLINE),
            (Fails, Stores, Ok("second"), zero),
            (Fails, StoresSlowly, Ok("second"), SLOW),
            (Fails, Hangs, Err(TOO_LATE), DEADLINE),
            (Fails, Fails, Err("first"), zero),
        ] {
            let (found, took) = outcome(first, second).await;
            assert_eq!(found, expected, "{first:?}, {second:?}");
            assert!(
                took >= after && took < after + Duration::from_millis(20),
                "{first:?}, {second:?}: {took:?}"
            );
        }
    }

    #[test]
    fn slow_place_is_not_tried_first() {
        let order = |broker_is_slow, spool_is_slow| {
            Pressure {
                broker_is_slow,
                spool_is_slow,
            }
            .order()
        };
        assert_eq!(order(false, false), Order::QueueFirst);
        assert_eq!(order(false, true), Order::QueueFirst);
        assert_eq!(order(true, false), Order::SpoolFirst);
        assert_eq!(order(true, true), Order::BothAtOnce);
    }
}
