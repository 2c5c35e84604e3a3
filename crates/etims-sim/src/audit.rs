//! What audits read: the sales accepted and the counts.

use crate::clock;
use crate::device::FiledSale;
use crate::records::{Branch, KraRecords};
use crate::server::Simulator;
use serde_json::{Value, json};

impl FiledSale {
    /// One row of `GET /_sim/sales`; amounts are text, exact.
    pub(crate) fn listed(&self, branch: &Branch) -> Value {
        let receipt = &self.receipt;
        json!({
            "tin": branch.tin, "bhfId": branch.bhf, "invcNo": self.sale.invoice_no,
            "orgInvcNo": self.sale.original_no, "rcptTyCd": if self.sale.credit { "R" } else { "S" },
            "remark": self.sale.remark, "trdInvcNo": self.sale.trader_number, "totAmt": self.sale.total.to_string(),
            "curRcptNo": receipt.current.to_string(), "totRcptNo": receipt.total.to_string(),
            "rcptSign": receipt.signature, "intrlData": receipt.internal_data,
            "sdcDateTime": clock::compact(receipt.at), "accepted_at": self.accepted_at, "late": self.late,
        })
    }
}

impl KraRecords {
    /// Business invoices accepted under more than one number: by `remark`, or by trader number
    /// where a sale has no remark.
    fn doubled(&self) -> Vec<Value> {
        let shown = |numbers: &[(Branch, i64)]| -> Vec<Value> {
            numbers
                .iter()
                .map(|(branch, no)| json!({"device": branch.to_string(), "invcNo": no}))
                .collect()
        };
        let doubled = self.remarks.iter().filter(|(_, numbers)| numbers.len() > 1);
        let doubled =
            doubled.map(|(remark, numbers)| json!({"remark": remark, "accepted": shown(numbers)}));
        doubled.chain(self.doubled_without_remark()).collect()
    }

    fn doubled_without_remark(&self) -> impl Iterator<Item = Value> {
        self.repeated_trader_numbers()
            .filter_map(|(branch, trader_number, numbers)| {
                let device = &self.devices[branch];
                let silent = |no: &&i64| {
                    device
                        .sales
                        .get(no)
                        .is_some_and(|filed| filed.sale.remark.is_none())
                };
                let silent: Vec<_> = numbers.iter().filter(silent).collect();
                let shown = |no| json!({"device": branch.to_string(), "invcNo": no});
                let accepted: Vec<_> = silent.into_iter().map(shown).collect();
                (accepted.len() > 1)
                    .then(|| json!({"trdInvcNo": trader_number, "accepted": accepted}))
            })
    }

    fn doubled_trader_numbers(&self) -> Vec<Value> {
        let repeated = self.repeated_trader_numbers();
        let shown = repeated.map(|(branch, trader_number, numbers)| {
            json!({"device": branch.to_string(), "trdInvcNo": trader_number, "invcNo": numbers})
        });
        shown.collect()
    }

    fn repeated_trader_numbers(&self) -> impl Iterator<Item = (&Branch, &String, &Vec<i64>)> {
        self.devices
            .iter()
            .flat_map(|(branch, device)| {
                device
                    .trader_numbers
                    .iter()
                    .map(move |(no, numbers)| (branch, no, numbers))
            })
            .filter(|(_, _, numbers)| numbers.len() > 1)
    }
}

impl Simulator {
    pub(crate) fn stats(&self) -> Value {
        let (counts, in_flight) = self.traffic.counts();
        let records = self.records();
        let credits = records
            .devices
            .values()
            .flat_map(|device| device.sales.values())
            .filter(|f| f.sale.credit)
            .count();
        let mut stats = serde_json::to_value(counts).expect("counts are plain data");
        let more = [
            ("in_flight", json!(in_flight)),
            ("devices", json!(records.devices.len())),
            ("sales_accepted", json!(records.sales)),
            ("credit_notes_accepted", json!(credits)),
            ("tokens_issued", json!(records.tokens_issued)),
            ("doubled", json!(records.doubled())),
            (
                "doubled_trader_numbers",
                json!(records.doubled_trader_numbers()),
            ),
        ];
        for (name, value) in more {
            stats[name] = value;
        }
        stats
    }
}
