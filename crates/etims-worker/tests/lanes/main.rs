//! The real program with real servers and a simulated tax authority.
#![expect(clippy::unwrap_used, reason = "tests")]

mod buyers;
mod cap;
mod evidence;
mod failing_invoices;
mod filing;
mod fixture;
mod gauges;
mod host_trouble;
mod killed_workers;
mod late_look_ups;
mod lost_answers;
mod number_owners;
mod number_steps;
mod outcomes;
mod refused_in_words;
mod server_outages;
mod share;
mod spread;
mod tax_rates;
mod vscu;
mod wake_ups;
