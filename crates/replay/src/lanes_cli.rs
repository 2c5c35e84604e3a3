//! The command line of `lanes`.

use clap::{ArgGroup, Args, Subcommand};
use risiti_domain::InvoiceId;
use risiti_ledger::{
    CommandMode, EnteredReceipt, LaneFilter, OnContradiction, Ownership, Resolution,
};
use risiti_service::{AmqpArgs, DatabaseArgs};

use crate::cli::{DRY_RUN_FLAG, YES_FLAG};
use crate::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum LanesCommand {
    /// List lanes: what waits in each, what its last call brought, why it is halted
    ///
    /// NEXT NO is the number that KRA takes next. OLDEST is the age of the oldest invoice that is
    /// out or could be sent. NEXT TRY is when a lane that failed, or its host's breaker, tries
    /// again. LAST ANSWER has KRA's code and words. Below a halted lane stands what it is about, what
    /// KRA has under its number, and what to do first. Below a lane whose number is not settled
    /// stands until when it is looked up.
    #[command(after_help = "Examples:
  risiti-replay lanes list --halted
  risiti-replay lanes list --waiting --host etims-api.kra.go.ke
  risiti-replay lanes list --merchant acme --json")]
    List(LanesListArgs),

    /// Start halted lanes again
    ///
    /// For a halt whose cause is mended: a device blocked at KRA and unblocked, a halt by hand. A
    /// lane goes on where it stopped, and looks up what it does not know before it sends anything,
    /// so nothing is filed twice.
    ///
    /// Takes devices, or all lanes that the filters take. With filters it shows the lanes and asks
    /// first; without a terminal it needs --yes.
    #[command(after_help = "Examples:
  risiti-replay lanes resume 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'KRA unblocked the device'
  risiti-replay lanes resume acme --reason 'KRA unblocked the device'
  risiti-replay lanes resume --reason-like 'credentials refused' --reason 'KRA is back' --dry-run")]
    Resume(LaneResumeArgs),

    /// Stop lanes: nothing more is sent for these devices
    ///
    /// A call that is under way ends first. Payments are still recorded and their invoices wait.
    /// --all stops every lane, as for a tax rate that is wrong.
    ///
    /// Takes devices, or all lanes that the filters take. With filters it shows the lanes and asks
    /// first; without a terminal it needs --yes.
    #[command(after_help = "Examples:
  risiti-replay lanes halt 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'KRA moves the branch tonight'
  risiti-replay lanes halt --all --reason 'wrong tax rate'
  risiti-replay lanes halt --host etims-api-sbx.kra.go.ke --reason 'maintenance' --yes")]
    Halt(LaneHaltArgs),

    /// Say who owns an invoice number that stopped a lane
    ///
    /// Look the number up on KRA's portal first. KRA takes numbers one after the other, so the lane
    /// cannot go on before it is known whose number N is:
    ///
    /// --taken-elsewhere: another program filed a sale under N. The lane goes on with N+1; an
    /// invoice of ours that was sent under N waits again and is filed under a later number.
    ///
    /// --accepted: KRA has our invoice under N and we never got the answer. It gets the receipt you
    /// read off the portal; the lane goes on with N+1. If several invoices were sent under N, the
    /// remark on the portal is the id of the one that KRA has: give it with --invoice.
    ///
    /// --not-accepted: KRA has nothing under N. The invoice gives the number back, and the lane
    /// goes on with N and with a body that is built anew.
    ///
    /// --through N --taken-elsewhere: another program filed all numbers from the lane's next one
    /// through N, as on a branch that filed with another system before. The lane goes on with N+1.
    ///
    /// --dry-run shows what each of them would do, and changes nothing.
    ///
    /// Only the number in question can be settled, and only while the lane is halted. A lane that
    /// still looks its number up can be halted first, with `lanes halt`.
    ///
    /// Only what KRA's portal says makes it right: calling an accepted sale --taken-elsewhere would
    /// file it twice. What contradicts KRA's last word, which `lanes list` shows, is refused without
    /// --force.
    #[command(after_help = "Examples:
  risiti-replay lanes resolve DEVICE --invoice-no 412 --taken-elsewhere --reason 'filed by the old till'
  risiti-replay lanes resolve DEVICE --through 411 --taken-elsewhere --reason 'the old system ends at 411' --dry-run
  risiti-replay lanes resolve DEVICE --invoice-no 412 --accepted --receipt-no 398 --reason 'seen on the portal'")]
    Resolve(LaneResolveArgs),

    /// Make one invoice a dead letter, so that its lane goes on without it
    ///
    /// For an invoice that no answer of KRA ends, whatever the dialect. It gives its number back
    /// and is not filed until somebody replays it; `risiti-replay list --cause set_aside` shows it.
    /// If KRA never answered one of its sends, KRA may have it: then its number is looked up later,
    /// and if KRA has it, it gets its receipt after all. A VSCU cannot be asked, so look at KRA's
    /// portal before it is replayed or its number is used again.
    ///
    /// A halt is not ended: `lanes resume` does that.
    #[command(after_help = "Example:
  risiti-replay lanes set-aside DEVICE --invoice 01890a5d-ac96-774b-bcce-b302099a8057 \\
    --reason 'the VSCU answers 999 for it only'")]
    SetAside(LaneSetAsideArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LanesListArgs {
    /// Only halted lanes, which wait for a person
    #[arg(long, conflicts_with = "waiting")]
    halted: bool,

    /// Only lanes that have work and do not get on: they back off, or their host fails
    #[arg(long)]
    pub(crate) waiting: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

impl LanesListArgs {
    pub(crate) fn filter(&self) -> LaneFilter {
        LaneFilter {
            halted: self.halted,
            ..self.scope.filter()
        }
    }
}

/// Filters that `list`, `halt` and `resume` share.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScopeArgs {
    /// Only this merchant's
    #[arg(long, value_name = "SLUG")]
    merchant: Option<String>,

    /// Only those whose KRA host has this text in it
    #[arg(long, value_parser = value_parsers::short_text, value_name = "HOST")]
    host: Option<String>,

    /// Only those halted for a reason that has this text in it
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    reason_like: Option<String>,
}

impl ScopeArgs {
    fn filter(&self) -> LaneFilter {
        LaneFilter {
            device: None,
            merchant: self.merchant.clone(),
            host: self.host.clone(),
            halted: false,
            reason_like: self.reason_like.clone(),
        }
    }
}

/// Which lanes to halt or resume, and how.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("lanes").required(true).multiple(true)
    .args(["devices", "all", "merchant", "host", "reason_like"]))]
