//! What is modelled of one lane: its rows, its workers, the network, and KRA.

/// Invoices and numbers there is room for. Numbers count from 1.
pub const MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The sale has not come yet, and never has to.
    NotYet,
    Pending,
    Submitting(u8),
    Success(u8),
    Dead,
    Discarded,
}

/// A row of `invoices`, and what its `submissions` tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invoice {
    pub standing: Standing,
    /// `unknown_since`
    pub unknown: bool,
    /// `hidden_since`
    pub hidden: bool,
    /// `refused_at`
    pub refused: bool,
    /// `discard_wish`
    pub wish: bool,
    pub look_up: Option<LookUp>,
    /// Numbers under which a send, over by now, was never answered.
    pub open: Numbers,
    /// A message on the pile stands for its death.
    pub told: bool,
    /// Set of credit notes only.
    pub note: Option<Note>,
}

/// What there is of a credit note beyond a sale (protocol C9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Note {
    pub sale: u8,
    /// `first_sent_at`
    pub sent: bool,
    /// Discarded because its sale was.
    pub with_sale: bool,
    /// The money came back before it was sent.
    pub withdrawn: bool,
}

/// `look_up_no` and `look_up_due_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookUp {
    pub no: u8,
    pub due: bool,
    /// The one after 24 hours.
    pub last: bool,
}

/// A set of invoice numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers(u8);

impl Numbers {
    pub fn has(self, no: u8) -> bool {
        self.0 & (1 << no) != 0
    }

    #[must_use]
    pub fn with(self, no: u8) -> Self {
        Self(self.0 | 1 << no)
    }

    #[must_use]
    pub fn without(self, no: u8) -> Self {
        Self(self.0 & !(1 << no))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn last(self) -> Option<u8> {
        (0..8).rev().find(|no| self.has(*no))
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |no| self.has(*no))
    }
}

/// What a worker read in `lane_work` and acts on, though it may be old by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    pub invoice: u8,
    pub no: u8,
    pub out: bool,
    pub ever_unknown: bool,
    pub hidden: bool,
    pub refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Late {
    pub invoice: u8,
    pub no: u8,
    pub discard: bool,
}

/// What a send came to, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Ok,
    Refused,
    /// A refusal too vague to act on: it counts as no answer (protocol D10).
    Vague,
    Taken,
    Expected,
    NotSent,
    Unknown,
}

/// Where a worker stands: between any two of these it may freeze or die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    Idle,
    /// It has, or had, the lane.
    Holding,
    Sending(Plan),
    /// The send is written down; its request is on its way or about to be.
    Awaiting(Plan),
    Answered(Plan, Answer),
    Asking(Plan),
    /// Whose sale KRA shows under the number.
    Asked(Plan, Option<u8>),
    Burying(Plan),
    /// The dead letter is on the pile, its row not written yet.
    Told(Plan),
    AskingLate(Late),
    AskedLate(Late, Option<u8>),
}

pub const WORKERS: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub invoices: [Invoice; MAX],
    /// Pending and submitting invoices, oldest `position` first.
    pub line: Vec<u8>,
    pub next_no: u8,
    /// Which worker's claim `lane_leases` holds. One that died leaves it behind.
    pub claim: Option<u8>,
    pub halted: bool,
    /// Of `CreditNoteBeforeSale`.
    pub notes_first: bool,
    /// How often yet a lease may be taken from a worker that lives.
    pub takeovers: u8,
    pub workers: [Phase; WORKERS],
    /// Requests that nobody waits for any more and that may still arrive: numbers by invoice.
    pub late: [Numbers; MAX],
    /// Whose sale KRA has under 1, 2, …
    pub kra: Vec<u8>,
    /// Of these, what its look-ups show.
    pub shown: Numbers,
}

impl State {
    pub fn new(takeovers: u8) -> Self {
        let invoice = Invoice {
            standing: Standing::NotYet,
            unknown: false,
            hidden: false,
            refused: false,
            wish: false,
            look_up: None,
            open: Numbers::default(),
            told: false,
            note: None,
        };
        Self {
            invoices: [invoice; MAX],
            line: Vec::new(),
            next_no: 1,
            claim: None,
            halted: false,
            notes_first: false,
            takeovers,
            workers: [Phase::Idle; WORKERS],
            late: [Numbers::default(); MAX],
            kra: Vec::new(),
            shown: Numbers::default(),
        }
    }

    pub fn invoice(&mut self, id: u8) -> &mut Invoice {
        &mut self.invoices[usize::from(id)]
    }

    /// Numbers under which a send of this invoice has no answer in the books, those under way among them.
    pub fn open(&self, id: u8) -> Numbers {
        self.workers.iter().fold(
            self.invoices[usize::from(id)].open,
            |open, phase| match phase {
                Phase::Awaiting(plan) | Phase::Answered(plan, _) if plan.invoice == id => {
                    open.with(plan.no)
                }
                _ => open,
            },
        )
    }

    /// Whether a request of this invoice may still reach KRA.
    pub fn under_way(&self, id: u8) -> bool {
        let sending = |phase: &Phase| matches!(phase, Phase::Awaiting(plan) if plan.invoice == id);
        !self.late[usize::from(id)].is_empty() || self.workers.iter().any(sending)
    }

    /// The one that is out, else the oldest that waits (protocol D6).
    pub fn turn(&self) -> Option<u8> {
        let out = |id: &&u8| {
            matches!(
                self.invoices[usize::from(**id)].standing,
                Standing::Submitting(_)
            )
        };
        let waits = |id: &&u8| self.eligible(**id);
        self.line
            .iter()
            .find(out)
            .or_else(|| self.line.iter().find(waits))
            .copied()
    }

    /// A sale; or a credit note whose sale is filed (protocol D2).
    pub fn eligible(&self, id: u8) -> bool {
        let sale = |note: Note| self.invoices[usize::from(note.sale)].standing;
        let note = self.invoices[usize::from(id)].note;
        note.is_none_or(|note| self.notes_first || matches!(sale(note), Standing::Success(_)))
    }

    /// The credit note of a sale, if it has one.
    pub fn note_of(&mut self, sale: u8) -> Option<&mut Invoice> {
        self.invoices
            .iter_mut()
            .find(|invoice| invoice.note.is_some_and(|note| note.sale == sale))
    }

    pub fn has_work(&self) -> bool {
        let due = |invoice: &Invoice| invoice.look_up.is_some_and(|look_up| look_up.due);
        self.turn().is_some() || self.invoices.iter().any(due)
    }

    pub fn owner(&self, no: u8) -> Option<u8> {
        self.kra.get(usize::from(no).checked_sub(1)?).copied()
    }

    /// Whether KRA has a sale whose row is like that.
    pub fn kra_has(&self, like: impl Fn(&Invoice) -> bool) -> bool {
        self.kra
            .iter()
            .any(|id| like(&self.invoices[usize::from(*id)]))
    }

    pub fn all_shown(&self) -> bool {
        (1..=self.kra.len()).all(|no| self.shown.has(no as u8))
    }
}
