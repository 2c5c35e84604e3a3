//! Everything that can happen to tokens and leases. `l` is a lane, `r` a ledger worker, `w` a task of an
//! etims-worker with a token in hand, `v` a wake loop.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A paid sale's message is taken; or one that is recorded already comes again.
    /// C2: `crates/ledger-worker/src/batches.rs` `collect`
    Take(u8, u8, bool),
    /// Its invoice is made; one that was recorded and is not filed yet is told again.
    /// C2: `crates/ledger/src/record.rs` `record_once`
    Commit(u8),
    /// The statement that marks the lane has its snapshot: leased, waiting, halted or marked, it gets no token.
    /// D3: `crates/ledger/src/tokens.rs` `mark_tokens`
    See(u8),
    /// It has the lane's row: marked, unless somebody else was quicker. D3: `crates/ledger/src/tokens.rs` `mark_tokens`
    Mark(u8),
    /// The row is another's at this moment, and the lane left to the wake loop.
    /// D3: `crates/ledger/src/tokens.rs` `mark_tokens`
    Skip(u8),
    /// Its token is confirmed. C2, D3: `crates/ledger-worker/src/tokens.rs` `publish`
    Publish(u8),
    /// Fault: the token is in the queue, its confirm is lost. D3: `crates/ledger-worker/src/tokens.rs` `publish`
    PublishUnconfirmed(u8),
    /// Fault: no token. D3: `crates/ledger-worker/src/tokens.rs` `publish`
    PublishRefused(u8),
    /// The mark is taken back. D3: `crates/ledger/src/tokens.rs` `unmark_tokens`
    Unmark(u8),
    /// Last of all. C2: `crates/ledger-worker/src/batches.rs` `acknowledge`
    AckPayment(u8),
    /// Fault: a ledger worker dies; its message comes again. C2
    CrashRecorder(u8),

    /// A token is taken. D3: `crates/etims-worker/src/tokens.rs` `take`
    TakeToken(u8, u8),
    /// The lane is had, or leased, waiting or halted; either way the token is spent.
    /// D1, D3: `crates/ledger/src/lanes.rs` `claim_lane`
    Claim(u8),
    /// Fault: the database does not answer, and the token is spent all the same.
    /// D3: `crates/etims-worker/src/tokens.rs` `take`
    ClaimFails(u8),
    /// What is next in the lane, if the claim still holds. D2, D6: `crates/ledger/src/lane_work.rs` `lane_work`
    Read(u8),
    /// The outcome is written, if the claim still holds; that renews the lease.
    /// D6: `crates/ledger/src/submissions.rs` `invoice_accepted`
    Write(u8),
    /// Fault: no outcome, the lane is to wait. D14: `crates/ledger/src/lane_settle.rs` `lane_waits`
    Wait(u8),
    /// Fault: a person has to look. D15: `crates/ledger/src/lane_settle.rs` `halt_lane`
    Halt(u8),
    /// The lease is renewed, if the claim still holds. D1: `crates/ledger/src/lanes.rs` `renew_leases`
    Renew(u8),
    /// Fault: trouble of our own, the lane is let go of and waits. D4: `crates/ledger/src/lanes.rs` `abandon_lane`
    Abandon(u8),
    /// A quantum is over, or nothing is left: the releasing statement has its snapshot.
    /// D4: `crates/etims-worker/src/lane.rs` `work`, `crates/ledger/src/lanes.rs` `release_lane`
    Look(u8),
    /// Let go of in one statement, marked if its snapshot had more work. D4: `crates/ledger/src/lanes.rs` `release_lane`
    Release(u8),
    /// Fault: the statement does not reach the database, the lease stays behind.
    /// D4: `crates/etims-worker/src/tokens.rs` `take`
    ReleaseFails(u8),
    /// The token for what is left is confirmed. D4: `crates/etims-worker/src/tokens.rs` `publish`
    PassOn(u8),
    /// Fault: the token is in the queue, its confirm is lost. D4: `crates/etims-worker/src/tokens.rs` `publish`
    PassOnUnconfirmed(u8),
    /// Fault: no token. D4: `crates/etims-worker/src/tokens.rs` `publish`
    PassOnRefused(u8),
    /// The mark is taken back. D3: `crates/ledger/src/tokens.rs` `unmark_tokens`
    TakeBack(u8),
    /// Last of all. D4: `crates/etims-worker/src/tokens.rs` `take`
    Ack(u8),
    /// Fault: the acknowledgement is lost, the token comes again. D3: `crates/etims-worker/src/tokens.rs` `take`
    AckLost(u8),
    /// Fault: a task dies, wherever it stands; its token comes again, its lease stays. One that freezes takes no
    /// step for a while. D4
    Crash(u8),

    /// A wake loop's statement has its snapshot: the lanes that are due.
    /// D3: `crates/etims-worker/src/wake.rs` `once`, `crates/ledger/src/wake.rs` `wake_lanes`
    WakeSee(u8),
    /// It has their rows, and marks those that nobody else marked meanwhile.
    /// D3: `crates/ledger/src/wake.rs` `wake_lanes`
    WakeMark(u8),
    /// Fault: the rows are others' just then, and skipped. D3: `crates/ledger/src/wake.rs` `wake_lanes`
    WakeSkip(u8),
    /// One of its tokens is confirmed. D3: `crates/etims-worker/src/tokens.rs` `publish`
    WakePublish(u8, u8),
    /// Fault: one is in the queue, its confirm is lost. D3: `crates/etims-worker/src/tokens.rs` `publish`
    WakeUnconfirmed(u8, u8),
    /// Fault: one is not. D3: `crates/etims-worker/src/tokens.rs` `publish`
    WakeRefused(u8, u8),
    /// Marks without a token are taken back. D3: `crates/ledger/src/tokens.rs` `unmark_tokens`
    WakeUnmark(u8),
    /// Fault: a wake loop dies, wherever it stands. D3
    WakeCrash(u8),

    /// Fault: a token is gone: the queue dropped its head, or was purged, or its broker lost it. B2
    Lose(u8),
    /// The world: a mark is 2 s old, then 10 minutes. D3
    Age(u8),
    /// The world: a lease runs out: its holder is dead, or frozen or cut off, which is a fault. D1
    Expire(u8),
    /// The world: a lane's back-off is over. D14
    Due(u8),
    /// A person stops a lane. D15: `crates/ledger/src/lane_by_hand.rs` `halt_lane_by_hand`
    HaltByHand(u8),
    /// A person starts it again. D15: `crates/ledger/src/lane_by_hand.rs` `resume_lane`
    Resume(u8),
}
