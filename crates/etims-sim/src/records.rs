//! What KRA has on record: devices, access tokens and the accepted sales.

pub(crate) mod branch_data;
pub(crate) mod imported_items;
pub(crate) mod initialisations;
pub(crate) mod kept;
pub(crate) mod seeded_items;
pub(crate) mod stock;
pub(crate) mod supplier_invoices;
pub(crate) mod taxpayer;
pub(crate) mod test_page;

use std::collections::{BTreeMap, HashMap};

use crate::access_tokens::AccessTokens;
use crate::branch::Branch;
use crate::config::Config;
use crate::device::{Device, FiledSale, HiddenUntil, Receipt};
use crate::journal::{Journal, JournalEntry};
use crate::records::taxpayer::Taxpayer;
use crate::refusal::Refusal;
use crate::sale::Sale;

#[derive(Default)]
pub(crate) struct KraRecords {
    pub(crate) devices: BTreeMap<Branch, Device>,
    /// By PIN.
    pub(crate) taxpayers: BTreeMap<String, Taxpayer>,
    pub(crate) access_tokens: AccessTokens,
    /// Remarks of accepted sales, with the numbers they were accepted under.
    pub(crate) remarks: HashMap<String, Vec<(Branch, i64)>>,
    pub(crate) sale_count: usize,
    pub(crate) journal: Journal,
}

/// What became of a sale that is right.
#[derive(Debug)]
pub(crate) enum FilingOutcome {
    Accepted(Receipt),
    /// No more sales are kept, or the journal cannot be written. Nothing changed.
    Full,
}

impl KraRecords {
    /// The device of this branch, refused with 901 where there is none.
    pub(crate) fn device_mut(&mut self, branch: &Branch) -> Result<&mut Device, Refusal> {
        self.devices
            .get_mut(branch)
            .ok_or_else(Refusal::invalid_device)
    }

    /// Adds a device, with the items that its PIN holds from the start.
    pub(crate) fn add_device(&mut self, branch: Branch, device: Device) {
        self.devices.insert(branch.clone(), device);
        self.seed_items(&branch);
    }

    fn seed_items(&mut self, branch: &Branch) {
        let count = self.devices.get(branch).map(|device| device.seeded_items);
        if let Some(count) = count.filter(|count| *count > 0) {
            let taxpayer = self.taxpayers.entry(branch.tin.clone()).or_default();
            seeded_items::seed(taxpayer, &branch.bhf, count);
        }
    }

    /// What is kept for the PIN of a device.
    pub(crate) fn taxpayer_mut(&mut self, tin: &str) -> &mut Taxpayer {
        self.taxpayers.entry(tin.to_owned()).or_default()
    }

    /// Accepts `sale` under its number. The journal has it before the caller learns of it.
    ///
    /// # Errors
    /// The number, the original of a credit note or the stock is wrong. Nothing changed.
    pub(crate) fn file(
        &mut self,
        branch: &Branch,
        sale: Sale,
        body: &[u8],
        config: &Config,
        late: bool,
    ) -> Result<FilingOutcome, Refusal> {
        let device = self
            .devices
            .get(branch)
            .ok_or_else(Refusal::invalid_device)?;
        device.check_number(&sale, config)?;
        if config.strict_trader_numbers {
            device.check_trader_number(&sale)?;
        }
        if sale.credit {
            device.check_credit(&sale, config)?;
        }
        if config.stock_check {
            let nothing = Taxpayer::default();
            let taxpayer = self.taxpayers.get(&branch.tin).unwrap_or(&nothing);
            device.stock.check_sale(&sale, taxpayer)?;
        }
        let receipt = device.sign_receipt(branch, sale.invoice_no, config.seed);
        if self.sale_count >= config.max_sales {
            return Ok(FilingOutcome::Full);
        }

        let accepted_at = jiff::Timestamp::now();
        let entry = JournalEntry::Sale {
            branch: branch.clone(),
            body: String::from_utf8_lossy(body).into_owned(),
            receipt: receipt.clone(),
            accepted_at,
            late,
        };
        if self.journal.write(&entry).is_err() {
            return Ok(FilingOutcome::Full);
        }

        let filed = FiledSale {
            sale,
            body: body.into(),
            receipt: receipt.clone(),
            accepted_at,
            late,
            hidden: HiddenUntil::default(),
        };
        self.add_sale(branch, filed)?;
        Ok(FilingOutcome::Accepted(receipt))
    }

    /// Adds an accepted sale to its device.
    ///
    /// # Errors
    /// There is no such device.
    pub(crate) fn add_sale(&mut self, branch: &Branch, filed: FiledSale) -> Result<(), Refusal> {
        let device = self
            .devices
            .get_mut(branch)
            .ok_or_else(Refusal::invalid_device)?;
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
        self.sale_count += 1;
        Ok(())
    }

    /// The filed sale as a look-up sees it. A hidden sale is not found, and the look-up counts.
    pub(crate) fn look_up(&mut self, branch: &Branch, number: i64) -> Option<&FiledSale> {
        let device = self.devices.get_mut(branch)?;
        let filed = device.sales.get_mut(&number)?;
        if filed.is_hidden() {
            filed.hidden.look_ups = filed.hidden.look_ups.saturating_sub(1);
            return None;
        }
        Some(filed)
    }

    /// Forgets sales, items and numbering. Devices, their keys and access tokens stay.
    pub(crate) fn clear(&mut self) {
        for device in self.devices.values_mut() {
            device.clear();
        }
        self.taxpayers.clear();
        let branches: Vec<Branch> = self.devices.keys().cloned().collect();
        for branch in &branches {
            self.seed_items(branch);
        }
        self.remarks.clear();
        self.sale_count = 0;
    }
}
