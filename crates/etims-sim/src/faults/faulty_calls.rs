//! Handling a call together with the faults that are planned for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use tokio::time::sleep;

use crate::config::Dialect;
use crate::connection::Connection;
use crate::device::Attempt;
use crate::faults::fault::Fault;
use crate::faults::script::FaultPlan;
use crate::fields::Fields;
use crate::render::html;
use crate::reply::Reply;
use crate::request::KraRequest;
use crate::routes::Call;
use crate::simulator::Simulator;
use crate::traffic::InFlight;

/// Bound on the late deliveries that are still to come.
const MAX_LATE_DELIVERIES: usize = 10_000;

impl Simulator {
    /// Handles a call and returns its answer, or the answer of the fault that hits it.
    ///
    /// The call is handled when it comes in, and the latency passes before the answer. So a
    /// caller that gives up has not undone anything, and its call stays in flight until then.
    pub(crate) async fn handle_with_faults(
        self: &Arc<Self>,
        request: Arc<KraRequest>,
        plan: FaultPlan,
        connection: &Connection,
        in_flight: &InFlight,
    ) -> HttpResponse {
        self.count_faults(&plan);
        self.record_attempt(&request, &plan);
        let reply = match &plan.failure {
            None => Ok(self.handle_call(&request, &plan, false)),
            Some(fault) => {
                self.apply_to_request(&request, &plan, fault);
                Err(fault)
            }
        };

        sleep(self.config.latency + plan.delay.unwrap_or_default()).await;
        in_flight.note_hung_up();
        match reply {
            Ok(reply) => self.renderer().render(&reply),
            Err(fault) => self.faulty_answer(fault, connection).await,
        }
    }

    /// Applies the part of a fault that concerns the request.
    fn apply_to_request(
        self: &Arc<Self>,
        request: &Arc<KraRequest>,
        plan: &FaultPlan,
        fault: &Fault,
    ) {
        match fault {
            Fault::DeliverLate { ms, .. } => {
                self.deliver_late(request.clone(), plan, Duration::from_millis(*ms));
            }
            Fault::ExpiredToken => request.credentials.expire_token(&mut self.records()),
            Fault::AcceptThenDrop
            | Fault::Status { accept: true, .. }
            | Fault::Html { accept: true, .. }
            | Fault::Envelope { accept: true, .. } => {
                drop(self.handle_call(request, plan, false));
            }
            _ => {}
        }
    }

    /// The answer that a fault gives instead of the right one.
    async fn faulty_answer(&self, fault: &Fault, connection: &Connection) -> HttpResponse {
        match fault {
            Fault::Status {
                code, retry_after, ..
            } => self.status_answer(*code, *retry_after),
            Fault::DownFor {
                status: Some(code), ..
            } => self.status_answer(*code, None),
            Fault::Html { status, .. } => html(*status, "Maintenance"),
            Fault::Envelope {
                code: Some(code),
                message,
                status,
                ..
            } => self.renderer().coded(*status, code, message),
            Fault::Envelope {
                code: None,
                message,
                status,
                ..
            } => self.renderer().refused(status.unwrap_or(400), message),
            Fault::RefusedUnder200 { message } => self.renderer().refused(200, message),
            Fault::UnwiredPath => self.renderer().unwired(),
            Fault::ExpiredToken => self.renderer().render(&Reply::Unauthorised),
            Fault::DeliverLate { hold_ms, .. } => {
                sleep(Duration::from_millis(*hold_ms)).await;
                cut(connection)
            }
            _ => cut(connection),
        }
    }

    fn status_answer(&self, code: u16, retry_after: Option<u64>) -> HttpResponse {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = status.canonical_reason().unwrap_or("Error");
        let mut answer = self.renderer().server_error(status.as_u16(), text);
        if let Some(seconds) = retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }

    fn deliver_late(self: &Arc<Self>, request: Arc<KraRequest>, plan: &FaultPlan, after: Duration) {
        let pending = self.late_deliveries.fetch_add(1, Ordering::SeqCst);
        if pending >= MAX_LATE_DELIVERIES {
            // The request is lost, as a real one may be.
            self.late_deliveries.fetch_sub(1, Ordering::SeqCst);
            return;
        }

        let simulator = self.clone();
        let epoch = self.epoch.load(Ordering::SeqCst);
        let plan = FaultPlan {
            lookup_lag: plan.lookup_lag,
            ..FaultPlan::default()
        };
        tokio::spawn(async move {
            sleep(after).await;
            if simulator.epoch.load(Ordering::SeqCst) == epoch {
                simulator.handle_call(&request, &plan, true);
            }
            simulator.late_deliveries.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn count_faults(&self, plan: &FaultPlan) {
        let names = [
            plan.failure.as_ref().map(Fault::name),
            plan.delay.map(|_| "slow"),
            plan.lookup_lag.map(|_| "lookup_lag"),
            plan.padded_keys.then_some("blank_padded_keys"),
        ];
        self.traffic.update(|counts| {
            for name in names.into_iter().flatten() {
                *counts.faults.entry(name).or_default() += 1;
            }
        });
    }

    /// Records a sale or look-up of the device, and counts a sale that was sent again although
    /// its last answer was lost and nobody has looked it up since.
    fn record_attempt(&self, request: &KraRequest, plan: &FaultPlan) {
        let Ok(invoice_no) = Fields::of_body_or_empty(&request.body).integer("invcNo") else {
            return;
        };
        let answered = !plan.failure.as_ref().is_some_and(Fault::leaves_unknown);
        let mut records = self.records();
        let device = request
            .credentials
            .branch
            .as_ref()
            .and_then(|branch| records.devices.get_mut(branch));
        let Some(device) = device else {
            return;
        };

        let last = device
            .last_attempt
            .as_mut()
            .filter(|last| last.invoice_no == invoice_no);
        match (request.call, last) {
            (Call::Lookup, Some(last)) => last.looked_up |= answered,
            (Call::Sale, last) => {
                let unknown = last.is_some_and(|last| !last.answered && !last.looked_up);
                // VSCU has no look-up.
                if unknown && self.config.dialect != Dialect::Vscu {
                    self.traffic.count_resend_without_look_up();
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
    // Nobody receives this answer, but actix needs one that it fails to write.
    HttpResponse::InternalServerError().finish()
}
