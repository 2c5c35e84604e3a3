//! Tables of decisions: what is stored and what KRA answered, and what follows.

mod look_ups;
mod sends;

use std::time::Duration;

use jiff::SignedDuration;
use risiti_domain::{Buyer, DeviceId, InvoiceId, InvoiceKind, PaymentMethod};
use risiti_etims::{FoundSale, HaltReason, LookUpOutcome, Receipt, SendOutcome};
use risiti_ledger::{FailureCount, SendResult};
use uuid::Uuid;

use super::*;

const NOW: &str = "2026-11-23T20:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(minutes: i64) -> Option<Timestamp> {
    now().checked_sub(SignedDuration::from_mins(minutes)).ok()
}

/// A legacy device at a host that answers others, without proof that it accepted another sale.
fn situation() -> Situation {
    Situation {
        dialect: Dialect::Legacy,
        now: now(),
        strikes_max: 5,
        breaker_closed: true,
        fails_for_others: false,
        proof: HostProof {
            took_another: false,
            answers: true,
        },
    }
}

/// The host has accepted another sale since the mark.
fn with_proof() -> Situation {
    Situation {
        proof: HostProof {
            took_another: true,
            answers: true,
        },
        ..situation()
    }
}

fn on_vscu() -> Situation {
    Situation {
        dialect: Dialect::Vscu,
        ..situation()
    }
}

fn invoice(history: History) -> LaneInvoice {
    LaneInvoice {
        id: InvoiceId::from_uuid(Uuid::from_u128(1)),
        device: DeviceId::from_uuid(Uuid::from_u128(2)),
        kind: InvoiceKind::Sale,
        invoice_no: 8,
        holds_number: true,
        total: 116.into(),
        merchant_id: Uuid::from_u128(3),
        payment_id: Uuid::from_u128(4),
        event_id: None,
        trace_id: None,
        original_invoice_no: None,
        payment_number: "SKE1".to_owned(),
        buyer: Buyer::default(),
        phone: None,
        method: PaymentMethod::MobileMoney,
        occurred_at: now(),
        refunded_at: None,
        first_sent_at: Some(now()),
        body: None,
        history,
        lane_failures: 0,
    }
}

/// An invoice whose sends left no history.
fn fresh_invoice() -> LaneInvoice {
    invoice(History::default())
}

fn answer() -> Answer {
    Answer {
        code: Some("910".to_owned()),
        message: "no".to_owned(),
        ..Answer::default()
    }
}

fn receipt() -> Receipt {
    Receipt {
        receipt_no: 8,
        total_receipt_no: None,
        signature: None,
        internal_data: None,
        control_unit_id: None,
        issued_at: None,
        buyer_name: None,
        buyer_pin: None,
    }
}

/// Whether the lane halts with a reason that names this command and the device.
fn halts(follow_up: &FollowUp, command: &str) -> bool {
    matches!(follow_up, FollowUp::Halt(halt) | FollowUp::FreeNumberAndHalt(halt)
        if halt.reason.contains(command) && halt.reason.contains(&fresh_invoice().device.to_string()))
}

#[test]
fn the_next_step_depends_on_stored_history_only() {
    let unknown = History {
        unknown_since: ago(1),
        ..History::default()
    };
    let refused = History {
        refused: true,
        ..History::default()
    };
    let both = History {
        refused: true,
        unknown_since: ago(1),
        ..History::default()
    };
    let others_unknown = History {
        others_unknown: true,
        ..History::default()
    };
    let dead_letter = || {
        Step::DeadLetter(GivenUp {
            cause: DeadCause::Refused,
            strikes: 0,
        })
    };
    for (holds_number, history, legacy, vscu) in [
        (false, History::default(), Step::Send, Step::Send),
        (true, History::default(), Step::Send, Step::Send),
        (true, unknown, Step::LookUp, Step::Send),
        (true, refused, dead_letter(), dead_letter()),
        (true, both, Step::LookUp, Step::Send),
        (false, others_unknown.clone(), Step::LookUp, Step::Send),
        (true, others_unknown, Step::Send, Step::Send),
    ] {
        assert_eq!(
            step(Dialect::Legacy, holds_number, &history),
            legacy,
            "{holds_number} {history:?}"
        );
        assert_eq!(
            step(Dialect::Gateway, holds_number, &history),
            legacy,
            "{holds_number} {history:?}"
        );
        assert_eq!(
            step(Dialect::Vscu, holds_number, &history),
            vscu,
            "{holds_number} {history:?}"
        );
    }
}
