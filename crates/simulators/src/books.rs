//! KRA's books: devices, their numbering, and the sales accepted.

use crate::clock;
use crate::config::{Config, Dialect};
use crate::draw;
use crate::refusal::{Mistake, Refusal};
use crate::sale::Sale;
use jiff::civil::DateTime;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// PIN and branch, written `P000000001A/00`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Branch {
    pub(crate) tin: String,
    pub(crate) bhf: String,
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tin, self.bhf)
    }
}

/// Credentials of one portal app on the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    pub(crate) sales: BTreeMap<i64, Filed>,
    /// Remarks and trader numbers accepted, with the numbers they were accepted under.
    pub(crate) trader_nos: HashMap<String, Vec<i64>>,
    pub(crate) last_try: Option<Try>,
}

/// The last attempt on a device, to notice a resend that nobody asked about first.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) invoice_no: i64,
    pub(crate) answered: bool,
    pub(crate) looked_up: bool,
}

/// The fiscal receipt KRA signs.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) current: i64,
    pub(crate) total: i64,
    pub(crate) internal_data: String,
    pub(crate) signature: String,
    pub(crate) at: DateTime,
}

/// A sale accepted, with the request as it was sent.
#[derive(Debug)]
pub(crate) struct Filed {
    pub(crate) sale: Sale,
    pub(crate) body: Box<[u8]>,
    pub(crate) receipt: Receipt,
    pub(crate) accepted_at: jiff::Timestamp,
    /// Accepted after its caller had been cut off.
    pub(crate) late: bool,
    pub(crate) hidden: Hidden,
}

/// How long look-ups do not see an accepted sale.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    pub(crate) until: Option<Instant>,
    pub(crate) look_ups: u32,
}

impl Hidden {
    pub(crate) fn now(&self) -> bool {
        self.look_ups > 0 || self.until.is_some_and(|until| Instant::now() < until)
    }
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) devices: BTreeMap<Branch, Device>,
    pub(crate) tokens: HashMap<String, (String, Instant)>,
    pub(crate) tokens_issued: u64,
    pub(crate) remarks: HashMap<String, Vec<(Branch, i64)>>,
    pub(crate) sales: usize,
}

/// The books hold as many sales as they may.
#[derive(Debug)]
pub(crate) struct Full;

impl Books {
    /// Accepts `sale` under its number, or says why not. `Ok(Err(Full))` changes nothing.
    pub(crate) fn file(
        &mut self,
        branch: &Branch,
        sale: Sale,
        body: &[u8],
        config: &Config,
        late: bool,
    ) -> Result<Result<Receipt, Full>, Refusal> {
        let device = self.devices.get_mut(branch).ok_or_else(not_valid)?;
        device.check_number(&sale, config)?;
        if sale.credit {
            device.check_credit(&sale)?;
        }
        if self.sales >= config.max_sales {
            return Ok(Err(Full));
        }
        self.sales += 1;
        let number = sale.invoice_no;
        if let Some(remark) = &sale.remark {
            self.remarks.entry(remark.clone()).or_default().push((branch.clone(), number));
        }
        if !sale.credit {
            device.trader_nos.entry(sale.trader_no.clone()).or_default().push(number);
        }
        let receipt = device.sign(branch, number, config.seed);
        let filed = Filed {
            sale,
            body: body.into(),
            receipt: receipt.clone(),
            accepted_at: jiff::Timestamp::now(),
            late,
            hidden: Hidden::default(),
        };
        device.sales.insert(number, filed);
        device.next_invoice_no = number + 1;
        Ok(Ok(receipt))
    }

    /// The filed sale as a look-up may see it, or nothing while it is hidden.
    pub(crate) fn look_up(&mut self, branch: &Branch, number: i64) -> Option<&Filed> {
        let device = self.devices.get_mut(branch)?;
        if let Some(last) = device.last_try.as_mut().filter(|last| last.invoice_no == number) {
            last.looked_up = true;
        }
        let filed = device.sales.get_mut(&number)?;
        if filed.hidden.now() {
            filed.hidden.look_ups = filed.hidden.look_ups.saturating_sub(1);
            return None;
        }
        Some(filed)
    }

