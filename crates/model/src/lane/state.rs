//! What is modelled of one lane: its rows, its workers, the network, and KRA.

use super::{CreditNote, Invoice, InvoiceState, Numbers, Phase};

/// Invoices and numbers there is room for. Numbers count from 1.
pub const MAX: usize = 3;
pub const WORKERS: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneModelState {
    pub invoices: [Invoice; MAX],
    /// Pending and submitting invoices, in the order of `position`.
    pub unfiled: Vec<u8>,
    pub next_number: u8,
    /// The worker whose claim `lane_leases` has. A worker that died leaves its claim behind.
    pub claim: Option<u8>,
    pub halted: bool,
    /// Whether credit notes are sent before their sales, as `CreditNoteBeforeSale` has it.
    pub credit_notes_first: bool,
    /// How often a lease may still be taken from a worker that lives.
    pub takeovers: u8,
    /// How often our database may still be restored to an earlier point.
    pub restores: u8,
    pub workers: [Phase; WORKERS],
    /// Requests that nobody waits for any more and that may still arrive, as numbers by invoice.
    pub late_requests: [Numbers; MAX],
    /// The invoices whose sales KRA has under 1, 2, …
    pub accepted: Vec<u8>,
    /// The accepted numbers that KRA's look-ups show.
    pub shown: Numbers,
}

impl LaneModelState {
    pub fn new(takeovers: u8, restores: u8) -> Self {
        Self {
            invoices: [Invoice::not_yet(); MAX],
            unfiled: Vec::new(),
            next_number: 1,
            claim: None,
            halted: false,
            credit_notes_first: false,
            takeovers,
            restores,
            workers: [Phase::Idle; WORKERS],
            late_requests: [Numbers::default(); MAX],
            accepted: Vec::new(),
            shown: Numbers::default(),
        }
    }

    pub fn invoice(&self, id: u8) -> &Invoice {
        &self.invoices[usize::from(id)]
    }

    pub fn invoice_mut(&mut self, id: u8) -> &mut Invoice {
        &mut self.invoices[usize::from(id)]
    }

    pub fn worker(&self, w: u8) -> Phase {
        self.workers[usize::from(w)]
    }

    /// Numbers under which a send of this invoice has no stored answer, also while it is under way.
    pub fn open_sends(&self, id: u8) -> Numbers {
        self.workers
            .iter()
            .fold(self.invoice(id).open_sends, |numbers, phase| match phase {
                Phase::Awaiting(plan) | Phase::Answered(plan, _) if plan.invoice == id => {
                    numbers.with(plan.number)
                }
                _ => numbers,
            })
    }

    /// Whether a request of this invoice may still reach KRA.
    pub fn has_request_under_way(&self, id: u8) -> bool {
        let sending = |phase: &Phase| matches!(phase, Phase::Awaiting(plan) if plan.invoice == id);
        !self.late_requests[usize::from(id)].is_empty() || self.workers.iter().any(sending)
    }

    /// The invoice that holds the number, else the oldest eligible one (protocol D6).
    pub fn next_invoice(&self) -> Option<u8> {
        let holds_number = |id: &&u8| self.invoice(**id).is_submitting();
        let eligible = |id: &&u8| self.is_eligible(**id);
        self.unfiled
            .iter()
            .find(holds_number)
            .or_else(|| self.unfiled.iter().find(eligible))
            .copied()
    }

    /// Whether it is a sale, or a credit note whose sale is filed (protocol D2).
    pub fn is_eligible(&self, id: u8) -> bool {
        let filed = |credit_note: CreditNote| self.invoice(credit_note.sale).is_filed();
        let credit_note = self.invoice(id).credit_note;
        credit_note.is_none_or(|credit_note| self.credit_notes_first || filed(credit_note))
    }

    /// The id of a sale's credit note, if it has one.
    pub fn credit_note_of(&self, sale: u8) -> Option<u8> {
        let of_sale = |credit_note: CreditNote| credit_note.sale == sale;
        (0_u8..)
            .zip(&self.invoices)
            .find(|(_, invoice)| invoice.credit_note.is_some_and(of_sale))
            .map(|(id, _)| id)
    }

    pub fn has_work(&self) -> bool {
        self.next_invoice().is_some() || self.invoices.iter().any(Invoice::has_due_look_up)
    }

    /// The invoice whose sale KRA has under a number.
    pub fn owner(&self, number: u8) -> Option<u8> {
        let at = usize::from(number).checked_sub(1)?;
        self.accepted.get(at).copied()
    }

    /// Whether KRA has a sale whose invoice is in this state.
    pub fn kra_has_invoice(&self, state: InvoiceState) -> bool {
        self.accepted
            .iter()
            .any(|id| self.invoice(*id).state == state)
    }

    pub fn all_shown(&self) -> bool {
        (1..=self.accepted.len()).all(|number| self.shown.has(number as u8))
    }

    /// Somebody takes the claim of a worker that lives and was silent for too long.
    pub(super) fn take_claim_away(&mut self) {
        let lives = |holder: u8| self.worker(holder) != Phase::Idle;
        if self.claim.is_some_and(lives) && self.takeovers < u8::MAX {
            self.takeovers -= 1;
        }
        self.claim = None;
    }

    pub(super) fn remove_unfiled(&mut self, id: u8) {
        self.unfiled.retain(|other| *other != id);
    }

    /// Drops what can make no difference any more, so that equal situations are equal states.
    pub(super) fn normalise(&mut self) {
        let taken = self.accepted.len() as u8;
        for (late, invoice) in self.late_requests.iter_mut().zip(&mut self.invoices) {
            // A late request for a number that is taken is refused, whenever it comes.
            for number in late.iter().filter(|number| *number <= taken) {
                *late = late.without(number);
            }
            if invoice.is_filed() {
                invoice.open_sends = Numbers::default();
                invoice.has_message = false;
            }
        }

        // The lease of a dead worker runs out, and then anybody may take the lane.
        let dead = |holder: u8| self.worker(holder) == Phase::Idle;
        if self.claim.is_some_and(dead) {
            self.claim = None;
        }

        // Workers differ in nothing but where they stand.
        if self.workers[0] < self.workers[1] {
            self.workers.swap(0, 1);
            self.claim = self.claim.map(|holder| 1 - holder);
        }
        if self.workers[0] == self.workers[1] {
            self.claim = self.claim.map(|_| 0);
        }
    }
}
