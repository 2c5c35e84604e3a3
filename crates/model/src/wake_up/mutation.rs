//! Ways to break the protocol. Each must break a law, or the model proves nothing about its rule.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The wake-up is published before the commit (against C2).
    WakeUpBeforeCommit,
    /// A claim leaves the lane's mark in place (against D3).
    ClaimKeepsMark,
    /// A worker that releases a lane with work left publishes no wake-up (against D4).
    ReleaseWithoutWakeUp,
    /// One statement looks for more work, and another one releases the lane (against D4).
    ReleaseInTwoStatements,
    /// Nobody looks for lanes that have lost their wake-up (against D3).
    NoWakeLoop,
    /// A mark whose wake-up is lost is believed for ever (against D3).
    MarksNeverLapse,
    /// The lease of a dead worker stays (against D1).
    LeasesNeverExpire,
    /// The wake-up of a lane that is leased goes back to the queue (against B4).
    WakeUpRequeuedWhenLeased,
    /// The wake loop does not check whether a lane has a wake-up (against D3).
    WakeLoopIgnoresMarks,
    /// Ledger workers do not check whether a lane has a wake-up (against D3).
    LedgerWorkerIgnoresMarks,
    /// An outcome is written by a worker that has lost its claim (against D6).
    WriteWithoutClaim,
    /// A claim is known by its lane alone, so that an old claim passes for the new one (against
    /// D1).
    OldClaimAccepted,
}
