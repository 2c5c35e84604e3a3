//! What KRA does with each call when nothing goes wrong.

use std::iter;
use std::time::Instant;

use serde_json::json;

use crate::auth;
use crate::branch::Branch;
use crate::calls::{self, Caller, initialise, last_request_time, lookup};
use crate::clock;
use crate::codes;
use crate::config::Dialect;
use crate::device::{Device, HiddenUntil, Receipt};
use crate::faults::script::FaultPlan;
use crate::fields::Fields;
use crate::journal::{JournalBroken, JournalEntry};
use crate::records::FilingOutcome;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::request::KraRequest;
use crate::routes::Call;
use crate::sale::{Sale, SaleRules};
use crate::simulator::Simulator;
use crate::tax::Rates;

impl Simulator {
    /// Does what a call asks for, and counts its refusal.
    ///
    /// A request is `late` when its caller was cut off before it arrived. Its refusal is no
    /// mistake of the caller's.
    pub(crate) fn handle_call(&self, request: &KraRequest, plan: &FaultPlan, late: bool) -> Reply {
        let reply = self
            .reply_to(request, plan, late)
            .unwrap_or_else(|reply| reply);
        self.count_reply(request, &reply, late);
        self.show_on_test_page(request, &reply);
        reply
    }

    fn count_reply(&self, request: &KraRequest, reply: &Reply, late: bool) {
        match reply {
            Reply::Refused(_) if late => self.traffic.update(|counts| counts.late_refused += 1),
            Reply::Refused(refusal) => {
                let branch = request.credentials.branch.as_ref();
                self.traffic.count_refusal(&request.path, branch, refusal);
            }
            Reply::Unauthorised if request.call == Call::Token => {
                let text = "wrong consumer key or secret";
                let refusal = Refusal::new(RefusalKind::Auth, "401", "", text.into());
                self.traffic.count_refusal(&request.path, None, &refusal);
            }
            Reply::Unauthorised => self.traffic.update(|counts| counts.unauthorised += 1),
            _ => {}
        }
    }

    /// The reply to a call. The error is a reply as well, so that `?` ends a call that is refused.
    fn reply_to(&self, request: &KraRequest, plan: &FaultPlan, late: bool) -> Result<Reply, Reply> {
        let mut records = self.records();
        let branch = match request.call {
            Call::Token => {
                let reply =
                    auth::issue_token(&mut records, &self.config, &request.headers, &request.query);
                return Ok(reply);
            }
            Call::Initialise => {
                return initialise::initialise(
                    &mut records,
                    &self.config,
                    &request.credentials,
                    &request.body,
                );
            }
            Call::Unwired => return Ok(Reply::Unwired),
            _ => request.credentials.authenticate(&records, &self.config)?,
        };
        drop(records);
        if plan.lookup_lag.is_some() && request.call.is_look_up() {
            return Ok(Reply::Nothing);
        }

        let fields = Fields::of_body(&request.body)?;
        match request.call {
            Call::Sale => self.file_sale(&branch, request, &fields, plan, late),
            Call::Lookup => self.look_up(&branch, &fields),
            Call::SalesList => self.list_sales(&branch, &fields),
            Call::CodeList => {
                last_request_time(&fields)?;
                let rates = Rates::new(self.config.rate_e);
                Ok(Reply::done(&codes::code_list(rates)))
            }
            _ => self.answer_caller(&branch, request, &fields),
        }
    }

    /// Answers a call that is none of sales. The journal has a write before the caller learns of
    /// it.
    fn answer_caller(
        &self,
        branch: &Branch,
        request: &KraRequest,
        fields: &Fields<'_>,
    ) -> Result<Reply, Reply> {
        let now = clock::now();
        let mut records = self.records();
        let mut caller = Caller {
            branch,
            config: &self.config,
            records: &mut records,
            query: &request.query,
            now,
        };
        let reply = calls::answer(request.call, &mut caller, fields)?;
        if !request.call.is_write() {
            return Ok(reply);
        }
        let entry = JournalEntry::Write {
            branch: branch.clone(),
            call: request.call,
            body: String::from_utf8_lossy(&request.body).into_owned(),
            at: now,
        };
        match records.journal.write(&entry) {
            Ok(()) => Ok(reply),
            // It is unknown to the caller, as if the answer was lost.
            Err(JournalBroken) => Ok(Reply::Full),
        }
    }

    /// Shows the answer on KRA's test page, where the device is known.
    fn show_on_test_page(&self, request: &KraRequest, reply: &Reply) {
        let mut records = self.records();
        let branch = request.credentials.branch.as_ref();
        if let Some(device) = branch.and_then(|branch| records.devices.get_mut(branch)) {
            device
                .test_page
                .note(request.call, &request.path, reply, self.config.dialect);
        }
    }

    fn file_sale(
        &self,
        branch: &Branch,
        request: &KraRequest,
        fields: &Fields<'_>,
        plan: &FaultPlan,
        late: bool,
    ) -> Result<Reply, Reply> {
        let rules = SaleRules {
            strict_discounts: self.config.strict_discounts,
            ..SaleRules::new(self.config.dialect, Rates::new(self.config.rate_e))
        };
        let sale = Sale::read(fields, rules)?;
        let number = sale.invoice_no;
        let mut records = self.records();
        let receipt = match records.file(branch, sale, &request.body, &self.config, late)? {
            FilingOutcome::Accepted(receipt) => receipt,
            FilingOutcome::Full => return Ok(Reply::Full),
        };

        let device = records.device_mut(branch)?;
        if let (Some(lag), Some(filed)) = (plan.lookup_lag, device.sales.get_mut(&number)) {
            filed.hidden = HiddenUntil {
                time: lag.time.map(|time| Instant::now() + time),
                look_ups: lag.look_ups,
            };
        }
        Ok(self.receipt_reply(device, &receipt, plan.padded_keys))
    }

    fn receipt_reply(&self, device: &Device, receipt: &Receipt, padded_keys: bool) -> Reply {
        let at = clock::compact(receipt.at);
        if self.config.dialect == Dialect::Vscu {
            return Reply::done(&json!({
                "rcptNo": receipt.current,
                "intrlData": receipt.internal_data,
                "rcptSign": receipt.signature,
                "totRcptNo": receipt.total,
                "vsdcRcptPbctDate": at,
                "sdcId": device.sdc_id,
                "mrcNo": device.mrc_no,
            }));
        }
        let reply = Reply::done(&json!({
            "curRcptNo": receipt.current.to_string(),
            "totRcptNo": receipt.total.to_string(),
            "intrlData": receipt.internal_data,
            "rcptSign": receipt.signature,
            "sdcDateTime": at,
        }));
        if padded_keys {
            reply.with_padded_keys()
        } else {
            reply
        }
    }

    fn look_up(&self, branch: &Branch, fields: &Fields<'_>) -> Result<Reply, Reply> {
        let number = fields.integer("invcNo")?;
        let mut records = self.records();
        Ok(match records.look_up(branch, number) {
            Some(filed) => Reply::Found(lookup::sales_list(iter::once(filed))),
            None => Reply::Nothing,
        })
    }

    fn list_sales(&self, branch: &Branch, fields: &Fields<'_>) -> Result<Reply, Reply> {
        let since = last_request_time(fields)?;
        let records = self.records();
        let mut changed = records
            .devices
            .get(branch)
            .into_iter()
            .flat_map(|device| device.sales.values())
            .filter(|filed| filed.receipt.at > since && !filed.is_hidden())
            .peekable();
        Ok(match changed.peek() {
            Some(_) => Reply::Found(lookup::sales_list(changed)),
            None => Reply::Nothing,
        })
    }
}
