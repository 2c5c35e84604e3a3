//! What KRA does with a call when nothing goes wrong.

use crate::auth;
use crate::clock;
use crate::codes;
use crate::config::Dialect;
use crate::device::{Device, HiddenUntil, Receipt};
use crate::envelope::{Reply, pad_keys};
use crate::fault_script::FaultPlan;
use crate::fields::Fields;
use crate::initialise;
use crate::kra_api::Request;
use crate::lookup;
use crate::records::{Branch, FilingOutcome, not_valid};
use crate::refusal::{Mistake, Refusal};
use crate::routes::Call;
use crate::sale::{Sale, SaleRules};
use crate::server::Simulator;
use crate::tax::Rates;
use serde_json::json;
use std::time::Instant;

impl Simulator {
    /// `late` marks a request that arrives after its caller was cut off: what is refused then is
    /// no mistake of the caller's.
    pub(crate) fn process(&self, request: &Request, plan: &FaultPlan, late: bool) -> Reply {
        let reply = self
            .attempt(request, plan, late)
            .unwrap_or_else(|reply| reply);
        match &reply {
            Reply::Refused(_) if late => self.traffic.change(|counts| counts.late_refused += 1),
            Reply::Refused(refusal) => {
                self.traffic
                    .note(&request.path, request.credentials.branch.as_ref(), refusal)
            }
            Reply::Unauthorised if request.call == Call::Token => {
                let refusal = Refusal::new(
                    Mistake::Auth,
                    "401",
                    "",
                    "wrong consumer key or secret".into(),
                );
                self.traffic.note(&request.path, None, &refusal);
            }
            Reply::Unauthorised => self.traffic.change(|counts| counts.unauthorised += 1),
            _ => {}
        }
        reply
    }

    fn attempt(&self, request: &Request, plan: &FaultPlan, late: bool) -> Result<Reply, Reply> {
        let mut records = self.records();
        match request.call {
            Call::Token => {
                return Ok(auth::issue_token(
                    &mut records,
                    &self.config,
                    &request.headers,
                    &request.query,
                ));
            }
            Call::Initialise => {
                return initialise::initialise(
                    &mut records,
                    &self.config,
                    &request.credentials,
                    &request.body,
                );
            }
            _ => {}
        }
        let branch = request.credentials.check(&mut records, &self.config)?;
        drop(records);
        let fields = Fields::of_body(&request.body).map_err(Reply::Refused)?;
        match request.call {
            Call::Sale => self.sale(&branch, request, &fields, plan, late),
            Call::Lookup if plan.lag.is_some() => Ok(Reply::Nothing),
            Call::Lookup => self.look_up(&branch, &fields),
            Call::SalesList => self.sales_list(&branch, &fields),
            Call::CodeList => {
                last_request(&fields)?;
                Ok(Reply::done(&codes::listing(Rates::new(self.config.rate_e))))
            }
            Call::Other => Ok(Reply::Nothing),
            // Both are answered above, before anybody is known.
            Call::Token | Call::Initialise => Ok(Reply::Nothing),
            Call::SaveItem => self.with_device(&branch, |device| device.save_item(&fields)),
            Call::StockInOut => self.with_device(&branch, |device| device.move_stock(&fields)),
            Call::StockLevel => self.with_device(&branch, |device| device.level_stock(&fields)),
        }
    }

    fn sale(
        &self,
        branch: &Branch,
        request: &Request,
        fields: &Fields<'_>,
        plan: &FaultPlan,
        late: bool,
    ) -> Result<Reply, Reply> {
        let rules = SaleRules::new(self.config.dialect, Rates::new(self.config.rate_e));
        let sale = Sale::read(fields, rules).map_err(Reply::Refused)?;
        let number = sale.invoice_no;
        let mut records = self.records();
        let filed = records
            .file(branch, sale, &request.body, &self.config, late)
            .map_err(Reply::Refused)?;
        let receipt = match filed {
            FilingOutcome::Accepted(receipt) => receipt,
            FilingOutcome::Full => return Ok(Reply::Full),
        };
        let device = records
            .devices
            .get_mut(branch)
            .ok_or_else(|| Reply::Refused(not_valid()))?;
        if let (Some((time, look_ups)), Some(filed)) = (plan.lag, device.sales.get_mut(&number)) {
            filed.hidden = HiddenUntil {
                until: time.map(|time| Instant::now() + time),
                look_ups,
            };
        }
        Ok(self.receipt(device, &receipt, plan.padded))
    }

    fn with_device(
        &self,
        branch: &Branch,
        change: impl FnOnce(&mut Device) -> Result<(), Refusal>,
    ) -> Result<Reply, Reply> {
        let mut records = self.records();
        let device = records
            .devices
            .get_mut(branch)
            .ok_or_else(|| Reply::Refused(not_valid()))?;
        change(device)
            .map(|()| Reply::done(&()))
            .map_err(Reply::Refused)
    }

    fn receipt(&self, device: &Device, receipt: &Receipt, padded: bool) -> Reply {
        let at = clock::compact(receipt.at);
        if self.config.dialect == Dialect::Vscu {
            return Reply::done(&json!({
                "rcptNo": receipt.current, "intrlData": receipt.internal_data, "rcptSign": receipt.signature,
                "totRcptNo": receipt.total, "vsdcRcptPbctDate": at, "sdcId": device.sdc_id, "mrcNo": device.mrc_no,
            }));
        }
        let reply = Reply::done(&json!({
            "curRcptNo": receipt.current.to_string(), "totRcptNo": receipt.total.to_string(),
            "intrlData": receipt.internal_data, "rcptSign": receipt.signature, "sdcDateTime": at,
        }));
        match reply {
            Reply::Done(data) if padded => Reply::Done(pad_keys(&data)),
            reply => reply,
        }
    }

    fn look_up(&self, branch: &Branch, fields: &Fields<'_>) -> Result<Reply, Reply> {
        let number = fields.integer("invcNo").map_err(Reply::Refused)?;
        let mut records = self.records();
        Ok(match records.look_up(branch, number) {
            Some(filed) => Reply::Found(lookup::sales_list(std::iter::once(filed))),
            None => Reply::Nothing,
        })
    }

    fn sales_list(&self, branch: &Branch, fields: &Fields<'_>) -> Result<Reply, Reply> {
        let since = last_request(fields)?;
        let records = self.records();
        let sales = records
            .devices
            .get(branch)
            .into_iter()
            .flat_map(|device| device.sales.values());
        let mut changed = sales
            .filter(|filed| filed.receipt.at > since && !filed.hidden.now())
            .peekable();
        Ok(match changed.peek() {
            Some(_) => Reply::Found(lookup::sales_list(changed)),
            None => Reply::Nothing,
        })
    }
}

/// `lastReqDt`: look-ups tell what changed since then.
fn last_request(fields: &Fields<'_>) -> Result<jiff::civil::DateTime, Reply> {
    fields
        .time("lastReqDt", clock::now())
        .map_err(Reply::Refused)
}
