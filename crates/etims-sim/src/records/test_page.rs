//! KRA's page of the automated test: 23 rows, each with the latest call of its kind.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use serde_json::{Value, json};

use crate::clock;
use crate::config::Dialect;
use crate::reply::Reply;
use crate::routes::Call;

/// The test cases, in KRA's order and words.
const ROWS: [(Call, &str); 23] = [
    (Call::Initialise, "OSCU initialization"),
    (Call::CodeList, "Look up list of code"),
    (Call::ItemClasses, "Look up item classification"),
    (Call::Branches, "Look up branch list"),
    (Call::Notices, "Look up notices list"),
    (Call::SaveCustomer, "Save customer branch"),
    (Call::SaveUser, "Save branch user account"),
    (Call::SaveInsurance, "Save branch insurances"),
    (Call::ItemList, "Look up product list"),
    (Call::SaveItem, "Save item"),
    (Call::SaveComposition, "Save item composition"),
    (Call::ImportedItems, "Look up imported item list"),
    (Call::UpdateImportedItem, "Update imported items"),
    (Call::Sale, "Save sales transaction"),
    (Call::Purchases, "Look up purchases-sales list"),
    (Call::SavePurchase, "Save purchases information"),
    (Call::StockLevel, "Save stock-master information"),
    (Call::StockMovements, "Look up stock movement"),
    (Call::StockInOut, "Save stock in/out"),
    (Call::Lookup, "Look up invoice details"),
    (Call::SalesList, "Look up transaction sales list"),
    (Call::Customers, "Look up customer list"),
    (Call::Taxpayer, "Look up tax payer info"),
];

/// The latest call of each kind that one device made.
#[derive(Debug, Default)]
pub(crate) struct TestPage {
    latest: BTreeMap<Call, Outcome>,
}

#[derive(Debug)]
struct Outcome {
    passed: bool,
    path: String,
    code: Option<String>,
    text: String,
    at: DateTime,
}

impl TestPage {
    /// Notes what KRA answered. Calls without a row, and answers of the gateway itself, are not
    /// watched.
    pub(crate) fn note(&mut self, call: Call, path: &str, reply: &Reply, dialect: Dialect) {
        let (code, text) = match reply {
            Reply::Done(_) | Reply::Found(_) => (Some("000"), "Successful"),
            Reply::Nothing => (Some("001"), "There is no search result"),
            Reply::Refused(refusal) => {
                let coded = dialect != Dialect::Gateway || refusal.coded_on_gateway;
                (
                    coded.then_some(refusal.code.as_str()),
                    refusal.words(dialect),
                )
            }
            _ => return,
        };
        if !ROWS.iter().any(|(of_row, _)| *of_row == call) {
            return;
        }
        // Nothing found passes, except where KRA has seeded something to be found.
        let found_nothing = code == Some("001") && call != Call::ImportedItems;
        let outcome = Outcome {
            passed: code == Some("000") || found_nothing,
            path: path.to_owned(),
            code: code.map(str::to_owned),
            text: text.to_owned(),
            at: clock::now(),
        };
        self.latest.insert(call, outcome);
    }

    pub(crate) fn passed(&self) -> usize {
        self.latest
            .values()
            .filter(|outcome| outcome.passed)
            .count()
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        ROWS.iter()
            .zip(1..)
            .map(|((call, name), number)| {
                let outcome = self.latest.get(call);
                let state = match outcome {
                    None => "waiting",
                    Some(outcome) if outcome.passed => "passed",
                    Some(_) => "failed",
                };
                json!({
                    "row": number,
                    "name": name,
                    "call": call,
                    "state": state,
                    "path": outcome.map(|outcome| &outcome.path),
                    "resultCd": outcome.and_then(|outcome| outcome.code.as_ref()),
                    "text": outcome.map(|outcome| &outcome.text),
                    "at": outcome.map(|outcome| clock::compact(outcome.at)),
                })
            })
            .collect()
    }
}
