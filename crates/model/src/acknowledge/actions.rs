//! Everything that can happen to a webhook. `r` is a replica of the ingress, `w` a ledger worker.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The provider sends it, once more perhaps. A2: `crates/ingress/src/dedup/mod.rs` `once`
    Deliver(usize),
    /// The key is looked for; unless it is there, the message is published.
    /// A2, A4: `crates/ingress/src/dedup/mod.rs` `make`
    Look(usize),
    /// The broker confirms. A1: `crates/ingress/src/durable.rs` `keep`
    Confirmed(usize),
    /// Fault: the broker has it, and its confirm is lost. A1: `crates/ingress/src/durable.rs` `keep`
    StoredUnconfirmed(usize),
    /// Fault: the broker does not have it, and there is no spool to take it: 503, remembered by nobody.
    /// A2: `crates/ingress/src/durable.rs` `keep`
    Refused(usize),
    /// Fault: the broker cannot confirm, the spool takes it. A1: `crates/ingress/src/durable.rs` `append`
    Spool(usize),
    /// Fault: the broker has it, its confirm is lost, and the spool takes it too.
    /// A1: `crates/ingress/src/durable.rs` `append`
    SpoolStored(usize),
    /// The key is remembered. A2: `crates/ingress/src/dedup/mod.rs` `make`
    Remember(usize),
    /// 200. A1: `crates/ingress/src/receive.rs` `keep`
    Answer(usize),
    /// The spool's oldest is published, confirmed, and dropped from the spool.
    /// A1: `crates/ingress/src/spool/drain.rs` `publish_one`, `crates/spool/src/spool.rs` `remove`
    Drain,
    /// Fault: as `Drain`, and killed before it was dropped. A1
    DrainTwice,
    /// A message is taken. C2: `crates/ledger-worker/src/batches.rs` `collect`
    Take(usize),
    /// Event, payment and invoice, in one transaction; known ones change nothing.
    /// C2: `crates/ledger/src/record.rs` `record_once`
    Commit(usize),
    /// After the commit. C2: `crates/ledger-worker/src/batches.rs` `acknowledge`
    Ack(usize),
    /// Fault: an ingress dies, with what its memory knew.
    ReplicaDies(usize),
    /// Fault: a worker dies; its message comes again.
    WorkerDies(usize),
    /// Fault: caches are full, or Redis is gone. A4
    Forget(usize),
}
