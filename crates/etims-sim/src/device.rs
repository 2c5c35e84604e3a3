//! One device: its credentials, its numbering and the sales that it filed.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::branch::Branch;
use crate::clock;
use crate::config::{Config, Dialect};
use crate::records::branch_data::BranchData;
use crate::records::initialisations::Initialisations;
use crate::records::kept::{Kept, Row};
use crate::records::stock::Stock;
use crate::records::test_page::TestPage;
use crate::refusal::{Clash, Refusal, RefusalKind};
use crate::registration::Registration;
use crate::rules::purchase::Purchase;
use crate::sale::Sale;
use crate::seeded;

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
    /// Trader numbers of sales (not credit notes), with the invoice numbers they were accepted
    /// under.
    pub(crate) trader_numbers: HashMap<String, Vec<i64>>,
    pub(crate) branch_data: BranchData,
    pub(crate) stock: Stock,
    pub(crate) purchases: Kept<i64, Purchase>,
    /// The newest update of each imported item, by its task code.
    pub(crate) import_updates: Kept<String, Row>,
    pub(crate) initialisations: Initialisations,
    pub(crate) test_page: TestPage,
    /// How many items its PIN holds from the start.
    pub(crate) seeded_items: u16,
    /// How often the state was cleared. What KRA seeds has other names each time.
    pub(crate) generation: u64,
    pub(crate) last_attempt: Option<Attempt>,
}

/// The last sale that a device sent. It shows whether the client looked up an unanswered sale
/// before it sent the sale again.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) invoice_no: i64,
    pub(crate) answered: bool,
    pub(crate) looked_up: bool,
}

/// The fiscal receipt that KRA signs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) current: i64,
    pub(crate) total: i64,
    pub(crate) internal_data: String,
    pub(crate) signature: String,
    pub(crate) at: DateTime,
}

/// An accepted sale, with the request as it was sent.
#[derive(Debug)]
pub(crate) struct FiledSale {
    pub(crate) sale: Sale,
    pub(crate) body: Box<[u8]>,
    pub(crate) receipt: Receipt,
    pub(crate) accepted_at: jiff::Timestamp,
    /// Whether it was accepted after its caller had been cut off.
    pub(crate) late: bool,
    pub(crate) hidden: HiddenUntil,
}

impl FiledSale {
    /// Whether look-ups do not see the sale now.
    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden.look_ups > 0 || self.hidden.time.is_some_and(|time| Instant::now() < time)
    }
}

/// How long look-ups do not see an accepted sale.
#[derive(Debug, Default)]
pub(crate) struct HiddenUntil {
    pub(crate) time: Option<Instant>,
    /// How many more look-ups find nothing.
    pub(crate) look_ups: u32,
}

impl Device {
    pub(crate) fn new(branch: &Branch, registration: Registration, seed: u64) -> Self {
        let parts = [&branch.tin, &branch.bhf];
        let app = App {
            consumer_key: registration
                .consumer_key
                .unwrap_or_else(|| seeded::base32(seed, "consumer key", &parts, 32)),
            consumer_secret: registration
                .consumer_secret
                .unwrap_or_else(|| seeded::base32(seed, "secret", &parts, 16)),
            app_id: registration
                .app_id
                .unwrap_or_else(|| seeded::uuid(seed, "app", &parts)),
        };
        let first_invoice_no = registration.next_invoice_no.unwrap_or(1);
        let first_receipt_no = registration.next_receipt_no.unwrap_or(first_invoice_no);
        Self {
            serial: registration.dvc_srl_no,
            cmc_key: registration.cmc_key,
            sdc_id: format!("KRACU{}", seeded::digits(seed, "sdcId", &parts, 10)),
            mrc_no: format!("WIS{}", seeded::digits(seed, "mrcNo", &parts, 8)),
            app,
            first_invoice_no,
            next_invoice_no: first_invoice_no,
            first_receipt_no,
            next_receipt_no: first_receipt_no,
            sales: BTreeMap::new(),
            trader_numbers: HashMap::new(),
            branch_data: BranchData::default(),
            stock: Stock::default(),
            purchases: Kept::default(),
            import_updates: Kept::default(),
            initialisations: Initialisations::default(),
            test_page: TestPage::default(),
            seeded_items: registration.seeded_items.unwrap_or_default(),
            generation: 0,
            last_attempt: None,
        }
    }

