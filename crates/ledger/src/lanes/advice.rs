//! What a person should know about a lane that does not get on, and the one thing to do first.

use risiti_domain::{Dialect, LaneState};

use crate::lanes::settle::{HIDDEN_MAX, HaltRemedy, UNKNOWN_MAX};
use crate::lanes::status::{HeldInvoice, LaneStatus};

/// The reason that a recommended command gives. A person may write another one.
const ELSEWHERE: &str = "--reason 'filed by another system'";

impl LaneStatus {
    /// Fills in what follows from the other members.
    pub(crate) fn with_advice(mut self) -> Self {
        self.looked_up_until = self.held.as_ref().and_then(until);
        self.progress = self.progress();
        self.evidence = self.evidence();
        self.first_action = self.first_action();
        self
    }

    /// What a lane waits for that holds a number, and until when.
    fn progress(&self) -> Option<String> {
        let held = self.held.as_ref()?;
        let hidden = held.hidden_since.is_some();
        // Every send leaves its number unknown for a moment, which is nobody's concern.
        let waits = match self.lane_state {
            LaneState::Waiting => true,
            LaneState::Busy => hidden,
            LaneState::Idle | LaneState::Halted => false,
        };
        // While the host fails, no time passes for the number (protocol D9).
        let breaker = self.breaker.as_deref();
        if !waits || breaker.is_some_and(|breaker| breaker != "closed") {
            return None;
        }

        let (number, until) = (held.invoice_no?, self.looked_up_until?);
        let problem = match (hidden, self.expected_invoice_no) {
            (true, Some(expected)) => format!("KRA expects {expected}; looking up {number}"),
            (true, None) => format!("KRA says that {number} is taken; looking it up"),
            (false, _) if self.dialect == Dialect::Vscu.as_str() => {
                format!("KRA has not told whether it has {number}; sending it again")
            }
            (false, _) => format!("KRA has not told whether it has {number}; looking it up"),
        };
        Some(format!("{problem} until {until:.0}, then halts"))
    }

    /// What KRA has or expects, where the lane is halted.
    fn evidence(&self) -> Option<String> {
        self.halted_at?;
        match (&self.found, self.expected_invoice_no) {
            (Some(found), _) => Some(found.text()),
            (None, Some(expected)) => Some(format!("KRA expects {expected} next")),
            (None, None) => None,
        }
    }

    /// The one thing to do first.
    fn first_action(&self) -> Option<String> {
        if self.halted_at.is_none() {
            return self.progress.as_ref().map(|_| {
                format!(
                    "risiti-replay lanes halt {} --reason 'to be settled by hand'",
                    self.device_id
                )
            });
        }
        self.after_found()
            .or_else(|| self.after_expected())
            .or_else(|| Some(self.by_remedy()))
    }

    /// What to do where a look-up showed a sale.
    fn after_found(&self) -> Option<String> {
        let found = self.found.as_ref()?;
        let number = found.invoice_no;
        let Some(invoice) = found.invoice_id else {
            return Some(match self.expected_invoice_no {
                Some(expected) if expected > number + 1 => self.settle_through(expected - 1),
                _ => self.resolve(number, &format!("--taken-elsewhere {ELSEWHERE}")),
            });
        };
        let is_held = self.held.as_ref().map(|held| held.invoice_id) == Some(invoice);
        Some(if is_held {
            let accepted = format!(
                "--accepted --invoice {invoice} --receipt-no {} --reason 'KRA has it'",
                found.receipt_no
            );
            self.resolve(number, &accepted)
        } else {
            format!("risiti-admin find {invoice}")
        })
    }

    /// What to do where KRA named the number that it expects.
    fn after_expected(&self) -> Option<String> {
        let (expected, number) = (self.expected_invoice_no?, self.next_invoice_no);
        // No look-up has shown whose the numbers before are. Sales of ours would be filed twice if
        // they were passed as another system's.
        if expected > number {
            let portal = self.at_the_portal();
            return Some(if expected > number + 1 {
                let through = self.settle_through(expected - 1);
                format!("{portal}; only if another system filed all of them: {through}")
            } else {
                portal
            });
        }
        let device = self.device_id;
        Some(match self.held.as_ref().and_then(|held| held.invoice_no) {
            Some(held) => {
                self.resolve(held, "--not-accepted --reason 'KRA expects a lower number'")
            }
            None => format!(
                "risiti-admin device update {device} --next-invoice-no {expected} --reason 'the number KRA expects'"
            ),
        })
    }

