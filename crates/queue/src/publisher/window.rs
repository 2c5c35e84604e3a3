//! The publishes of one channel that are sent and not confirmed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, poll};
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::PublishRequest;
use super::load::{ChannelLoad, LoadShare};
use crate::{AmqpError, PublishError, Target};

type Confirm = (u64, lapin::Result<Confirmation>);

/// Publishes in the order in which they were sent.
pub(super) struct Window<'a> {
    load: &'a ChannelLoad,
    next_number: u64,
    sent: BTreeMap<u64, Sent>,
    confirms: FuturesUnordered<BoxFuture<'static, Confirm>>,
}

struct Sent {
    target: Target,
    requested_at: Instant,
    reply: oneshot::Sender<Result<(), PublishError>>,
    share: LoadShare,
}

impl Sent {
    fn answer(self, outcome: Result<(), PublishError>) {
        drop(self.share);
        // The caller may have stopped waiting.
        self.reply.send(outcome).ok();
    }
}

/// Whether the channel can go on after some confirms.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    GoOn,
    /// A message came back, so the confirms of this channel can no longer be told apart.
    Returned,
    /// The channel or its connection failed, with this reply code if the broker gave one.
    Failed(Option<u16>),
}

impl<'a> Window<'a> {
    pub(super) fn new(load: &'a ChannelLoad) -> Self {
        Self {
            load,
            next_number: 0,
            sent: BTreeMap::new(),
            confirms: FuturesUnordered::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Returns when the oldest publish was asked for.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let (_, oldest) = self.sent.first_key_value()?;
        Some(oldest.requested_at)
    }

    /// Sends a publish. Its confirm comes with a later [`confirmed`](Self::confirmed).
    pub(super) async fn start(
        &mut self,
        channel: &Channel,
        exchange: &str,
        request: PublishRequest,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let PublishRequest {
            target,
            properties,
            body,
            requested_at,
            reply,
            share,
        } = request;
        let sent = Sent {
            target,
            requested_at,
            reply,
            share,
        };
        self.sent.insert(number, sent);

        let channel = channel.clone();
        let exchange = exchange.into();
        let mut publish = async move {
            let options = BasicPublishOptions {
                mandatory: true,
                immediate: false,
            };
            let routing_key = target.as_str().into();
            let sent = channel
                .basic_publish(exchange, routing_key, options, &body, properties)
                .await;
            match sent {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        }
        .boxed();
        // lapin numbers the message and queues its frames in the first poll. It waits for the socket
        // after that, which may take as long as the broker does not read. So the first poll keeps the
        // order, and nothing here waits for the socket.
        match poll!(&mut publish) {
            Poll::Pending => self.confirms.push(publish),
            Poll::Ready(confirm) => self.confirms.push(std::future::ready(confirm).boxed()),
        }
        if self.sent.len() == 1 {
            self.load.set_oldest(self.oldest());
        }
    }

    /// Waits for a confirm and takes every other one that is there. Every confirm that lapin resolved
    /// before one of these is among them, or was among earlier ones. It is safe to drop.
    pub(super) async fn confirmed(&mut self) -> Vec<Confirm> {
        let Some(first) = self.confirms.next().await else {
            return std::future::pending().await;
        };
        let mut confirms = vec![first];
        self.take_resolved(&mut confirms);
        confirms
    }

    /// Takes confirms until every future has been polled since it was last woken.
    ///
    /// `FuturesUnordered` may be pending although a future in it is ready: it gives way after some
    /// polls, and while another thread is about to add to its queue. It then wakes its task, which
    /// tells the two apart.
    fn take_resolved(&mut self, confirms: &mut Vec<Confirm>) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            match self.confirms.poll_next_unpin(&mut context) {
                Poll::Ready(Some(next)) => confirms.push(next),
                Poll::Pending if woken.0.swap(false, Ordering::AcqRel) => {}
                Poll::Pending | Poll::Ready(None) => return,
            }
        }
    }

    /// Answers the publishes that these confirms are for.
    ///
    /// lapin gives a returned message to whichever confirm comes next on the channel, and the broker
    /// sends a message back before it confirms it. So a confirm with a return says that some message
    /// of the window came back, and not which one. All of the window counts as returned. That is
    /// enough because the message's own confirm is resolved at the same time or later, and
    /// [`confirmed`](Self::confirmed) gives none of those without all before it.
    pub(super) fn settle(&mut self, confirms: Vec<Confirm>) -> Settled {
        let returned = confirms
            .iter()
            .any(|(_, confirm)| has_returned_message(confirm));
        if returned {
            self.fail_all(|target| PublishError::Returned(target.as_str()));
            return Settled::Returned;
        }

        let mut settled = Settled::GoOn;
        for (number, confirm) in confirms {
            let outcome = match confirm {
                Ok(Confirmation::Ack(_)) => Ok(()),
                Ok(Confirmation::Nack(_)) => Err(PublishError::Nack),
                // The channel is in confirm mode. An answer that confirms nothing must not count.
                Ok(Confirmation::NotRequested) => Err(PublishError::Timeout),
                Err(error) => {
                    let error = AmqpError(error);
                    settled = Settled::Failed(error.code());
                    Err(PublishError::Broker(error))
                }
            };
            self.answer(number, outcome);
        }
        self.load.set_oldest(self.oldest());
        settled
    }

    /// Answers every publish of the window with an error. They may be stored all the same.
    pub(super) fn fail_all(&mut self, error: impl Fn(Target) -> PublishError) {
        for (_, sent) in std::mem::take(&mut self.sent) {
            let error = error(sent.target);
            sent.answer(Err(error));
        }
        self.confirms.clear();
        self.load.set_oldest(None);
    }

    fn answer(&mut self, number: u64, outcome: Result<(), PublishError>) {
        if let Some(sent) = self.sent.remove(&number) {
            sent.answer(outcome);
        }
    }
}

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn has_returned_message(confirm: &lapin::Result<Confirmation>) -> bool {
    matches!(
        confirm,
        Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))
    )
}

#[cfg(test)]
mod tests {
    use futures_util::future::{pending, ready};

    use super::*;
    use crate::publisher::TotalLoad;

    /// Wakes itself once and stays pending, as a future does that is woken while it is polled.
    async fn woken_while_polled() -> Confirm {
        let mut polled = false;
        std::future::poll_fn(|context| {
            if !polled {
                polled = true;
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        })
        .await;
        unreachable!("it is pending for ever")
    }

    #[tokio::test]
    async fn confirms_come_with_all_that_were_resolved_before() {
        let load = TotalLoad::of_broker().channel();
        let mut window = Window::new(&load);
        let acked = |number| ready((number, Ok(Confirmation::Ack(None)))).boxed();
        window.confirms.push(acked(1));
        for _ in 0..3 {
            window.confirms.push(woken_while_polled().boxed());
        }
        window.confirms.push(pending().boxed());
        window.confirms.push(acked(2));

        let confirms = window.confirmed().await;
        let numbers: Vec<u64> = confirms.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(window.confirmed().now_or_never().is_none());
    }
}
