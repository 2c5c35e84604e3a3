//! Items and their stock, as far as a sale depends on them (`--stock-check`).

use crate::codes;
use crate::device::Device;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::sale::Sale;
use crate::tax::TYPES;
use rust_decimal::Decimal;

/// Items kept per device.
const MAX_ITEMS: usize = 10_000;

/// Stock movements in (01–06) and out (11–16).
const MOVEMENTS: [&str; 12] = [
    "01", "02", "03", "04", "05", "06", "11", "12", "13", "14", "15", "16",
];

#[derive(Debug, Default)]
pub(crate) struct Item {
    /// Services need no stock.
    service: bool,
    stocked: bool,
    stock: Decimal,
}

impl Device {
    pub(crate) fn save_item(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let code = item_code(fields)?;
        fields.text("itemClsCd", 10)?;
        let service = fields.code("itemTyCd", &["1", "2", "3"])? == "3";
        fields.text("itemNm", 200)?;
        fields.code("pkgUnitCd", &codes::PACKAGES)?;
        fields.code("qtyUnitCd", &codes::UNITS)?;
        fields.code("taxTyCd", &TYPES)?;
        if self.items.len() >= MAX_ITEMS && !self.items.contains_key(&code) {
            return Err(Refusal::rule("too many items".into()));
        }
        self.items.entry(code).or_default().service = service;
        Ok(())
    }

    pub(crate) fn move_stock(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let goods_in = fields.code("sarTyCd", &MOVEMENTS)?.starts_with('0');
        let lines = fields.list("itemList")?;
        let moves = lines
            .iter()
            .map(|line| Ok((item_code(line)?, line.amount("qty", 13, 2)?)));
        for (code, quantity) in moves.collect::<Result<Vec<_>, Refusal>>()? {
            let item = self
                .items
                .get_mut(&code)
                .ok_or_else(|| fields.wrong("itemCd", "is not saved"))?;
            item.stock += if goods_in { quantity } else { -quantity };
            item.stocked |= goods_in;
        }
        Ok(())
    }

    /// The level a client reports must be the running stock.
    pub(crate) fn level_stock(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        let code = item_code(fields)?;
        let found = fields.amount("rsdQty", 13, 2)?;
        let expected = self
            .items
            .get(&code)
            .ok_or_else(|| fields.wrong("itemCd", "is not saved"))?
            .stock;
        if found == expected {
            return Ok(());
        }
        Err(Refusal::rule(format!(
            "Invalid rsdQty. Expected: {expected:.2}, But Found: {found:.2}"
        )))
    }

    pub(crate) fn check_stock(&self, sale: &Sale) -> Result<(), Refusal> {
        let sellable = |code| {
            self.items
                .get(code)
                .is_some_and(|item| item.service || item.stocked)
        };
        if sale.items.iter().all(sellable) {
            return Ok(());
        }
        Err(Refusal::rule(
            "Items provided under the itemList section do not exist in your stock. Consider adding them under \
             Stock Information Management package to proceed."
                .into(),
        ))
    }
}

fn item_code(fields: &Fields<'_>) -> Result<String, Refusal> {
    let code = fields.text("itemCd", 20)?;
    if codes::is_item_code(&code) {
        Ok(code)
    } else {
        Err(fields.wrong("itemCd", "Incorrect QtyUnitCd Prefix"))
    }
}
