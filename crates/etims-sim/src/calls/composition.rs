//! The composition of an item, which is kept and never shown.

use super::Caller;
use crate::fields::Fields;
use crate::records::kept::Row;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rules::users::check_users;

pub(super) fn save(caller: &mut Caller<'_>, fields: &Fields<'_>) -> Result<Reply, Reply> {
    let made = fields.text("itemCd", 20)?;
    let part = fields.text("cpstItemCd", 20)?;
    let quantity = fields.amount("cpstQty", 13, 2)?;
    if quantity.is_zero() {
        return Err(fields.missing("cpstQty").into());
    }
    check_users(fields, &["regrId", "regrNm"])?;

    let taxpayer = caller.taxpayer();
    if taxpayer.item(&made)?.service {
        return Err(
            Refusal::broken_rule("You cannot create an service using an item".into()).into(),
        );
    }
    taxpayer.item(&part)?;
    caller.device()?.stock.check_enough(&part, quantity)?;

    let row = Row::new(fields, caller.now);
    caller.taxpayer().compositions.put((made, part), row)?;
    Ok(Reply::done(&()))
}
