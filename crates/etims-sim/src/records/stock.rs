//! What KRA knows of a branch's stock: its movements and their running sums.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::records::kept::Kept;
use crate::records::taxpayer::Taxpayer;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rules::movement::Movement;
use crate::rules::registered_item;
use crate::sale::Sale;

#[derive(Debug, Default)]
pub(crate) struct Stock {
    /// The sums of the accepted movements, by item. An item that never moved has none.
    levels: BTreeMap<String, Decimal>,
    pub(crate) movements: Kept<i64, Movement>,
    /// The levels that the client reported, by item.
    pub(crate) reported: BTreeMap<String, Decimal>,
}

impl Stock {
    pub(crate) fn level(&self, item: &str) -> Option<Decimal> {
        self.levels.get(item).copied()
    }

    pub(crate) fn levels(&self) -> impl Iterator<Item = (&String, &Decimal)> {
        self.levels.iter()
    }

    /// Checks that there is enough of an item. Its words are known from item compositions.
    pub(crate) fn check_enough(&self, item: &str, quantity: Decimal) -> Result<(), Refusal> {
        if self.level(item).unwrap_or_default() >= quantity {
            return Ok(());
        }
        Err(Refusal::broken_rule(
            "Insufficient Stock: You dont have sufficient stock for this Transaction".into(),
        ))
    }

    /// Moves goods in or out. An item changes only if the movement is kept.
    ///
    /// # Errors
    /// More would go out than there is, or there is no room for another movement.
    pub(crate) fn apply(&mut self, movement: Movement) -> Result<(), Reply> {
        let mut changes: BTreeMap<String, Decimal> = BTreeMap::new();
        for goods in &movement.lines {
            *changes.entry(goods.item.clone()).or_default() += goods.quantity;
        }
        if !movement.goods_in {
            for (item, quantity) in &changes {
                self.check_enough(item, *quantity)?;
            }
        }

        let goods_in = movement.goods_in;
        self.movements.put(movement.number, movement)?;
        for (item, quantity) in changes {
            let level = self.levels.entry(item).or_default();
            *level += if goods_in { quantity } else { -quantity };
        }
        Ok(())
    }

    /// Checks that every line of a sale is of an item as it was registered, which is a service or
    /// was stocked before (`--stock-check`).
    pub(crate) fn check_sale(&self, sale: &Sale, taxpayer: &Taxpayer) -> Result<(), Refusal> {
        for line in &sale.lines {
            let item = taxpayer.items.get(&line.item);
            if !item.is_some_and(|item| item.service || self.levels.contains_key(&line.item)) {
                return Err(Refusal::broken_rule(
                    "Items provided under the itemList section do not exist in your stock. Consider \
                     adding them under Stock Information Management package to proceed."
                        .into(),
                ));
            }
            registered_item::check(taxpayer, &line.item, &line.class, &line.tax_type)?;
        }
        Ok(())
    }
}
