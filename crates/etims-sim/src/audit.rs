//! What audits read: the accepted sales and the counts.

use serde_json::{Value, json};

use crate::branch::Branch;
use crate::clock;
use crate::device::FiledSale;
use crate::records::KraRecords;
use crate::simulator::Simulator;

impl FiledSale {
    /// One row of `GET /_sim/sales`. The amount is text, so that it stays exact.
    pub(crate) fn audit_row(&self, branch: &Branch) -> Value {
        let sale = &self.sale;
        let receipt = &self.receipt;
        json!({
            "tin": branch.tin,
            "bhfId": branch.bhf,
            "invcNo": sale.invoice_no,
            "orgInvcNo": sale.original_no,
            "rcptTyCd": if sale.credit { "R" } else { "S" },
            "remark": sale.remark,
            "trdInvcNo": sale.trader_number,
            "custTin": sale.buyer,
            "custNm": sale.buyer_name,
            "totAmt": sale.total.to_string(),
            "curRcptNo": receipt.current.to_string(),
            "totRcptNo": receipt.total.to_string(),
            "rcptSign": receipt.signature,
            "intrlData": receipt.internal_data,
            "sdcDateTime": clock::compact(receipt.at),
            "accepted_at": self.accepted_at,
            "late": self.late,
        })
    }
}

impl KraRecords {
    /// Business invoices that were accepted under more than one number. They are told apart by
    /// remark, or by trader number where a sale has no remark.
    fn doubled(&self) -> Vec<Value> {
        let by_remark = self
            .remarks
            .iter()
            .filter(|(_, numbers)| numbers.len() > 1)
            .map(|(remark, numbers)| {
                let accepted: Vec<_> = numbers
                    .iter()
                    .map(|(branch, number)| device_and_number(branch, *number))
                    .collect();
                json!({"remark": remark, "accepted": accepted})
            });
        by_remark.chain(self.doubled_without_remark()).collect()
    }

    fn doubled_without_remark(&self) -> impl Iterator<Item = Value> {
        self.repeated_trader_numbers()
            .filter_map(|(branch, trader_number, numbers)| {
                let sales = &self.devices[branch].sales;
                let accepted: Vec<_> = numbers
                    .iter()
                    .filter(|number| {
                        sales
                            .get(number)
                            .is_some_and(|filed| filed.sale.remark.is_none())
                    })
                    .map(|number| device_and_number(branch, *number))
                    .collect();
                let doubled = accepted.len() > 1;
                doubled.then(|| json!({"trdInvcNo": trader_number, "accepted": accepted}))
            })
    }

    fn doubled_trader_numbers(&self) -> Vec<Value> {
        self.repeated_trader_numbers()
            .map(|(branch, trader_number, numbers)| {
                json!({
                    "device": branch.to_string(),
                    "trdInvcNo": trader_number,
                    "invcNo": numbers,
                })
            })
            .collect()
    }

    fn repeated_trader_numbers(&self) -> impl Iterator<Item = (&Branch, &String, &Vec<i64>)> {
        self.devices
            .iter()
            .flat_map(|(branch, device)| {
                device
                    .trader_numbers
                    .iter()
                    .map(move |(trader_number, numbers)| (branch, trader_number, numbers))
            })
            .filter(|(_, _, numbers)| numbers.len() > 1)
    }
}

fn device_and_number(branch: &Branch, number: i64) -> Value {
    json!({"device": branch.to_string(), "invcNo": number})
}

impl Simulator {
    /// The answer of `GET /_sim/stats`.
    pub(crate) fn stats(&self) -> Value {
        let (counts, in_flight) = self.traffic.counts();
        let records = self.records();
        let credit_notes = records
            .devices
            .values()
            .flat_map(|device| device.sales.values())
            .filter(|filed| filed.sale.credit)
            .count();

        let mut stats = serde_json::to_value(counts).expect("counts are plain data");
        let more = [
            ("in_flight", json!(in_flight)),
            ("devices", json!(records.devices.len())),
            ("sales_accepted", json!(records.sale_count)),
            ("credit_notes_accepted", json!(credit_notes)),
            ("tokens_issued", json!(records.access_tokens.issued())),
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
