//! Everything that can happen to a webhook. `r` is a replica of the ingress, `w` a ledger worker.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The provider sends the webhook, for the first time or again.
    /// A2: `crates/ingress/src/dedup/mod.rs` `once`
    Deliver(usize),
    /// The replica looks for the key. It publishes the message unless the key is there.
    /// A2, A4: `crates/ingress/src/dedup/mod.rs` `make`
    Look(usize),
    /// The broker confirms. A1: `crates/ingress/src/durable/mod.rs` `keep`
    Confirmed(usize),
    /// Fault: the broker has the message, and its confirm is lost.
    /// A1: `crates/ingress/src/durable/mod.rs` `keep`
    StoredUnconfirmed(usize),
    /// Fault: the broker does not have the message, and there is no spool to take it. The answer is
    /// 503, and nobody remembers the key. A2: `crates/ingress/src/durable/mod.rs` `keep`
    Refused(usize),
    /// Fault: the broker cannot confirm, and the spool takes the message.
    /// A1: `crates/ingress/src/durable/mod.rs` `append`
    Spool(usize),
    /// Fault: the broker has the message, its confirm is lost, and the spool takes the message too.
    /// A1: `crates/ingress/src/durable/mod.rs` `append`
    SpoolStored(usize),
    /// Fault: the broker is slow, and the spool has the message too when the confirm comes.
    /// A1: `crates/ingress/src/durable/policy.rs` `first_success`
    ConfirmedBesideSpool(usize),
    /// The replica remembers the key. A2: `crates/ingress/src/dedup/mod.rs` `make`
    Remember(usize),
    /// The replica answers 200. A1: `crates/ingress/src/receive.rs` `keep`
    Answer(usize),
    /// Redis learns of a message that a queue has. A4: `crates/ingress/src/dedup/redis.rs` `remember`
    Mark(usize),
    /// Fault: the mark is lost. A4: `crates/ingress/src/dedup/redis.rs` `remember`
    MarkLost(usize),
    /// The spool's oldest entry is published, confirmed, and removed from the spool.
    /// A1: `crates/ingress/src/spool/drain.rs` `publish_one`, `crates/spool/src/spool.rs` `remove`
    Drain,
    /// Fault: as `Drain`, but the replica dies before it removes the entry. A1
    DrainTwice,
    /// A worker takes a message. C2: `crates/ledger-worker/src/next_batch.rs` `collect`
    Take(usize),
    /// The worker commits event, payment and invoice in one transaction. A known event changes
    /// nothing. C2: `crates/ledger/src/recording/batch.rs` `record_once`
    Commit(usize),
    /// The worker acknowledges after the commit.
    /// C2: `crates/ledger-worker/src/batches.rs` `acknowledge`
    Ack(usize),
    /// Fault: an ingress dies, and what its memory held is lost.
    ReplicaDies(usize),
    /// Fault: a worker dies, and its message is delivered again.
    WorkerDies(usize),
    /// Fault: the key is evicted from the caches, or Redis is gone. A4
    Forget(usize),
}
