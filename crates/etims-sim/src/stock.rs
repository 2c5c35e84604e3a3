//! Items and their stock, as far as a sale depends on them (`--stock-check`).

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::codes;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::sale::Sale;
use crate::tax::TYPES;

/// Bound on the items of one device.
const MAX_ITEMS: usize = 10_000;

/// Codes of stock movements: 01 to 06 are goods in, 11 to 16 are goods out.
const MOVEMENTS: [&str; 12] = [
    "01", "02", "03", "04", "05", "06", "11", "12", "13", "14", "15", "16",
];

/// The items that one device has saved, by their codes.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    items: BTreeMap<String, Item>,
}

#[derive(Debug, Default)]
struct Item {
    /// A service needs no stock.
    service: bool,
    /// Whether goods of this item ever came in.
    stocked: bool,
    quantity: Decimal,
}

impl Stock {
    pub(crate) fn save_item(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let code = item_code(fields)?;
        fields.text("itemClsCd", 10)?;
        let service = fields.code("itemTyCd", &["1", "2", "3"])? == "3";
        fields.text("itemNm", 200)?;
        fields.code("pkgUnitCd", &codes::PACKAGES)?;
        fields.code("qtyUnitCd", &codes::UNITS)?;
        fields.code("taxTyCd", &TYPES)?;

        if self.items.len() >= MAX_ITEMS && !self.items.contains_key(&code) {
            return Err(Refusal::broken_rule("too many items".into()));
        }
        self.items.entry(code).or_default().service = service;
        Ok(())
    }

    /// Moves goods in or out. Every line is read before the first item changes.
    pub(crate) fn move_goods(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let goods_in = fields.code("sarTyCd", &MOVEMENTS)?.starts_with('0');
        let lines = fields.list("itemList")?;
        let moves = lines
            .iter()
            .map(|line| Ok((item_code(line)?, line.amount("qty", 13, 2)?)))
            .collect::<Result<Vec<_>, Refusal>>()?;

        for (code, quantity) in moves {
            let item = self
                .items
                .get_mut(&code)
                .ok_or_else(|| fields.invalid("itemCd", "is not saved"))?;
            item.quantity += if goods_in { quantity } else { -quantity };
            item.stocked |= goods_in;
        }
        Ok(())
    }

    /// Checks that the level which a client reports is the running stock.
    pub(crate) fn check_level(&self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let code = item_code(fields)?;
        let found = fields.amount("rsdQty", 13, 2)?;
        let expected = self
            .items
            .get(&code)
            .ok_or_else(|| fields.invalid("itemCd", "is not saved"))?
            .quantity;
        if found == expected {
            return Ok(());
        }
        Err(Refusal::broken_rule(format!(
            "Invalid rsdQty. Expected: {expected:.2}, But Found: {found:.2}"
        )))
    }

    /// Checks that every item of the sale is a service or was stocked before.
    pub(crate) fn check_sale(&self, sale: &Sale) -> Result<(), Refusal> {
        let sellable = |code| {
            self.items
                .get(code)
                .is_some_and(|item| item.service || item.stocked)
        };
        if sale.items.iter().all(sellable) {
            return Ok(());
        }
        Err(Refusal::broken_rule(
            "Items provided under the itemList section do not exist in your stock. Consider adding \
             them under Stock Information Management package to proceed."
                .into(),
        ))
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }
}

fn item_code(fields: &Fields<'_>) -> Result<String, Refusal> {
    let code = fields.text("itemCd", 20)?;
    if codes::is_item_code(&code) {
        Ok(code)
    } else {
        Err(fields.invalid("itemCd", "Incorrect QtyUnitCd Prefix"))
    }
}