    /// Whether `registration` asks for this device as it is. Registering it again is no error.
    pub(crate) fn is_registered_as(&self, registration: &Registration) -> bool {
        let same = |wanted: &Option<String>, ours: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == ours)
        };
        let cmc_key = self.cmc_key.as_deref().unwrap_or_default();
        self.serial == registration.dvc_srl_no
            && same(&registration.cmc_key, cmc_key)
            && same(&registration.consumer_key, &self.app.consumer_key)
            && same(&registration.consumer_secret, &self.app.consumer_secret)
            && same(&registration.app_id, &self.app.app_id)
            && registration
                .next_invoice_no
                .is_none_or(|number| number == self.first_invoice_no)
            && registration
                .seeded_items
                .is_none_or(|count| count == self.seeded_items)
    }

    /// `dvcId` of the initialisation answer.
    pub(crate) fn device_id(&self) -> String {
        format!("999991{}", &self.sdc_id[5..])
    }

    /// Checks that the sale has the next number, or a higher one if gaps are allowed.
    pub(crate) fn check_number(&self, sale: &Sale, config: &Config) -> Result<(), Refusal> {
        let found = sale.invoice_no;
        let expected = self.next_invoice_no;
        if found == expected || (found > expected && !config.strict_sequence) {
            return Ok(());
        }

        // The gateway has two wordings. The seed picks one for each number.
        let parts = ["wording", &self.sdc_id, &found.to_string()];
        let text = match seeded::hash(config.seed, &parts) % 2 {
            0 => format!("Invc No: {found} is invalid, use the expected value: {expected}"),
            _ => format!("Invalid invcNo sequence, expected: {expected} but found: {found}"),
        };
        if found > expected {
            let message = format!("Request parameter error[<invcNo> : expected {expected}]");
            return Err(Refusal::new(RefusalKind::Sequence, "910", &message, text));
        }
        Err(self.taken_number(sale, config.dialect, text))
    }

    /// The refusal of a sale whose number is taken, by itself or by another sale.
    fn taken_number(&self, sale: &Sale, dialect: Dialect, text: String) -> Refusal {
        let filed = self.sales.get(&sale.invoice_no);
        let resend = filed.is_some_and(|filed| filed.sale.is_same_business(sale));
        let kind = if resend {
            RefusalKind::Resend
        } else {
            RefusalKind::Clash
        };
        let (code, message) = match dialect {
            Dialect::Vscu => ("899", "An error regarding Client occurred."),
            _ => ("994", "There is an overlapped Data"),
        };
        let clash = filed.filter(|_| !resend).map(|filed| {
            Box::new(Clash {
                invoice_no: sale.invoice_no,
                refused: sale.label().to_owned(),
                filed: filed.sale.label().to_owned(),
                filed_at: filed.accepted_at,
            })
        });
        Refusal {
            clash,
            ..Refusal::new(kind, code, message, text)
        }
    }

    /// Checks that no other document has this trader number, as integrators' programs do that stand
    /// in front of KRA.
    pub(crate) fn check_trader_number(&self, sale: &Sale) -> Result<(), Refusal> {
        let mut others = self.sales.values().map(|filed| &filed.sale.trader_number);
        if others.any(|other| *other == sale.trader_number) {
            return Err(Refusal::broken_rule(
                "Trader invoice number is already in use".into(),
            ));
        }
        Ok(())
    }

    /// The receipt for the sale that is about to be accepted under `number`.
    pub(crate) fn sign_receipt(&self, branch: &Branch, number: i64, seed: u64) -> Receipt {
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

    /// Forgets the sales, items and attempts. Numbering starts again where it was registered.
    pub(crate) fn clear(&mut self) {
        self.sales.clear();
        self.trader_numbers.clear();
        self.next_invoice_no = self.first_invoice_no;
        self.next_receipt_no = self.first_receipt_no;
        self.branch_data = BranchData::default();
        self.stock = Stock::default();
        self.purchases = Kept::default();
        self.import_updates = Kept::default();
        self.test_page = TestPage::default();
        self.generation += 1;
        self.last_attempt = None;
    }
}
