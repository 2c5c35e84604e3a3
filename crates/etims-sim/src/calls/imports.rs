//! Imported items, which KRA seeds after the first sales.

use jiff::civil::DateTime;

use super::{Caller, last_request_time, list_reply};
use crate::codes;
use crate::fields::Fields;
use crate::records::imported_items::{self, ImportedItem};
use crate::records::kept::Row;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::rules::users::check_users;

pub(super) fn list(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let since = last_request_time(fields)?;
    let items = if caller.late_lists_since(since)? {
        seeded_items(caller)?
    } else {
        Vec::new()
    };
    let rows: Vec<String> = items.iter().map(|item| item.row().to_string()).collect();
    Ok(list_reply("itemList", &rows))
}

fn seeded_items(caller: &mut Caller<'_>) -> Result<Vec<ImportedItem>, Refusal> {
    let generation = caller.device()?.generation;
    Ok(imported_items::seeded_items(
        caller.config.seed,
        caller.branch,
        generation,
    ))
}

/// Assigns an imported item to a registered one. The list goes on showing it as it was.
pub(super) fn update(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let task = fields.text("taskCd", 50)?;
    let declared = fields.text("dclDe", 8)?;
    let sequence = fields.integer("itemSeq")?;
    let hs_code = fields.text("hsCd", 17)?;
    if fields.raw("itemClsCd").is_none() || fields.raw("itemCd").is_none() {
        let message = "Request parameter error, required: <itemClsCd> and <itemCd>";
        return Err(Refusal::coded(RefusalKind::Fields, "910", message).into());
    }
    fields.text("itemClsCd", 10)?;
    let code = fields.text("itemCd", 20)?;
    let state = fields.code("imptItemSttsCd", &codes::IMPORT_STATES)?;
    let remark = fields.optional_text("remark", 400)?;
    check_users(fields, &["modrId", "modrNm"])?;

    let seeded = caller.late_lists_since(DateTime::MIN)?;
    let items = seeded_items(caller)?;
    let item = items
        .iter()
        .find(|item| seeded && item.task == task)
        .ok_or_else(|| Refusal::broken_rule(format!("taskCd '{task}' not found.")))?;
    let verbatim = [
        ("dclDe", item.declared == declared),
        ("itemSeq", item.sequence == sequence),
        ("hsCd", item.hs_code == hs_code),
    ];
    if let Some((name, _)) = verbatim.into_iter().find(|(_, same)| !same) {
        return Err(fields.invalid(name, "is not that of the task").into());
    }
    caller.taxpayer().item(&code)?;
    if state == "3" && remark.is_none() {
        // Seen live: an approval without a remark fails like this every time.
        let message = "There is an unknown error. Please ask it administrator";
        return Err(Refusal::coded(RefusalKind::Fields, "999", message).into());
    }

    let row = Row::new(fields, caller.now);
    caller.device()?.import_updates.put(task, row)?;
    Ok(Reply::done(&()))
}
