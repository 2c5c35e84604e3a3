//! Items: their registration, and the product list.

use serde_json::json;

use super::{Caller, last_request_time, list_reply};
use crate::codes;
use crate::config::ItemNumbers;
use crate::fields::Fields;
use crate::json_object::{select, set};
use crate::records::kept::Row;
use crate::records::taxpayer::{Item, Numbered};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rules::item_code::{CodedFields, check_number};
use crate::rules::users::{WHO, check_users};
use crate::tax::TYPES;

const ITEM: [&str; 24] = [
    "tin",
    "itemCd",
    "itemClsCd",
    "itemTyCd",
    "itemNm",
    "itemStdNm",
    "orgnNatCd",
    "pkgUnitCd",
    "qtyUnitCd",
    "taxTyCd",
    "btchNo",
    "regBhfId",
    "bcd",
    "dftPrc",
    "grpPrcL1",
    "grpPrcL2",
    "grpPrcL3",
    "grpPrcL4",
    "grpPrcL5",
    "addInfo",
    "sftyQty",
    "isrcAplcbYn",
    "rraModYn",
    "useYn",
];

/// The items of the PIN that were saved since `lastReqDt`.
pub(super) fn list(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let since = last_request_time(fields)?;
    let tin = json!(caller.branch.tin).to_string();
    let rows: Vec<String> = caller
        .taxpayer()
        .items
        .values()
        .filter(|item| item.row.saved_at > since)
        .map(|item| {
            let mut shown = item.row.fields.clone();
            set(&mut shown, "tin", tin.clone());
            set(&mut shown, "regBhfId", json!(item.bhf).to_string());
            set(&mut shown, "rraModYn", json!("N").to_string());
            select(&ITEM, &shown)
        })
        .collect();
    Ok(list_reply("itemList", &rows))
}

/// Registers an item. On the gateway its code must be made as KRA wants, with the next number, so
/// that the same item is never taken twice. The other dialects take the code again as an update.
pub(super) fn save(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let code = fields.text("itemCd", 20)?;
    let item = read(caller, fields)?;
    let number = if caller.is_gateway() {
        check_on_gateway(caller, fields, &code, &item.class)?
    } else {
        fields.code("pkgUnitCd", &codes::PACKAGES)?;
        fields.code("qtyUnitCd", &codes::UNITS)?;
        None
    };

    let numbered = numbered(caller, &code);
    let taxpayer = caller.taxpayer();
    taxpayer.items.put(code, item)?;
    if let Some(number) = number {
        taxpayer.take_number(numbered, number);
    }
    Ok(Reply::done(&()))
}

fn read(caller: &Caller<'_>, fields: &Fields<'_>) -> Result<Item, Refusal> {
    let class = fields.text("itemClsCd", 10)?;
    let service = fields.code("itemTyCd", &codes::ITEM_TYPES)? == "3";
    fields.text("itemNm", 200)?;
    let tax_type = fields.code("taxTyCd", &TYPES)?;
    check_details(fields)?;
    check_users(fields, &WHO)?;
    Ok(Item {
        service,
        class,
        tax_type,
        bhf: caller.branch.bhf.clone(),
        row: Row::new(fields, caller.now),
    })
}

/// Checks the fields that nothing else is compared with.
fn check_details(fields: &Fields<'_>) -> Result<(), Refusal> {
    fields.text("orgnNatCd", 5)?;
    fields.text("pkgUnitCd", 5)?;
    fields.text("qtyUnitCd", 5)?;
    fields.check_optional_texts(&[
        ("itemStdNm", 200),
        ("btchNo", 10),
        ("bcd", 20),
        ("addInfo", 7),
    ])?;
    fields.amount("dftPrc", 18, 2)?;
    for level in 1..=5 {
        fields.optional_amount(&format!("grpPrcL{level}"), 18, 2)?;
    }
    fields.optional_amount("sftyQty", 13, 2)?;
    fields.code("isrcAplcbYn", &["Y", "N"])?;
    fields.code("useYn", &["Y", "N"]).map(drop)
}

/// Checks the code and the class of an item. The result is its number, or `None` for an update.
fn check_on_gateway(
    caller: &mut Caller<'_>,
    fields: &Fields<'_>,
    code: &str,
    class: &str,
) -> Result<Option<i64>, Refusal> {
    caller.device()?.initialisations.check_items()?;
    let found = read_number(fields, code)?;
    if caller.config.strict_item_classes && !codes::ITEM_CLASSES.contains(&class) {
        return Err(Refusal::broken_rule(
            "Ensure you use a valid item classification code from the Get Item Classification List \
             endpoint"
                .into(),
        ));
    }

    let update = caller.taxpayer().items.get(code).is_some();
    if update && !caller.config.strict_item_updates {
        return Ok(None);
    }
    let numbered = numbered(caller, code);
    check_number(found, caller.taxpayer().next_number(&numbered))?;
    Ok(Some(found))
}

/// The running number of a code that is made up of the fields.
fn read_number(fields: &Fields<'_>, code: &str) -> Result<i64, Refusal> {
    let country = fields.text("orgnNatCd", 5)?;
    let item_type = fields.text("itemTyCd", 5)?;
    let package = fields.text("pkgUnitCd", 5)?;
    let unit = fields.text("qtyUnitCd", 5)?;
    let coded = CodedFields {
        country: &country,
        item_type: &item_type,
        package: &package,
        unit: &unit,
    };
    coded.check_lists()?;
    coded.check_code(code)
}

fn numbered(caller: &Caller<'_>, code: &str) -> Numbered {
    let prefix = match caller.config.item_numbers_per {
        ItemNumbers::Pin => None,
        ItemNumbers::Prefix => code.get(..7).map(str::to_owned),
    };
    Numbered::Items { prefix }
}
