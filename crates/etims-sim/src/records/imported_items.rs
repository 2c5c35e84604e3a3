//! The imported items that KRA seeds for a device once it has filed sales.

use serde_json::{Value, json};

use crate::branch::Branch;
use crate::seeded;

/// A row of the list of imported items.
pub(crate) struct ImportedItem {
    pub(crate) task: String,
    /// `ddMMyyyy`, as the sandbox writes it.
    pub(crate) declared: &'static str,
    pub(crate) sequence: i64,
    pub(crate) hs_code: &'static str,
    name: &'static str,
    quantity: i64,
}

const GOODS: [(&str, &str, i64); 3] = [
    ("8517130000", "Mobile phone handsets", 40),
    ("6403990000", "Leather shoes", 120),
    ("0901210000", "Roasted coffee", 75),
];

/// One to three items. The `generation` of the state gives them new task codes, so that those of
/// an earlier one are no longer found.
pub(crate) fn seeded_items(seed: u64, branch: &Branch, generation: u64) -> Vec<ImportedItem> {
    let generation = generation.to_string();
    let count = 1 + seeded::hash(seed, &["imports", &branch.tin, &branch.bhf]) % 3;
    GOODS
        .iter()
        .zip(1..=count)
        .map(|((hs_code, name, quantity), sequence)| {
            let parts = [&branch.tin, &branch.bhf, &generation, &sequence.to_string()];
            ImportedItem {
                task: seeded::digits(seed, "task", &parts, 7),
                declared: "01022023",
                sequence: sequence.cast_signed(),
                hs_code,
                name,
                quantity: *quantity,
            }
        })
        .collect()
}

impl ImportedItem {
    /// The row as the list shows it. An update never shows: the status stays that of a waiting one.
    pub(crate) fn row(&self) -> Value {
        json!({
            "taskCd": self.task,
            "dclDe": self.declared,
            "itemSeq": self.sequence,
            "dclNo": format!("23NBIIM4000{}", self.sequence),
            "hsCd": self.hs_code,
            "itemNm": self.name,
            "imptItemsttsCd": "2",
            "orgnNatCd": "CN",
            "exptNatCd": "CN",
            "pkg": self.quantity,
            "pkgUnitCd": "CT",
            "qty": self.quantity,
            "qtyUnitCd": "NO",
            "totWt": self.quantity * 2,
            "netWt": self.quantity,
            "spplrNm": "Nanjing Export Trading Co",
            "agntNm": "Bandari Clearing Ltd",
            "invcFcurAmt": self.quantity * 25,
            "invcFcurCd": "USD",
            "invcFcurExcrt": 129,
        })
    }
}