    /// What to do where nothing but the command is known that ends the halt (protocol D15).
    fn by_remedy(&self) -> String {
        let device = self.device_id;
        let remedy = self.halt_remedy.as_deref();
        if remedy == Some(HaltRemedy::LanesResolve.as_str()) {
            return self.at_the_portal();
        }
        if remedy == Some(HaltRemedy::DeviceUpdate.as_str()) {
            return format!(
                "compare serial, address and credentials with KRA's portal: risiti-admin device show {device}"
            );
        }
        format!(
            "when its cause is mended: risiti-replay lanes resume {device} --reason 'its cause is mended'"
        )
    }

    fn settle_through(&self, through: i64) -> String {
        format!(
            "risiti-replay lanes resolve {} --through {through} --taken-elsewhere {ELSEWHERE} --dry-run",
            self.device_id
        )
    }

    fn resolve(&self, number: i64, how: &str) -> String {
        format!(
            "risiti-replay lanes resolve {} --invoice-no {number} {how}",
            self.device_id
        )
    }

    /// Only KRA's portal can tell whose the number is.
    fn at_the_portal(&self) -> String {
        let held = self.held.as_ref();
        let number = held
            .and_then(|held| held.invoice_no)
            .unwrap_or(self.next_invoice_no);
        let amount = held.map_or_else(String::new, |held| {
            format!(
                "; if it is there with KES {} and with remark {}",
                held.amount, held.invoice_id
            )
        });
        format!(
            "look number {number} up on KRA's portal for PIN {} branch {}{amount}: {}",
            self.pin,
            self.branch,
            self.resolve(
                number,
                "--accepted --receipt-no R --reason 'seen on the portal'"
            )
        )
    }
}