pub(crate) struct LaneSelectionArgs {
    /// Ids of devices as `lanes list` shows them, or slugs of merchants with one device each
    #[arg(value_name = "DEVICE", value_parser = value_parsers::short_text,
        conflicts_with_all = ["all", "merchant", "host", "reason_like"])]
    pub(crate) devices: Vec<String>,

    /// Every lane
    #[arg(long, conflicts_with_all = ["merchant", "host", "reason_like"])]
    all: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Why; kept for whoever asks later
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    pub(crate) reason: String,

    /// Show the lanes and change nothing
    #[arg(long = DRY_RUN_FLAG)]
    pub(crate) dry_run: bool,

    /// Ask nothing
    #[arg(long = YES_FLAG)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

impl LaneSelectionArgs {
    pub(crate) fn filter(&self) -> LaneFilter {
        self.scope.filter()
    }
}

#[derive(Args, Debug)]
pub(crate) struct LaneArgs {
    /// The device's id, as `lanes list` shows it, or the slug of a merchant with one device
    #[arg(value_name = "DEVICE", value_parser = value_parsers::short_text)]
    pub(crate) device: String,

    /// Why; kept for whoever asks later
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LaneHaltArgs {
    #[command(flatten)]
    pub(crate) lanes: LaneSelectionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LaneResumeArgs {
    #[command(flatten)]
    pub(crate) lanes: LaneSelectionArgs,

    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LaneSetAsideArgs {
    #[command(flatten)]
    pub(crate) lane: LaneArgs,

    /// The invoice, as the halt, `show` or `report_invoices` names it
    #[arg(long, value_name = "ID")]
    pub(crate) invoice: InvoiceId,

    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("owner").required(true).args(["taken_elsewhere", "accepted", "not_accepted"]))]
#[command(group = ArgGroup::new("numbers").required(true).args(["invoice_no", "through"]))]
pub(crate) struct LaneResolveArgs {
    #[command(flatten)]
    pub(crate) lane: LaneArgs,

    /// The number in question: the halt names it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    invoice_no: Option<i64>,

    /// All numbers from the lane's next one through this one, at most 100,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), conflicts_with_all = ["accepted", "not_accepted"])]
    through: Option<i64>,

    /// A sale that is none of ours has it
    #[arg(long)]
    taken_elsewhere: bool,

    /// KRA accepted our invoice under it
    #[arg(long, requires = "receipt_no")]
    accepted: bool,

    /// KRA has nothing under it
    #[arg(long)]
    not_accepted: bool,

    /// The invoice that KRA has; needed when several of ours were sent under the number
    #[arg(long, value_name = "ID", requires = "accepted")]
    invoice: Option<InvoiceId>,

    /// KRA's receipt number (curRcptNo), off the portal
    #[arg(long, value_name = "R", requires = "accepted", value_parser = clap::value_parser!(i64).range(1..))]
    receipt_no: Option<i64>,

    /// The receipt's signature
    #[arg(long, value_name = "S", requires = "accepted", value_parser = value_parsers::short_text)]
    signature: Option<String>,

    /// The receipt's internal data
    #[arg(long, value_name = "D", requires = "accepted", value_parser = value_parsers::short_text)]
    internal_data: Option<String>,

    /// Do it although it contradicts what KRA said or showed; kept as forced
    #[arg(long)]
    force: bool,

    /// Show what it would do, and change nothing
    #[arg(long = DRY_RUN_FLAG)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
}

/// The numbers that a person settles.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers {
    One(i64),
    Through(i64),
}

impl LaneResolveArgs {
    pub(crate) fn numbers(&self) -> Numbers {
        match (self.invoice_no, self.through) {
            (None, Some(through)) => Numbers::Through(through),
            // The command line requires one of the two.
            (number, _) => Numbers::One(number.unwrap_or_default()),
        }
    }

    pub(crate) fn mode(&self) -> CommandMode {
        CommandMode::from_dry_run(self.dry_run)
    }

    pub(crate) fn receipt_no(&self) -> Option<i64> {
        self.receipt_no
    }

    /// Whether the receipt that is entered lacks what a printed receipt and its address need.
    pub(crate) fn lacks_signature(&self) -> bool {
        self.accepted && (self.signature.is_none() || self.internal_data.is_none())
    }

    pub(crate) fn on_contradiction(&self) -> OnContradiction {
        if self.force {
            OnContradiction::Force
        } else {
            OnContradiction::Refuse
        }
    }

    pub(crate) fn resolution(&self, invoice_no: i64) -> Resolution {
        Resolution {
            invoice_no,
            ownership: self.ownership(),
            on_contradiction: self.on_contradiction(),
        }
    }

    fn ownership(&self) -> Ownership {
        match self.receipt_no {
            Some(receipt_no) if self.accepted => Ownership::Accepted(EnteredReceipt {
                invoice: self.invoice,
                receipt_no,
                signature: self.signature.clone(),
                internal_data: self.internal_data.clone(),
            }),
            _ if self.taken_elsewhere => Ownership::TakenElsewhere,
            _ => Ownership::NotAccepted,
        }
    }
}
