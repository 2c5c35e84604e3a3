//! Everything that can happen to a lane. Each step of ours names the rule it is under and the code that takes
//! it; a test holds both against the repository.

/// One thing that happens. `w` is a worker, `i` an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A sale is paid and owes a receipt. C2, C8: `crates/ledger/src/owing.rs` `insert_sales`
    Owe(u8),
    /// Its money goes back: a credit note, which starts discarded if its sale is. C9: `crates/ledger/src/reversal_rows.rs` `follow`
    Credit(u8),
    /// The money comes back before the credit note was sent. C9: `crates/ledger/src/reversal_rows.rs` `follow`
    Withdraw(u8),

    /// A worker takes the lane: nobody's, or its lease has run out. D1, D3: `crates/ledger/src/lanes.rs` `claim_lane`
    Claim(u8),
    /// Lets go, after a quantum or when nothing is left. D4: `crates/ledger/src/lanes.rs` `release_lane`
    Release(u8),
    /// Reads whose turn it is, and decides. D2, D6, D8: `crates/ledger/src/lane_work.rs` `lane_work`,
    /// `crates/etims-worker/src/decide.rs` `step`
    Work(u8),
    /// Reads that a later look-up is due. D10: `crates/ledger/src/lane_work.rs` `late_look_up`
    WorkLate(u8, u8),
    /// The invoice takes the number, the bytes are stored; from here on they may reach KRA.
    /// D6: `crates/ledger/src/submissions.rs` `begin_send`
    BeginSend(u8),
    /// KRA takes the request, or finds its number taken, and its worker hears of it.
    /// D7: `crates/etims-worker/src/filing.rs` `send`
    Arrive(u8),
    /// Fault: KRA refuses the request; mended when it comes the next time.
    /// D7, D10: `crates/etims-worker/src/decide.rs` `after_send`
    Refuse(u8),
    /// Fault: the worker hears nothing. Its request may have arrived, may arrive later, or never.
    /// D7: `crates/etims-worker/src/decide.rs` `after_send`
    GiveUp(u8),
    /// Fault: as `GiveUp`, but somebody between says no. D10: `crates/etims-worker/src/decide.rs` `after_send`
    SayNo(u8),
    /// Fault: the request never left. D7: `crates/etims-worker/src/decide.rs` `after_send`
    NotSent(u8),
    /// What the send came to is written. D6, D7, D9, D10: `crates/etims-worker/src/filing.rs` `sent`,
    /// `crates/ledger/src/submissions.rs` `send_answered`, `invoice_accepted`
    WriteAnswer(u8),
    /// KRA is asked for a number. D8: `crates/etims-worker/src/filing.rs` `look_up`
    LookUp(u8),
    /// Found: it goes to whoever it names. Absent: the same bytes again, or waiting, or the end, by what is stored.
    /// D8, D9, D10: `crates/etims-worker/src/decide.rs` `after_look_up`,
    /// `crates/ledger/src/adoption.rs` `adopt`, `crates/ledger/src/lane_settle.rs` `looked_up_absent`
    WriteLookUp(u8),
    /// Absent, and it failed often enough without proof.
    /// D12: `crates/ledger/src/lane_settle.rs` `step_aside`
    StepAside(u8),
    /// Absent, and it failed often enough while the host took others.
    /// D12: `crates/etims-worker/src/decide.rs` `absent`
    Exhaust(u8),
    /// Its message goes onto the pile. E1: `crates/etims-worker/src/filing.rs` `bury`
    PublishDeath(u8),
    /// Dead, its number back. D10, E1: `crates/ledger/src/lane_settle.rs` `invoice_dead`
    WriteDeath(u8),
    /// KRA is asked for a number that its invoice has given up.
    /// D10, E4: `crates/etims-worker/src/late.rs` `late_look_up`
    LookUpLate(u8),
    /// What it showed is written: adopted, discarded, or due again.
    /// D10, E4: `crates/etims-worker/src/late.rs` `late_look_up`,
    /// `crates/ledger/src/look_ups.rs` `late_look_up_absent`
    WriteLookUpLate(u8),

    /// Fault: a worker dies, wherever it stands. A worker that freezes is one that takes no step for a while.
    Crash(u8),

    /// The world: a request arrives after its worker gave up on it.
    ArriveLate(u8, u8),
    /// Fault: as `ArriveLate`, and a copy of it is still under way.
    ArriveTwice(u8, u8),
    /// The world: a request that nobody waits for is lost.
    Drop(u8, u8),
    /// The world: KRA's look-ups show a sale that they lagged behind with.
    Show(u8),
    /// The world: 15 minutes or 24 hours pass. No request outlives the 24 hours, and no look-up lags as long.
    Pass(u8),

    /// A person replays a dead or discarded invoice. E3, E5: `crates/ledger/src/dead_letter_moves.rs` `replay_invoice`
    Replay(u8),
    /// A person discards a dead one; where KRA may have it, the lane asks first.
    /// E4: `crates/ledger/src/dead_letter_moves.rs` `discard_dead_letter`
    Discard(u8),
}
