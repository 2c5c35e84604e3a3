//! What KRA tells everybody: item classes, notices, the branches of a PIN and its taxpayer.

use jiff::civil::{DateTime, date};
use serde_json::{Value, json};

use super::{Caller, last_request_time, list_reply};
use crate::calls::initialise::TAXPAYER_NAME;
use crate::clock;
use crate::codes::ITEM_CLASSES;
use crate::fields::Fields;
use crate::reply::Reply;

/// When the lists last changed. A look-up since then finds nothing.
const CLASSES_AT: DateTime = date(2026, 9, 17).at(0, 0, 0, 0);
const BRANCHES_AT: DateTime = date(2024, 1, 2).at(0, 0, 0, 0);

/// The notices: number, title and when they were written.
const NOTICES: [(u32, &str, DateTime); 2] = [
    (1, "Item classifications", date(2026, 9, 17).at(9, 0, 0, 0)),
    (2, "Buyer PIN on invoices", date(2025, 11, 3).at(9, 0, 0, 0)),
];

pub(super) fn item_classes(fields: &Fields<'_>) -> Result<Reply, Reply> {
    let since = last_request_time(fields)?;
    let rows = ITEM_CLASSES.iter().filter(|_| CLASSES_AT > since);
    let rows: Vec<String> = rows.map(|class| item_class(class).to_string()).collect();
    Ok(list_reply("itemClsList", &rows))
}

/// The level of a class is told by how many pairs of its digits are used.
fn item_class(code: &str) -> Value {
    let zeros = code.bytes().rev().take_while(|byte| *byte == b'0').count();
    json!({
        "itemClsCd": code,
        "itemClsNm": format!("Class {code}"),
        "itemClsLvl": 5 - zeros.min(9) / 2,
        "taxTyCd": (code == "9901200000").then_some("C"),
        "mjrTgYn": null,
        "useYn": "Y",
    })
}

pub(super) fn notices(fields: &Fields<'_>) -> Result<Reply, Reply> {
    let since = last_request_time(fields)?;
    let rows: Vec<String> = NOTICES
        .iter()
        .filter(|(_, _, at)| *at > since)
        .map(|(number, title, at)| {
            json!({
                "noticeNo": number,
                "title": title,
                "cont": format!("{title}: read the portal."),
                "dtlUrl": format!("https://etims.example.test/notices/{number}"),
                "regrNm": "KRA",
                "regDt": clock::compact(*at),
            })
            .to_string()
        })
        .collect();
    Ok(list_reply("noticeList", &rows))
}

pub(super) fn branches(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let since = last_request_time(fields)?;
    let tin = &caller.branch.tin;
    let branches = caller.records.devices.keys();
    let rows: Vec<String> = branches
        .filter(|branch| branch.tin == *tin && BRANCHES_AT > since)
        .map(|branch| branch_row(tin, &branch.bhf).to_string())
        .collect();
    Ok(list_reply("bhfList", &rows))
}

fn branch_row(tin: &str, bhf: &str) -> Value {
    let headquarter = bhf == "00";
    json!({
        "tin": tin,
        "bhfId": bhf,
        "bhfNm": if headquarter { "Headquarter".to_owned() } else { format!("Branch {bhf}") },
        "bhfSttsCd": "01",
        "prvncNm": "Nairobi",
        "dstrtNm": "Westlands",
        "sctrNm": "Parklands",
        "locDesc": "Shop 4, Sample Plaza",
        "mgrNm": "Test Manager",
        "mgrTelNo": "0700000000",
        "mgrEmail": "manager@example.test",
        "hqYn": if headquarter { "Y" } else { "N" },
    })
}

/// The PIN may be in the body or in the path's query, as one integrator had to send it.
pub(super) fn taxpayer(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let in_query = format!("tin={}", caller.branch.tin);
    if !caller.query.split('&').any(|pair| pair == in_query) {
        fields.text("tin", 11)?;
    }
    Ok(Reply::done(&json!({
        "info": { "taxprNm": TAXPAYER_NAME, "vatTyCd": "1" },
    })))
}
