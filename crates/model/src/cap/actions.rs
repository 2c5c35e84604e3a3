//! Everything that can happen to the shares of one host's cap. `w` is an etims-worker.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The world: a worker starts. It holds nothing.
    Start(usize),
    /// Its heartbeat renews the row, if there is one, and reads what the others hold.
    /// D5: `crates/ledger/src/lanes/shares.rs` `renew_shares`
    Renew(usize),
    /// It takes the share that it should have: any that the others leave, as who wants how much
    /// decides. A lower one applies at once.
    /// D5: `crates/etims-worker/src/host.rs` `settle`, `confirm`
    Settle(usize, u8),
    /// The lower share is recorded, at once or at any later time.
    /// D5: `crates/ledger/src/lanes/shares.rs` `lower_shares`
    Lower(usize),
    /// Under the lock of the host, rows that expired are removed and a share is recorded that the
    /// others leave. D5: `crates/ledger/src/lanes/shares.rs` `raise_share`
    Raise(usize, u8),
    /// The worker learns that its share is recorded, and uses it.
    /// D5: `crates/etims-worker/src/heartbeat.rs` `raise_share`, `crates/etims-worker/src/host.rs`
    /// `confirm`
    Raised(usize),
    /// Fault: the answer of a statement is lost, whatever the statement did.
    Lost(usize),
    /// A lane makes a call. D5: `crates/etims-worker/src/host.rs` `admit`,
    /// `crates/etims-worker/src/calls.rs` `may_call`
    Call(usize),
    /// The oldest call of a worker ends. D7: `crates/etims-worker/src/calls.rs` `until_deadline`
    Answer(usize),
    /// The worker ends. What is under way at the end of its grace stays recorded.
    /// D5, D17: `crates/etims-worker/src/heartbeat.rs` `keep`, `crates/ledger/src/lanes/shares.rs`
    /// `leave`
    Leave(usize),
    /// Fault: the worker dies, and KRA goes on with its calls.
    Die(usize),
    /// The world: time passes. A call ends at the latest when its time is over. A worker that does
    /// nothing meanwhile is frozen or cut off.
    Tick,
}
