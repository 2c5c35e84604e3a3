//! KRA's records: devices, their numbering, and the sales accepted.

use crate::config::Config;
use crate::device::{Device, FiledSale, HiddenUntil, Receipt};
use crate::journal::{Journal, JournalEntry};
use crate::refusal::{Mistake, Refusal};
use crate::sale::Sale;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Gateway tokens alive at once.
const MAX_TOKENS: usize = 10_000;

/// PIN and branch, written `P000000001A/00`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Branch {
    pub(crate) tin: String,
    pub(crate) bhf: String,
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tin, self.bhf)
    }
}

#[derive(Default)]
pub(crate) struct KraRecords {
    pub(crate) devices: BTreeMap<Branch, Device>,
    tokens: HashMap<String, Token>,
    pub(crate) tokens_issued: u64,
    /// Remarks accepted, with the numbers they were accepted under.
    pub(crate) remarks: HashMap<String, Vec<(Branch, i64)>>,
    pub(crate) sales: usize,
    pub(crate) journal: Journal,
}

#[derive(Debug)]
struct Token {
    consumer_key: String,
    until: Instant,
}

/// What became of a sale that is right.
#[derive(Debug)]
pub(crate) enum FilingOutcome {
    Accepted(Receipt),
    /// The records hold as many sales as they may, or cannot be written; nothing changed.
    Full,
}

impl KraRecords {
    /// Accepts `sale` under its number.
    ///
    /// # Errors
    /// Wrong number, wrong original of a credit note, or no such stock; nothing changed.
    pub(crate) fn file(
        &mut self,
        branch: &Branch,
        sale: Sale,
        body: &[u8],
        config: &Config,
        late: bool,
    ) -> Result<FilingOutcome, Refusal> {
        let device = self.devices.get_mut(branch).ok_or_else(not_valid)?;
        device.check_number(&sale, config)?;
        if sale.credit {
            device.check_credit(&sale)?;
        }
        if config.stock_check {
            device.check_stock(&sale)?;
        }
        if self.sales >= config.max_sales {
            return Ok(FilingOutcome::Full);
        }
        let receipt = device.sign(branch, sale.invoice_no, config.seed);
        let accepted_at = jiff::Timestamp::now();
        let entry = JournalEntry::Sale {
            branch: branch.clone(),
            body: String::from_utf8_lossy(body).into_owned(),
            receipt: receipt.clone(),
            accepted_at,
            late,
        };
        if !self.journal.write(&entry) {
            return Ok(FilingOutcome::Full);
        }
        let hidden = HiddenUntil::default();
        let filed = FiledSale {
            sale,
            body: body.into(),
            receipt: receipt.clone(),
            accepted_at,
            late,
            hidden,
        };
        self.enter(branch, filed).ok_or_else(not_valid)?;
        Ok(FilingOutcome::Accepted(receipt))
    }

    /// Enters what was accepted; nothing where there is no such device.
    pub(crate) fn enter(&mut self, branch: &Branch, filed: FiledSale) -> Option<()> {
        let device = self.devices.get_mut(branch)?;
        let sale = &filed.sale;
        let number = sale.invoice_no;
        if let Some(remark) = &sale.remark {
            self.remarks
                .entry(remark.clone())
                .or_default()
                .push((branch.clone(), number));
        }
        if !sale.credit {
            device
                .trader_numbers
                .entry(sale.trader_number.clone())
                .or_default()
                .push(number);
        }
        device.next_receipt_no = filed.receipt.current + 1;
        device.sales.insert(number, filed);
        device.next_invoice_no = number + 1;
        self.sales += 1;
        Some(())
    }

    /// The filed sale as a look-up may see it, or nothing while it is hidden.
    pub(crate) fn look_up(&mut self, branch: &Branch, number: i64) -> Option<&FiledSale> {
        let device = self.devices.get_mut(branch)?;
        let filed = device.sales.get_mut(&number)?;
        if filed.hidden.now() {
            filed.hidden.look_ups = filed.hidden.look_ups.saturating_sub(1);
            return None;
        }
        Some(filed)
    }

    /// Whether there was room for one more token.
    pub(crate) fn keep_token(
        &mut self,
        token: String,
        consumer_key: String,
        until: Instant,
    ) -> bool {
        let now = Instant::now();
        self.tokens.retain(|_, token| now < token.until);
        if self.tokens.len() >= MAX_TOKENS {
            return false;
        }
        self.tokens.insert(
            token,
            Token {
                consumer_key,
                until,
            },
        );
        true
    }

    /// The app a living token belongs to.
    pub(crate) fn consumer_key(&self, token: &str) -> Option<&str> {
        self.tokens
            .get(token)
            .filter(|token| Instant::now() < token.until)
            .map(|token| token.consumer_key.as_str())
    }

    pub(crate) fn expire_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Forgets sales and numbering; devices, keys and tokens stay.
    pub(crate) fn clear(&mut self) {
        for device in self.devices.values_mut() {
            device.sales.clear();
            device.trader_numbers.clear();
            device.next_invoice_no = device.first_invoice_no;
            device.next_receipt_no = device.first_receipt_no;
            device.items.clear();
            device.last_attempt = None;
        }
        self.remarks.clear();
        self.sales = 0;
    }
}

pub(crate) fn not_valid() -> Refusal {
    Refusal::coded(Mistake::Auth, "901", "It is not valid device")
}
