//! Tax invoices, the lanes they travel in, and why one may end as a dead letter.

use crate::provider::named;
use serde::{Deserialize, Serialize};

named!(InvoiceKind, "invoice kind", { Sale = "sale", CreditNote = "credit_note" });

named!(InvoiceState, "invoice state", {
    Pending = "pending",
    Submitting = "submitting",
    Success = "success",
    Dead = "dead",
    Discarded = "discarded",
});

named!(LaneState, "lane state", { Idle = "idle", Busy = "busy", Waiting = "waiting", Halted = "halted" });

named!(
    /// What set a dead letter aside.
    DeadCause, "dead letter cause", {
        Refused = "refused",
        Unreadable = "unreadable",
        Exhausted = "exhausted",
        Poison = "poison",
    }
);

named!(
    /// Which of KRA's three fronts a device talks to: auth, paths, envelope and codes differ.
    Dialect, "dialect", { Legacy = "legacy", Gateway = "gateway", Vscu = "vscu" }
);

named!(Environment, "environment", { Sandbox = "sandbox", Production = "production" });

named!(
    /// KRA's tax types: A exempt, B standard rate, C zero-rated, D outside VAT, E reduced rate.
    TaxType, "tax type", { A = "A", B = "B", C = "C", D = "D", E = "E" }
);
