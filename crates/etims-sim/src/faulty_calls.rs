//! Carrying out a call together with the faults planned for it.

use crate::config::Dialect;
use crate::connection::Connection;
use crate::device::Attempt;
use crate::envelope::{Reply, html};
use crate::fault_rule::Fault;
use crate::fault_script::FaultPlan;
use crate::fields::Fields;
use crate::kra_api::Request;
use crate::routes::Call;
use crate::server::Simulator;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Late deliveries on their way at once.
const MAX_DELAYED: usize = 10_000;

impl Simulator {
    /// What is processed is so when the call comes in; latency is spent before the answer.
    /// So a caller that gives up has not undone anything.
    pub(crate) async fn perform(
        self: &Arc<Self>,
        request: Arc<Request>,
        plan: FaultPlan,
        connection: &Connection,
    ) -> HttpResponse {
        self.count(&plan);
        self.record_attempt(&request, &plan);
        let reply = match &plan.outcome {
            None => Ok(self.process(&request, &plan, false)),
            Some(fault) => {
                self.before(&request, &plan, fault);
                Err(fault)
            }
        };
        sleep(self.config.latency + plan.slow.unwrap_or_default()).await;
        match reply {
            Ok(reply) => self.envelope().render(&reply),
            Err(fault) => self.faulty_answer(fault, connection).await,
        }
    }

    /// The part of a fault that happens to the request.
    fn before(self: &Arc<Self>, request: &Arc<Request>, plan: &FaultPlan, fault: &Fault) {
        match fault {
            Fault::DeliverLate { ms, .. } => {
                self.deliver_late(request.clone(), plan, Duration::from_millis(*ms))
            }
            Fault::ExpiredToken => request.credentials.expire_token(&mut self.records()),
            Fault::AcceptThenDrop
            | Fault::Status { accept: true, .. }
            | Fault::Html { accept: true, .. }
            | Fault::Envelope { accept: true, .. } => drop(self.process(request, plan, false)),
            _ => {}
        }
    }

    /// The part of a fault that happens to the answer.
    async fn faulty_answer(&self, fault: &Fault, connection: &Connection) -> HttpResponse {
        match fault {
            Fault::Status {
                code, retry_after, ..
            } => self.status(*code, *retry_after),
            Fault::DownFor {
                status: Some(code), ..
            } => self.status(*code, None),
            Fault::Html { status, .. } => html(*status, "Maintenance"),
            Fault::Envelope {
                code: Some(code),
                message,
                status,
                ..
            } => self.envelope().coded(*status, code, message),
            Fault::Envelope {
                code: None,
                message,
                status,
                ..
            } => self.envelope().refused(status.unwrap_or(400), message),
            Fault::RefusedUnder200 { message } => self.envelope().refused(200, message),
            Fault::ExpiredToken => self.envelope().render(&Reply::Unauthorised),
            Fault::DeliverLate { hold_ms, .. } => {
                sleep(Duration::from_millis(*hold_ms)).await;
                cut(connection)
            }
            _ => cut(connection),
        }
    }

    fn status(&self, code: u16, retry_after: Option<u64>) -> HttpResponse {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = status.canonical_reason().unwrap_or("Error");
        let mut answer = self.envelope().fault(status.as_u16(), text);
        if let Some(seconds) = retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }

    fn deliver_late(self: &Arc<Self>, request: Arc<Request>, plan: &FaultPlan, after: Duration) {
        if self.delayed.fetch_add(1, Ordering::SeqCst) >= MAX_DELAYED {
            // Lost for good, as a request may be.
            self.delayed.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let (simulator, epoch) = (self.clone(), self.epoch.load(Ordering::SeqCst));
        let plan = FaultPlan {
            lag: plan.lag,
            ..FaultPlan::default()
        };
        tokio::spawn(async move {
            sleep(after).await;
            if simulator.epoch.load(Ordering::SeqCst) == epoch {
                simulator.process(&request, &plan, true);
            }
            simulator.delayed.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn count(&self, plan: &FaultPlan) {
        let slow = plan.slow.map(|_| "slow");
        let lag = plan.lag.map(|_| "lookup_lag");
        let padded = plan.padded.then_some("blank_padded_keys");
        let names = [plan.outcome.as_ref().map(Fault::name), slow, lag, padded];
        for name in names.into_iter().flatten() {
            self.traffic
                .change(|counts| *counts.faults.entry(name).or_default() += 1);
        }
    }

    /// Notices a sale sent again although its last answer was lost and nobody looked it up since.
    fn record_attempt(&self, request: &Request, plan: &FaultPlan) {
        let Ok(invoice_no) = Fields::lenient(&request.body).integer("invcNo") else {
            return;
        };
        let answered = !plan.outcome.as_ref().is_some_and(Fault::leaves_unknown);
        let mut records = self.records();
        let device = request
            .credentials
            .branch
            .as_ref()
            .and_then(|branch| records.devices.get_mut(branch));
        let Some(device) = device else { return };
        let last = device
            .last_attempt
            .as_mut()
            .filter(|last| last.invoice_no == invoice_no);
        match (request.call, last) {
            (Call::Lookup, Some(last)) => last.looked_up |= answered,
            (Call::Sale, last) => {
                let blind = last.is_some_and(|last| !last.answered && !last.looked_up);
                if blind && self.config.dialect != Dialect::Vscu {
                    self.traffic.resent_without_look_up();
                }
                device.last_attempt = Some(Attempt {
                    invoice_no,
                    answered,
                    looked_up: false,
                });
            }
            _ => {}
        }
    }
}

fn cut(connection: &Connection) -> HttpResponse {
    connection.cut();
    // Nobody receives it; actix wants something to fail to write.
    HttpResponse::InternalServerError().finish()
}
