//! Customers, users and insurances of a branch.

use serde_json::json;

use super::{Caller, last_request_time, list_reply};
use crate::fields::Fields;
use crate::json_object::{JsonObject, select, set};
use crate::records::kept::Row;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::rules::users::{WHO, check_users};

const CUSTOMER: [&str; 13] = [
    "custNo", "custTin", "custNm", "adrs", "telNo", "email", "faxNo", "useYn", "remark", "regrId",
    "regrNm", "modrId", "modrNm",
];

const TAXPAYER: [&str; 7] = [
    "tin",
    "taxprNm",
    "taxprSttsCd",
    "prvncNm",
    "dstrtNm",
    "sctrNm",
    "locDesc",
];

pub(super) fn save_customer(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let number = fields.text("custNo", 9)?;
    if fields.optional_pin("custTin")?.is_none() {
        let message = "Request parameter error[<custTin> : may not be empty]";
        let text = "custTin cannot be empty or Null".to_owned();
        return Err(Refusal::new(RefusalKind::Fields, "910", message, text).into());
    }
    fields.text("custNm", 60)?;
    fields.check_optional_texts(&[
        ("adrs", 300),
        ("telNo", 20),
        ("email", 50),
        ("faxNo", 20),
        ("remark", 1000),
    ])?;
    check_use(fields)?;

    let mut row = Row::new(fields, caller.now);
    // Lists show nobody who modified the row. Seen live.
    for name in ["modrId", "modrNm"] {
        row.fields.remove(name);
    }
    let device = caller.device()?;
    device.branch_data.customers.put(number, row)?;
    Ok(Reply::done(&()))
}

pub(super) fn save_user(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let id = fields.text("userId", 20)?;
    fields.text("userNm", 60)?;
    fields.text("pwd", 255)?;
    fields.check_optional_texts(&[
        ("adrs", 200),
        ("cntc", 20),
        ("authCd", 100),
        ("remark", 2000),
    ])?;
    check_use(fields)?;

    let mut row = Row::new(fields, caller.now);
    row.fields.remove("pwd");
    caller.device()?.branch_data.users.put(id, row)?;
    Ok(Reply::done(&()))
}

pub(super) fn save_insurance(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let code = fields.text("isrccCd", 10)?;
    fields.text("isrccNm", 100)?;
    fields.amount("isrcRt", 3, 0)?;
    check_use(fields)?;
    let row = Row::new(fields, caller.now);
    caller.device()?.branch_data.insurances.put(code, row)?;
    Ok(Reply::done(&()))
}

fn check_use(fields: &Fields<'_>) -> Result<(), Refusal> {
    fields.code("useYn", &["Y", "N"])?;
    check_users(fields, &WHO)
}

/// The customers that the branch has saved. VSCU has the check of a PIN under the same path.
pub(super) fn customers(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    if fields.raw("custmTin").is_some() {
        return check_pin(caller, fields);
    }
    let since = last_request_time(fields)?;
    let customers = caller.device()?.branch_data.customers.values();
    let rows: Vec<String> = customers
        .filter(|row| row.saved_at > since)
        .map(|row| row.select(&CUSTOMER))
        .collect();
    Ok(list_reply("custList", &rows))
}

/// `/selectCustomer` of the specification. KRA has a name for the PINs that the branch has saved.
pub(super) fn check_pin(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let Some(pin) = fields.optional_pin("custmTin")? else {
        return Err(fields.missing("custmTin").into());
    };
    let pin = json!(pin).to_string();
    let mut customers = caller.device()?.branch_data.customers.values();
    let known = customers.find(|row| {
        let tin = row.fields.get("custTin");
        tin.is_some_and(|tin| tin.get() == pin)
    });
    let rows: Vec<String> = known.map(taxpayer_row).into_iter().collect();
    Ok(list_reply("custList", &rows))
}

fn taxpayer_row(customer: &Row) -> String {
    let of_customer = |name: &str| {
        let value = customer.fields.get(name);
        value.map_or("null", |value| value.get()).to_owned()
    };
    let mut shown = JsonObject::new();
    set(&mut shown, "tin", of_customer("custTin"));
    set(&mut shown, "taxprNm", of_customer("custNm"));
    set(&mut shown, "taxprSttsCd", json!("A").to_string());
    select(&TAXPAYER, &shown)
}
