//! What KRA does with each call but a sale: one file for each group of calls. Those that a branch
//! makes once it is initialised are answered by [`answer`].

mod branch_data;
mod composition;
mod imports;
pub(crate) mod initialise;
mod items;
pub(crate) mod lookup;
mod public_lists;
mod purchases;
mod stock;

use jiff::civil::DateTime;

use crate::branch::Branch;
use crate::clock;
use crate::config::{Config, Dialect};
use crate::device::Device;
use crate::fields::Fields;
use crate::json_object;
use crate::records::KraRecords;
use crate::records::taxpayer::Taxpayer;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::routes::Call;
use crate::sale::SaleRules;
use crate::tax::Rates;

/// A caller that has proven its device, with all that its call may read and change.
pub(crate) struct Caller<'a> {
    pub(crate) branch: &'a Branch,
    pub(crate) config: &'a Config,
    pub(crate) records: &'a mut KraRecords,
    /// The query of the request's path.
    pub(crate) query: &'a str,
    /// When the call came.
    pub(crate) now: DateTime,
}

impl Caller<'_> {
    fn device(&mut self) -> Result<&mut Device, Refusal> {
        self.records.device_mut(self.branch)
    }

    fn taxpayer(&mut self) -> &mut Taxpayer {
        self.records.taxpayer_mut(&self.branch.tin)
    }

    fn is_gateway(&self) -> bool {
        self.config.dialect == Dialect::Gateway
    }

    fn rules(&self) -> SaleRules {
        SaleRules {
            now: self.now,
            ..SaleRules::new(self.config.dialect, Rates::new(self.config.rate_e))
        }
    }

    /// Whether the lists that KRA seeds late came to be after `since`. That is when the device has
    /// filed its first sales, as far as look-ups see them.
    fn late_lists_since(&mut self, since: DateTime) -> Result<bool, Refusal> {
        let Some(before_last) = self.config.late_lists_after.checked_sub(1) else {
            return Ok(true);
        };
        let sales = self.device()?.sales.values();
        let seeding_sale = sales.filter(|filed| !filed.is_hidden()).nth(before_last);
        Ok(seeding_sale.is_some_and(|filed| filed.receipt.at > since))
    }
}

/// Answers a call of this group.
///
/// # Errors
/// The refusal, or the answer of a simulator that keeps no more. Nothing changed.
pub(crate) fn answer(
    call: Call,
    caller: &mut Caller<'_>,
    fields: &Fields<'_>,
) -> Result<Reply, Reply> {
    match call {
        Call::ItemClasses => public_lists::item_classes(fields),
        Call::Branches => public_lists::branches(caller, fields),
        Call::Notices => public_lists::notices(fields),
        Call::Taxpayer => public_lists::taxpayer(caller, fields),
        Call::SaveCustomer => branch_data::save_customer(caller, fields),
        Call::SaveUser => branch_data::save_user(caller, fields),
        Call::SaveInsurance => branch_data::save_insurance(caller, fields),
        Call::Customers => branch_data::customers(caller, fields),
        Call::PinCheck => branch_data::check_pin(caller, fields),
        Call::ItemList => items::list(caller, fields),
        Call::SaveItem => items::save(caller, fields),
        Call::SaveComposition => composition::save(caller, fields),
        Call::ImportedItems => imports::list(caller, fields),
        Call::UpdateImportedItem => imports::update(caller, fields),
        Call::Purchases => purchases::list(caller, fields),
        Call::SavePurchase => purchases::save(caller, fields),
        Call::StockInOut => stock::move_goods(caller, fields),
        Call::StockLevel => stock::report_level(caller, fields),
        Call::StockMovements => stock::movements(caller, fields),
        _ => Ok(Reply::done(&())),
    }
}

/// `lastReqDt`: a list answers with what changed since then.
pub(crate) fn last_request_time(fields: &Fields<'_>) -> Result<DateTime, Refusal> {
    fields.time("lastReqDt", clock::now())
}

/// Some look-ups of the gateway want the PIN and the branch in the body as well.
fn check_body_has_branch(caller: &Caller<'_>, fields: &Fields<'_>) -> Result<(), Refusal> {
    if caller.is_gateway() {
        fields.text("tin", 11)?;
        fields.text("bhfId", 2)?;
    }
    Ok(())
}

/// A list with these rows, or that there is nothing.
fn list_reply(name: &str, rows: &[String]) -> Reply {
    if rows.is_empty() {
        Reply::Nothing
    } else {
        Reply::Found(json_object::list(name, rows))
    }
}
