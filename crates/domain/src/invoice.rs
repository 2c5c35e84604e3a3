//! Tax invoices, their lanes, and the causes of dead letters.

use serde::{Deserialize, Serialize};

use crate::names::named;

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
    /// Why an invoice or a message is a dead letter.
    DeadCause, "dead letter cause", {
        Refused = "refused",
        Unreadable = "unreadable",
        Exhausted = "exhausted",
        Poison = "poison",
        SetAside = "set_aside",
    }
);

named!(
    /// One of KRA's three interfaces. They differ in authentication, paths, envelopes and codes.
    Dialect, "dialect", { Legacy = "legacy", Gateway = "gateway", Vscu = "vscu" }
);

named!(Environment, "environment", { Sandbox = "sandbox", Production = "production" });

named!(
    /// KRA's tax types: A is exempt, B standard rate, C zero-rated, D outside VAT, E reduced rate.
    TaxType, "tax type", { A = "A", B = "B", C = "C", D = "D", E = "E" }
);
