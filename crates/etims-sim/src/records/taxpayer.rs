//! What KRA keeps for a PIN, whichever of its branches sent it: items and running numbers.

use std::collections::BTreeMap;

use crate::records::kept::{Kept, Row};
use crate::refusal::Refusal;

#[derive(Debug, Default)]
pub(crate) struct Taxpayer {
    pub(crate) items: Kept<String, Item>,
    /// Compositions by the codes of the made item and of its part.
    pub(crate) compositions: Kept<(String, String), Row>,
    /// The last number that was accepted, by what is counted.
    last_numbers: BTreeMap<Numbered, i64>,
}

/// What has running numbers of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Numbered {
    /// Items, all of the PIN or those whose codes begin alike.
    Items { prefix: Option<String> },
    /// Stock movements, all of the PIN or those of a branch.
    StockMovements { bhf: Option<String> },
}

/// A registered item.
#[derive(Debug)]
pub(crate) struct Item {
    /// A service needs no stock.
    pub(crate) service: bool,
    pub(crate) class: String,
    pub(crate) tax_type: String,
    /// The branch that registered it.
    pub(crate) bhf: String,
    pub(crate) row: Row,
}

impl Taxpayer {
    pub(crate) fn next_number(&self, numbered: &Numbered) -> i64 {
        self.last_numbers.get(numbered).copied().unwrap_or_default() + 1
    }

    /// Takes the number of an accepted call.
    pub(crate) fn take_number(&mut self, numbered: Numbered, number: i64) {
        self.last_numbers.insert(numbered, number);
    }

    /// The item with this code.
    ///
    /// # Errors
    /// No such item is registered.
    pub(crate) fn item(&self, code: &str) -> Result<&Item, Refusal> {
        self.items.get(code).ok_or_else(|| {
            Refusal::broken_rule(format!(
                "Item {code} does not exist in your inventory. Ensure it is added under item \
                 management package"
            ))
        })
    }
}
