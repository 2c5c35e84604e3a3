//! One device: its credentials, its numbering, and what it filed.

use crate::clock;
use crate::config::{Config, Dialect};
use crate::records::Branch;
use crate::refusal::{Clash, Mistake, Refusal};
use crate::sale::Sale;
use crate::seeded;
use crate::stock::Item;
use jiff::civil::DateTime;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Credentials of one portal app on the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) consumer_key: String,
    pub(crate) consumer_secret: String,
    pub(crate) app_id: String,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) serial: String,
    /// `None` until the device is initialised.
    pub(crate) cmc_key: Option<String>,
    pub(crate) sdc_id: String,
    pub(crate) mrc_no: String,
    pub(crate) app: App,
    /// Where numbering starts, and starts again when the state is cleared.
    pub(crate) first_invoice_no: i64,
    pub(crate) next_invoice_no: i64,
    pub(crate) first_receipt_no: i64,
    pub(crate) next_receipt_no: i64,
    pub(crate) sales: BTreeMap<i64, FiledSale>,
    /// Trader numbers of sales (not credit notes), with the numbers they were accepted under.
    pub(crate) trader_numbers: HashMap<String, Vec<i64>>,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) last_attempt: Option<Attempt>,
}

/// The last attempt on a device, to notice a resend that nobody asked about first.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) invoice_no: i64,
    pub(crate) answered: bool,
    pub(crate) looked_up: bool,
}

/// The fiscal receipt KRA signs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) current: i64,
    pub(crate) total: i64,
    pub(crate) internal_data: String,
    pub(crate) signature: String,
    pub(crate) at: DateTime,
}

/// A sale accepted, with the request as it was sent.
#[derive(Debug)]
pub(crate) struct FiledSale {
    pub(crate) sale: Sale,
    pub(crate) body: Box<[u8]>,
    pub(crate) receipt: Receipt,
    pub(crate) accepted_at: jiff::Timestamp,
    /// Accepted after its caller had been cut off.
    pub(crate) late: bool,
    pub(crate) hidden: HiddenUntil,
}

/// How long look-ups do not see an accepted sale.
#[derive(Debug, Default)]
pub(crate) struct HiddenUntil {
    pub(crate) until: Option<Instant>,
    pub(crate) look_ups: u32,
}

impl HiddenUntil {
    pub(crate) fn now(&self) -> bool {
        self.look_ups > 0 || self.until.is_some_and(|until| Instant::now() < until)
    }
}

impl Device {
    /// `dvcId` of the initialisation answer.
    pub(crate) fn device_id(&self) -> String {
        format!("999991{}", &self.sdc_id[5..])
    }

    pub(crate) fn check_number(&self, sale: &Sale, config: &Config) -> Result<(), Refusal> {
        let (found, expected) = (sale.invoice_no, self.next_invoice_no);
        if found == expected || (found > expected && !config.strict_sequence) {
            return Ok(());
        }
        let text =
            match seeded::hash(config.seed, &["wording", &self.sdc_id, &found.to_string()]) % 2 {
                0 => format!("Invc No: {found} is invalid, use the expected value: {expected}"),
                _ => format!("Invalid invcNo sequence, expected: {expected} but found: {found}"),
            };
        if found > expected {
            let message = format!("Request parameter error[<invcNo> : expected {expected}]");
            return Err(Refusal::new(Mistake::Sequence, "910", &message, text));
        }
        let filed = self.sales.get(&found);
        let same = filed.is_some_and(|filed| filed.sale.is_same_business(sale));
        let mistake = if same { Mistake::None } else { Mistake::Clash };
        let refusal = match config.dialect {
            Dialect::Vscu => {
                Refusal::new(mistake, "899", "An error regarding Client occurred.", text)
            }
            _ => Refusal::new(mistake, "994", "There is an overlapped Data", text),
        };
        let clash = |filed: &FiledSale| Clash {
            invoice_no: found,
            refused: sale.name().to_owned(),
            filed: filed.sale.name().to_owned(),
            filed_at: filed.accepted_at,
        };
        Err(Refusal {
            clash: filed.filter(|_| !same).map(clash).map(Box::new),
            ..refusal
        })
    }

    pub(crate) fn check_credit(&self, credit: &Sale) -> Result<(), Refusal> {
        let unknown = || {
            Refusal::rule("orgInvcNo does not exist. Please update the field and try again".into())
        };
        let original = self
            .sales
            .get(&credit.original_no)
            .filter(|filed| !filed.sale.credit)
            .ok_or_else(unknown)?;
        if original.sale.buyer != credit.buyer {
            return Err(Refusal::field(
                "custTin",
                "",
                "is not the buyer of the original sale",
            ));
        }
        if credit.day < original.sale.day {
            return Err(Refusal::field("salesDt", "", "is before the original sale"));
        }
        let credits = self
            .sales
            .range(credit.original_no..)
            .map(|(_, filed)| &filed.sale);
        let earlier = credits.filter(|sale| sale.credit && sale.original_no == credit.original_no);
        let credited: Decimal = earlier.map(|sale| sale.total).sum();
        if credited + credit.total > original.sale.total {
            return Err(Refusal::field(
                "totAmt",
                "",
                "credit notes exceed the original sale",
            ));
        }
        Ok(())
    }

    pub(crate) fn sign(&self, branch: &Branch, number: i64, seed: u64) -> Receipt {
        let receipt_no = self.next_receipt_no;
        let parts = [&branch.tin, &branch.bhf, &number.to_string()];
        Receipt {
            current: receipt_no,
            total: receipt_no,
            internal_data: seeded::base32(seed, "internal data", &parts, 26),
            signature: seeded::base32(seed, "signature", &parts, 16),
            at: clock::now(),
        }
    }
}

impl Sale {
    fn name(&self) -> &str {
        self.remark.as_deref().unwrap_or(&self.trader_number)
    }

    fn is_same_business(&self, other: &Sale) -> bool {
        match (&self.remark, &other.remark) {
            (None, None) => {
                self.trader_number == other.trader_number && self.credit == other.credit
            }
            (ours, theirs) => ours == theirs,
        }
    }
}
