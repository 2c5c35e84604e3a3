//! Stock: movements under running numbers, the level of each item, and transfers to the branch.

use serde_json::json;

use super::{Caller, check_body_has_branch, last_request_time, list_reply};
use crate::config::StockNumbers;
use crate::fields::Fields;
use crate::json_object::{select, set};
use crate::records::taxpayer::Numbered;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::rules::movement::Movement;
use crate::rules::users::{WHO, check_users};
use crate::seeded;

const MOVEMENT: [&str; 10] = [
    "custTin",
    "custBhfId",
    "sarNo",
    "ocrnDt",
    "totItemCnt",
    "totTaxblAmt",
    "totTaxAmt",
    "totAmt",
    "remark",
    "itemList",
];

pub(super) fn move_goods(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let rules = caller.rules();
    let movement = Movement::read(fields, rules, caller.taxpayer())?;
    let number = movement.number;
    let numbered = numbered(caller);
    let expected = caller.taxpayer().next_number(&numbered);
    if number != expected {
        let filed = caller.device()?.stock.movements.get(&number);
        let resend = filed.is_some_and(|filed| is_same(filed, &movement));
        return Err(wrong_number(number, expected, resend).into());
    }
    caller.device()?.stock.apply(movement)?;
    caller.taxpayer().take_number(numbered, number);
    Ok(Reply::done(&()))
}

fn numbered(caller: &Caller<'_>) -> Numbered {
    let bhf = match caller.config.stock_numbers_per {
        StockNumbers::Pin => None,
        StockNumbers::Branch => Some(caller.branch.bhf.clone()),
    };
    Numbered::StockMovements { bhf }
}

fn is_same(filed: &Movement, other: &Movement) -> bool {
    let names: Vec<&str> = filed.row.fields.keys().map(String::as_str).collect();
    filed.row.select(&names) == other.row.select(&names)
}

fn wrong_number(found: i64, expected: i64, resend: bool) -> Refusal {
    let kind = if resend {
        RefusalKind::Resend
    } else {
        RefusalKind::Sequence
    };
    let text = format!("Invalid sarNo: Expected: {expected} but found: {found}");
    let message = format!("Request parameter error[{text}]");
    Refusal::new(kind, "910", &message, text)
}

/// Takes the level of an item, which must be the running sum that KRA has.
pub(super) fn report_level(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let code = fields.text("itemCd", 20)?;
    let found = fields.amount("rsdQty", 13, 2)?;
    check_users(fields, &WHO)?;
    caller.taxpayer().item(&code)?;
    let device = caller.device()?;
    let Some(expected) = device.stock.level(&code) else {
        let text = "Stock IO is empty, consider adding items to the stock IO first";
        return Err(Refusal::broken_rule(text.into()).into());
    };
    if found != expected {
        let (expected, found) = (expected.normalize(), found.normalize());
        let text = format!("rsdQty mismatch. Expected: {expected} but found: {found}");
        // Seen live both ways. The seed picks one for each wrong level.
        let parts = ["mismatch", &code, &found.to_string()];
        let under_200 = seeded::hash(caller.config.seed, &parts).is_multiple_of(2);
        return Err(Refusal {
            gateway_status: if under_200 { 200 } else { 400 },
            ..Refusal::broken_rule(text)
        }
        .into());
    }
    device.stock.reported.insert(code, found);
    Ok(Reply::done(&()))
}

/// What other branches of the PIN have moved to this one. Goods in and out look alike.
pub(super) fn movements(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    check_body_has_branch(caller, fields)?;
    let since = last_request_time(fields)?;
    let ours = (caller.branch.tin.clone(), caller.branch.bhf.clone());
    let mut rows = Vec::new();
    for (branch, device) in &caller.records.devices {
        if branch.tin != ours.0 || branch.bhf == ours.1 {
            continue;
        }
        let transfers = device.stock.movements.values().filter(|movement| {
            !movement.goods_in
                && movement.other_branch.as_ref() == Some(&ours)
                && movement.row.saved_at > since
        });
        rows.extend(transfers.map(|movement| {
            let mut shown = movement.row.fields.clone();
            set(&mut shown, "custTin", json!(branch.tin).to_string());
            set(&mut shown, "custBhfId", json!(branch.bhf).to_string());
            select(&MOVEMENT, &shown)
        }));
    }
    Ok(list_reply("stockList", &rows))
}
