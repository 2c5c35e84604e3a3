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
        // While the host fails, no time passes for the number (protocol D9).
        let host_works = self
            .breaker
            .as_deref()
            .is_none_or(|breaker| breaker == "closed");
        if self.lane_state != LaneState::Waiting || !host_works {
            return None;
        }
        let (number, until) = (held.invoice_no?, self.looked_up_until?);
        let asks = if self.dialect == Dialect::Vscu.as_str() {
            "sending it again"
        } else {
            "looking it up"
        };
        let problem = match (self.expected_invoice_no, held.hidden_since) {
            (Some(expected), _) => format!("KRA expects {expected}; looking up {number}"),
            (None, Some(_)) => format!("KRA says that {number} is taken; looking it up"),
            (None, None) => format!("KRA has not told whether it has {number}; {asks}"),
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
        if expected > number + 1 {
            return Some(self.settle_through(expected - 1));
        }
        if expected > number {
            return Some(self.at_the_portal());
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