    /// Forgets sales and numbering; devices, keys and tokens stay.
    pub(crate) fn clear(&mut self) {
        for device in self.devices.values_mut() {
            device.sales.clear();
            device.trader_nos.clear();
            device.next_invoice_no = device.first_invoice_no;
            device.next_receipt_no = device.first_receipt_no;
            device.last_try = None;
        }
        self.remarks.clear();
        self.sales = 0;
    }
}

impl Device {
    /// `dvcId` of the initialisation answer.
    pub(crate) fn device_id(&self) -> String {
        format!("999991{}", &self.sdc_id[5..])
    }

    fn check_number(&self, sale: &Sale, config: &Config) -> Result<(), Refusal> {
        let (found, expected) = (sale.invoice_no, self.next_invoice_no);
        if found == expected || (found > expected && !config.strict_sequence) {
            return Ok(());
        }
        let text = match draw::hash(config.seed, &["wording", &self.sdc_id, &found.to_string()]) % 2 {
            0 => format!("Invc No: {found} is invalid, use the expected value: {expected}"),
            _ => format!("Invalid invcNo sequence, expected: {expected} but found: {found}"),
        };
        if found > expected {
            let message = format!("Request parameter error[<invcNo> : expected {expected}]");
            return Err(Refusal::new(Mistake::Sequence, "910", &message, text));
        }
        let same = self.sales.get(&found).is_some_and(|filed| filed.sale.is_same_business(sale));
        let mistake = if same { Mistake::None } else { Mistake::Clash };
        Err(match config.dialect {
            Dialect::Vscu => Refusal::new(mistake, "899", "An error regarding Client occurred.", text),
            _ => Refusal::new(mistake, "994", "There is an overlapped Data", text),
        })
    }

    fn check_credit(&self, credit: &Sale) -> Result<(), Refusal> {
        let unknown =
            || Refusal::rule("orgInvcNo does not exist. Please update the field and try again".into());
        let original =
            self.sales.get(&credit.original_no).filter(|filed| !filed.sale.credit).ok_or_else(unknown)?;
        if original.sale.buyer != credit.buyer {
            return Err(Refusal::field("custTin", "", "is not the buyer of the original sale"));
        }
        if credit.day < original.sale.day {
            return Err(Refusal::field("salesDt", "", "is before the original sale"));
        }
        let credits = self.sales.range(credit.original_no..).map(|(_, filed)| &filed.sale);
        let earlier = credits.filter(|sale| sale.credit && sale.original_no == credit.original_no);
        let credited: Decimal = earlier.map(|sale| sale.total).sum();
        if credited + credit.total > original.sale.total {
            return Err(Refusal::field("totAmt", "", "credit notes exceed the original sale"));
        }
        Ok(())
    }

    fn sign(&mut self, branch: &Branch, number: i64, seed: u64) -> Receipt {
        let receipt_no = self.next_receipt_no;
        self.next_receipt_no += 1;
        let parts = [&branch.tin, &branch.bhf, &number.to_string()];
        Receipt {
            current: receipt_no,
            total: receipt_no,
            internal_data: draw::base32(seed, "internal data", &parts, 26),
            signature: draw::base32(seed, "signature", &parts, 16),
            at: clock::now(),
        }
    }
}

impl Sale {
    fn is_same_business(&self, other: &Sale) -> bool {
        match (&self.remark, &other.remark) {
            (None, None) => self.trader_no == other.trader_no && self.credit == other.credit,
            (ours, theirs) => ours == theirs,
        }
    }
}

pub(crate) fn not_valid() -> Refusal {
    Refusal::coded(Mistake::Auth, "901", "It is not valid device")
}
