//! Ways to break the rules of the cap. Each must break the law.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A silent worker's share is given away before its calls must have ended.
    ReclaimAtExpiry,
    /// A worker calls however old its last heartbeat is.
    CallWhenStale,
    /// A lower share is recorded although more calls are under way.
    LowerIgnoresCalls,
    /// A lower share is recorded after a later heartbeat as well.
    LowerLate,
    /// A higher share is recorded by what the last heartbeat read.
    RaiseWithoutLock,
    /// A higher share is used before it is recorded.
    UseBeforeRecorded,
    /// A worker that ends gives back the share of calls that are under way.
    LeaveForgetsCalls,
}