/// When the lane halts if KRA goes on as it does (protocol D9).
fn until(held: &HeldInvoice) -> Option<jiff::Timestamp> {
    let (since, longest) = match (held.hidden_since, held.unknown_since) {
        (Some(since), _) => (since, HIDDEN_MAX),
        (None, Some(since)) => (since, UNKNOWN_MAX),
        (None, None) => return None,
    };
    since.checked_add(longest).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use risiti_domain::{DeviceId, InvoiceId};
    use uuid::Uuid;

    use super::*;
    use crate::lanes::evidence::FoundAtKra;

    const HELD: u128 = 2;

    fn time(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    /// A lane at number 412, which it has sent.
    fn lane(lane_state: LaneState) -> LaneStatus {
        let halted = lane_state == LaneState::Halted;
        LaneStatus {
            device_id: DeviceId::from_uuid(Uuid::from_u128(1)),
            merchant: "acme".to_owned(),
            environment: "sandbox".to_owned(),
            dialect: "gateway".to_owned(),
            pin: "P051234567X".to_owned(),
            branch: "00".to_owned(),
            serial: "SN1".to_owned(),
            base_url: "http://h/".to_owned(),
            lane_state,
            halt_reason: halted.then(|| "x".to_owned()),
            next_invoice_no: 412,
            pending: 0,
            submitting: 1,
            dead: 0,
            oldest_pending_seconds: None,
            last_outcome: None,
            last_call_at: None,
            retry_at: None,
            host: "http://h:80".to_owned(),
            breaker: Some("closed".to_owned()),
            host_retry_at: None,
            halted_at: halted.then_some(Timestamp::UNIX_EPOCH),
            oldest_seconds: None,
            last_code: None,
            last_message: None,
            last_send: None,
            held: Some(HeldInvoice {
                invoice_id: InvoiceId::from_uuid(Uuid::from_u128(HELD)),
                invoice_no: Some(412),
                amount: 250.into(),
                receipt: None,
                hidden_since: None,
                unknown_since: time("2026-11-28T08:00:00Z"),
            }),
            halt_remedy: halted.then(|| "lanes resolve".to_owned()),
            found: None,
            expected_invoice_no: None,
            looked_up_until: None,
            progress: None,
            evidence: None,
            first_action: None,
        }
    }

    fn hidden(mut lane: LaneStatus, expected: Option<i64>) -> LaneStatus {
        lane.expected_invoice_no = expected;
        let held = lane.held.as_mut().unwrap();
        held.hidden_since = time("2026-11-28T08:26:00Z");
        lane
    }

    fn progress(lane: LaneStatus) -> Option<String> {
        lane.with_advice().progress
    }

    #[test]
    fn number_in_question_is_told_with_its_deadline() {
        for state in [LaneState::Waiting, LaneState::Busy] {
            assert_eq!(
                progress(hidden(lane(state), Some(413))).unwrap(),
                "KRA expects 413; looking up 412 until 2026-11-28T08:41:00Z, then halts"
            );
        }
        assert_eq!(
            progress(hidden(lane(LaneState::Waiting), None)).unwrap(),
            "KRA says that 412 is taken; looking it up until 2026-11-28T08:41:00Z, then halts"
        );
        assert_eq!(
            progress(lane(LaneState::Waiting)).unwrap(),
            "KRA has not told whether it has 412; looking it up until 2026-11-28T09:00:00Z, then halts"
        );
        assert_eq!(progress(lane(LaneState::Busy)), None);
        assert_eq!(progress(hidden(lane(LaneState::Halted), Some(413))), None);
        let mut failing = hidden(lane(LaneState::Waiting), Some(413));
        failing.breaker = Some("open".to_owned());
        assert_eq!(progress(failing), None, "no time passes meanwhile");
    }

    #[test]
    fn first_action_is_the_command_that_fits_the_evidence() {
        let found = |invoice: Option<u128>| FoundAtKra {
            invoice_no: 412,
            invoice_id: invoice.map(|id| InvoiceId::from_uuid(Uuid::from_u128(id))),
            amount: None,
            trader_number: None,
            issued_at: None,
            receipt_no: 398,
            looked_up_at: Timestamp::UNIX_EPOCH,
        };
        let halted = |found: Option<FoundAtKra>, expected, holds: bool, remedy: &str| {
            let mut lane = lane(LaneState::Halted);
            lane.found = found;
            lane.expected_invoice_no = expected;
            lane.halt_remedy = Some(remedy.to_owned());
            if !holds {
                lane.held = None;
            }
            lane.with_advice().first_action.unwrap()
        };
        let resolve = "lanes resolve";
        for (action, words) in [
            (
                halted(Some(found(None)), None, true, resolve),
                "--invoice-no 412 --taken-elsewhere",
            ),
            (
                halted(Some(found(None)), Some(500), true, resolve),
                "--through 499 --taken-elsewhere",
            ),
            (
                halted(Some(found(Some(HELD))), None, true, resolve),
                "--accepted --invoice 00000000-0000-0000-0000-000000000002 --receipt-no 398",
            ),
            (
                halted(Some(found(Some(9))), None, true, resolve),
                "risiti-admin find 00000000-0000-0000-0000-000000000009",
            ),
            (
                halted(None, Some(500), true, resolve),
                "look number 412 up on KRA's portal",
            ),
            (
                halted(None, Some(413), true, resolve),
                "look number 412 up on KRA's portal",
            ),
            (
                halted(None, Some(411), true, "device update"),
                "--invoice-no 412 --not-accepted",
            ),
            (
                halted(None, Some(411), false, "device update"),
                "device update 00000000-0000-0000-0000-000000000001 --next-invoice-no 411",
            ),
            (
                halted(None, None, false, "device update"),
                "risiti-admin device show",
            ),
            (
                halted(None, None, true, resolve),
                "look number 412 up on KRA's portal",
            ),
            (
                halted(None, None, false, "lanes resume"),
                "risiti-replay lanes resume",
            ),
        ] {
            assert!(action.contains(words), "{words}: {action}");
        }
    }
}
