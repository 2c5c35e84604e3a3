//! Everything that can happen to a lane. Each step of ours names its rule and the code that takes
//! it. A test checks that both still exist.

/// One thing that happens. `w` is a worker, `i` an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A sale is paid and owes an invoice. C2, C8: `crates/ledger/src/recording/owing.rs`
    /// `insert_sales`
    Owe(u8),
    /// The money of a sale goes back, which makes a credit note. It starts as discarded if its sale
    /// is discarded. C9: `crates/ledger/src/recording/credit_notes.rs` `issue`
    Credit(u8),
    /// The money comes back before the credit note was sent.
    /// C9: `crates/ledger/src/recording/credit_notes.rs` `withdraw`
    Withdraw(u8),

    /// A worker takes the lane. Nobody had it, or its lease has run out.
    /// D1, D3: `crates/ledger/src/lanes/leases.rs` `claim_lane`
    Claim(u8),
    /// The worker releases the lane, after a turn or when nothing is left.
    /// D4: `crates/ledger/src/lanes/leases.rs` `release_lane`
    Release(u8),
    /// The worker reads the next invoice and decides what to do with it.
    /// D2, D6, D8: `crates/ledger/src/lanes/work.rs` `lane_work`, `following_invoice`,
    /// `crates/etims-worker/src/decide.rs` `step`
    Decide(u8),
    /// The worker reads that a late look-up is due.
    /// D10: `crates/ledger/src/lanes/work.rs` `late_look_up`
    DecideLate(u8, u8),
    /// The invoice takes the number, and the bytes are stored. From now on they may reach KRA.
    /// D6: `crates/ledger/src/lanes/submissions.rs` `begin_send`, `accepted_and_begin_next`
    BeginSend(u8),
    /// KRA takes the request, or finds its number taken, and the worker hears of it.
    /// D7: `crates/etims-worker/src/filing.rs` `send`
    Arrive(u8),
    /// Fault: KRA refuses the request. The cause is gone when the request comes the next time.
    /// D7, D10: `crates/etims-worker/src/decide/after_send.rs` `after_send`
    Refuse(u8),
    /// Fault: the worker hears nothing. Its request may have arrived, may arrive later, or never.
    /// D7: `crates/etims-worker/src/decide/after_send.rs` `after_send`
    GiveUp(u8),
    /// Fault: as `GiveUp`, but a server in between answers with a refusal.
    /// D10: `crates/etims-worker/src/decide/after_send.rs` `after_send`
    RefuseVaguely(u8),
    /// Fault: the request never left.
    /// D7: `crates/etims-worker/src/decide/after_send.rs` `after_send`
    NotSent(u8),
    /// The worker writes the outcome of the send.
    /// D6, D7, D9, D10: `crates/etims-worker/src/filing.rs` `record_send`,
    /// `crates/ledger/src/lanes/submissions.rs` `send_answered`, `invoice_accepted`
    WriteAnswer(u8),
    /// The worker asks KRA for a number. D8: `crates/etims-worker/src/filing.rs` `look_up`
    LookUp(u8),
    /// The worker writes what the look-up found. A found sale goes to the invoice it names. If the
    /// sale is absent, the stored facts decide: the same bytes again, a wait, or a dead letter. D8,
    /// D9, D10: `crates/etims-worker/src/decide/after_look_up.rs` `after_look_up`,
    /// `crates/ledger/src/lanes/adoption.rs` `adopt`, `crates/ledger/src/lanes/settle.rs`
    /// `looked_up_absent`
    WriteLookUp(u8),
    /// The sale is absent, and the invoice failed often enough without proof.
    /// D12: `crates/ledger/src/lanes/settle.rs` `defer_invoice`
    Defer(u8),
    /// The sale is absent, and the invoice failed often enough while the host took others.
    /// D12: `crates/etims-worker/src/decide/after_look_up.rs` `absent`
    Exhaust(u8),
    /// The worker publishes the message of a dead letter.
    /// E1: `crates/etims-worker/src/dead_letter.rs` `dead_letter`
    PublishDeadLetter(u8),
    /// The invoice is written as dead and gives its number back.
    /// D10, E1: `crates/ledger/src/lanes/settle.rs` `invoice_dead`
    WriteDeadLetter(u8),
    /// The worker asks KRA for a number that its invoice has given back.
    /// D10, E4: `crates/etims-worker/src/late_look_up.rs` `late_look_up`
    LookUpLate(u8),
    /// The worker writes what the late look-up found: adopted, discarded, or due again.
    /// D10, E4: `crates/etims-worker/src/late_look_up.rs` `late_look_up`,
    /// `crates/ledger/src/lanes/late_look_ups.rs` `late_look_up_absent`
    WriteLookUpLate(u8),

    /// Fault: a worker dies, wherever it stands. One that freezes takes no step for a while.
    Crash(u8),

    /// The world: a request arrives after its worker gave up on it.
    ArriveLate(u8, u8),
    /// Fault: as `ArriveLate`, and a copy of the request is still under way.
    ArriveTwice(u8, u8),
    /// The world: a request that nobody waits for is lost.
    Drop(u8, u8),
    /// The world: KRA's look-ups begin to show a sale.
    Show(u8),
    /// Fault: our database is restored to a point before the receipt with this number. It has lost
    /// what came after: receipts, sends and claims. D9 finds out what KRA has.
    Restore(u8),
    /// The world: 15 minutes or 24 hours pass. No request outlives the 24 hours, and no look-up
    /// lags as long.
    TimePasses(u8),

    /// A person replays a dead or discarded invoice.
    /// E3, E5: `crates/ledger/src/dead_letters/moves.rs` `replay_invoice`
    Replay(u8),
    /// A person discards a dead invoice. If KRA may have it, the lane asks first.
    /// E4: `crates/ledger/src/dead_letters/moves.rs` `discard_dead_letter`
    Discard(u8),
    /// A person sets an invoice aside that waits, or that holds a number while no worker has the
    /// lane.
    /// D10, E1: `crates/replay/src/set_aside.rs` `set_aside`,
    /// `crates/ledger/src/lanes/set_aside.rs` `set_invoice_aside`
    SetAside(u8),
}
