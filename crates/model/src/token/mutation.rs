//! Ways to break the protocol. Each must break a law, or the model proves nothing about the rule behind it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The token is published before the commit (against C2).
    TokenBeforeCommit,
    /// A lane's mark stays when its lease is taken (against D3).
    MarkKept,
    /// A lane is let go of, and whoever comes next may see to what is left (against D4).
    ReleaseWithoutToken,
    /// A look for more work, then the release (against D4).
    ReleaseInTwoStatements,
    /// Nobody looks for lanes that have lost their token (against D3).
    NoWakeLoop,
    /// A mark without a token is believed for ever (against D3).
    MarksNeverLapse,
    /// The lease of a dead worker stays (against D1).
    LeasesNeverExpire,
    /// The token of a lane that is leased goes back to the queue (against B4).
    RequeuedWhenLeased,
    /// The wake loop does not look whether a lane has a token (against D3).
    WakesMarkedLanes,
    /// Ledger workers do not look whether a lane has a token (against D3).
    MarksMarkedLanes,
    /// An outcome is written whoever has the lane by now (against D6).
    WriteWithoutClaim,
    /// A claim is known by its lane alone, so that an old one passes for the new (against D1).
    ClaimIdOfTheLane,
}
