//! Everything that can happen to wake-ups and leases. `l` is a lane, `r` a ledger worker, `w` a
//! task of an etims-worker with a wake-up in hand, `v` a wake loop.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A worker takes the message of a paid sale, a new one or one that is recorded already.
    /// C2: `crates/ledger-worker/src/next_batch.rs` `collect`
    TakePayment(u8, u8, bool),
    /// The sale's invoice is made. A sale that is recorded and not filed yet asks for a wake-up
    /// again. C2: `crates/ledger/src/recording/batch.rs` `record_once`
    Commit(u8),
    /// The statement that marks the lane has its snapshot. A lane that is leased, waiting, halted
    /// or marked gets no wake-up. D3: `crates/ledger/src/lanes/wake_ups.rs` `mark_wake_ups`
    MarkSnapshot(u8),
    /// The statement has the lane's row, and marks it unless somebody else was quicker.
    /// D3: `crates/ledger/src/lanes/wake_ups.rs` `mark_wake_ups`
    MarkLane(u8),
    /// Somebody else has the row at this moment, and the lane is left to the wake loop.
    /// D3: `crates/ledger/src/lanes/wake_ups.rs` `mark_wake_ups`
    SkipLane(u8),
    /// The lane's wake-up is confirmed. C2, D3: `crates/ledger-worker/src/wake_ups.rs` `publish`
    Publish(u8),
    /// Fault: the wake-up is in the queue, and its confirm is lost.
    /// D3: `crates/ledger-worker/src/wake_ups.rs` `publish`
    PublishUnconfirmed(u8),
    /// Fault: the wake-up is not in the queue. D3: `crates/ledger-worker/src/wake_ups.rs` `publish`
    PublishRefused(u8),
    /// The worker takes its mark back. D3: `crates/ledger/src/lanes/wake_ups.rs` `unmark_wake_ups`
    Unmark(u8),
    /// The worker acknowledges the payment, as its last step.
    /// C2: `crates/ledger-worker/src/batches.rs` `acknowledge`
    AckPayment(u8),
    /// Fault: a ledger worker dies, and its message is delivered again. C2
    CrashLedgerWorker(u8),

    /// A task takes a wake-up. D3: `crates/etims-worker/src/wake_ups.rs` `take`
    TakeWakeUp(u8, u8),
    /// The task claims the lane, or finds it leased, waiting or halted. The wake-up is spent in
    /// either case. D1, D3: `crates/ledger/src/lanes/leases.rs` `claim_lane`
    Claim(u8),
    /// Fault: the database does not answer, and the wake-up is spent all the same.
    /// D3: `crates/etims-worker/src/wake_ups.rs` `take`
    ClaimFails(u8),
    /// The task reads what is next in the lane, if its claim still holds.
    /// D2, D6: `crates/ledger/src/lanes/work.rs` `lane_work`
    Read(u8),
    /// The task writes the outcome, if its claim still holds. That renews the lease.
    /// D6: `crates/ledger/src/lanes/submissions.rs` `invoice_accepted`
    Write(u8),
    /// Fault: there is no outcome, and the lane has to wait.
    /// D14: `crates/ledger/src/lanes/settle.rs` `lane_waits`
    Wait(u8),
    /// Fault: a person has to look. D15: `crates/ledger/src/lanes/settle.rs` `halt_lane`
    Halt(u8),
    /// The lease is renewed, if the claim still holds.
    /// D1: `crates/ledger/src/lanes/leases.rs` `renew_leases`
    Renew(u8),
    /// Fault: the worker has trouble of its own, releases the lane and lets it wait.
    /// D4: `crates/ledger/src/lanes/leases.rs` `abandon_lane`
    Abandon(u8),
    /// A turn is over, or nothing is left. The releasing statement has its snapshot. D4:
    /// `crates/etims-worker/src/turn.rs` `work`, `crates/ledger/src/lanes/leases.rs` `release_lane`
    ReleaseSnapshot(u8),
    /// The statement releases the lane, and marks it if its snapshot had more work.
    /// D4: `crates/ledger/src/lanes/leases.rs` `release_lane`
    Release(u8),
    /// Fault: the statement does not reach the database, and the lease stays behind.
    /// D4: `crates/etims-worker/src/wake_ups.rs` `take`
    ReleaseFails(u8),
    /// The wake-up for the rest of the work is confirmed.
    /// D4: `crates/etims-worker/src/waker.rs` `publish_wake_ups`
    PublishRest(u8),
    /// Fault: that wake-up is in the queue, and its confirm is lost.
    /// D4: `crates/etims-worker/src/waker.rs` `publish_wake_ups`
    PublishRestUnconfirmed(u8),
    /// Fault: that wake-up is not in the queue. D4: `crates/etims-worker/src/waker.rs`
    /// `publish_wake_ups`
    PublishRestRefused(u8),
    /// The task takes its mark back. D3: `crates/ledger/src/lanes/wake_ups.rs` `unmark_wake_ups`
    UnmarkRest(u8),
    /// The task acknowledges its wake-up, as its last step.
    /// D4: `crates/etims-worker/src/wake_ups.rs` `take`
    AckWakeUp(u8),
    /// Fault: the acknowledgement is lost, and the wake-up is delivered again.
    /// D3: `crates/etims-worker/src/wake_ups.rs` `take`
    AckWakeUpLost(u8),
    /// Fault: a task dies, wherever it stands. Its wake-up is delivered again, and its lease stays.
    /// A task that freezes takes no step for a while. D4
    CrashTask(u8),

    /// A wake loop's statement has its snapshot of the lanes that are due. D3:
    /// `crates/etims-worker/src/wake_loop.rs` `wake_due_lanes`, `crates/ledger/src/lanes/wake.rs`
    /// `wake_lanes`
    WakeSnapshot(u8),
    /// The statement has the rows, and marks those that nobody else has marked meanwhile.
    /// D3: `crates/ledger/src/lanes/wake.rs` `wake_lanes`
    WakeMark(u8),
    /// Fault: others have the rows at this moment, and they are skipped.
    /// D3: `crates/ledger/src/lanes/wake.rs` `wake_lanes`
    WakeSkip(u8),
    /// One of the wake-ups is confirmed. D3: `crates/etims-worker/src/waker.rs` `publish_wake_ups`
    WakePublish(u8, u8),
    /// Fault: one of them is in the queue, and its confirm is lost.
    /// D3: `crates/etims-worker/src/waker.rs` `publish_wake_ups`
    WakePublishUnconfirmed(u8, u8),
    /// Fault: one of them is not in the queue. D3: `crates/etims-worker/src/waker.rs`
    /// `publish_wake_ups`
    WakePublishRefused(u8, u8),
    /// The wake loop takes back the marks that have no wake-up.
    /// D3: `crates/ledger/src/lanes/wake_ups.rs` `unmark_wake_ups`
    WakeUnmark(u8),
    /// Fault: a wake loop dies, wherever it stands. D3
    CrashWakeLoop(u8),

    /// Fault: a wake-up is gone. The queue dropped its head or was purged, or the broker lost it.
    /// B2
    LoseWakeUp(u8),
    /// The world: a mark becomes 2 s old, and then 10 minutes. D3
    AgeMark(u8),
    /// The world: a lease runs out. Its holder is dead, or frozen or cut off, which is a fault. D1
    ExpireLease(u8),
    /// The world: a lane's back-off is over. D14
    RetryDue(u8),
    /// A person halts a lane. D15: `crates/ledger/src/lanes/halt_by_hand.rs` `halt_lane_by_hand`
    HaltByHand(u8),
    /// A person resumes a lane. D15: `crates/ledger/src/lanes/halt_by_hand.rs` `resume_lane`
    Resume(u8),
}
