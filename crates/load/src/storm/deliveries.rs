//! The deliveries of a storm: payments and stray requests, shuffled within a window.

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::Method;
use tokio::sync::mpsc;

use super::delivery::{Delivery, Retries};
use super::fixed_rate::FixedRate;
use crate::cli::StormArgs;
use crate::draw::Draw;
use crate::fleet::Fleet;
use crate::record::Line;
use crate::traffic::generator::PaymentGenerator;
use crate::traffic::message::Provider;
use crate::traffic::stray_request::stray_request;

/// Most deliveries that are shuffled among each other.
const WINDOW: usize = 1500;
/// The number of payments of a storm at a fixed rate, which its duration ends. Stray requests are
/// numbered from here.
const WITHOUT_END: u64 = 1 << 40;
/// There is one stray request for this many payments.
const PAYMENTS_PER_STRAY: u64 = 25;

/// Turns numbers into payments and their deliveries, a window at a time.
pub(crate) struct Deliveries<'a> {
    generator: PaymentGenerator<'a>,
    payments: u64,
    window_max: usize,
    ingresses: usize,
    next_payment: u64,
    window: Vec<Delivery>,
    draw: Draw,
    record: mpsc::Sender<Line>,
}

impl<'a> Deliveries<'a> {
    pub(crate) fn new(fleet: &'a Fleet, args: &StormArgs, record: mpsc::Sender<Line>) -> Self {
        let fixed_rate = FixedRate::from_args(args);
        Self {
            generator: PaymentGenerator {
                fleet,
                seed: args.seed,
                now: Timestamp::now(),
            },
            payments: fixed_rate.map_or(args.payments, |_| WITHOUT_END),
            window_max: fixed_rate.map_or(WINDOW, |rate| rate.window().min(WINDOW)),
            ingresses: args.ingress.len(),
            next_payment: 0,
            window: Vec::new(),
            draw: Draw::new(args.seed, u64::MAX),
            record,
        }
    }

    /// How many payments were generated so far.
    pub(crate) fn generated(&self) -> u64 {
        self.next_payment.min(self.payments)
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Delivery>> {
        while self.window.len() < self.window_max && self.next_payment < self.payments {
            self.add_payment().await?;
        }
        if self.window.is_empty() {
            return Ok(None);
        }

        // The last of the window is often a copy of the delivery before it. Taking it now and then
        // sends duplicates in parallel.
        let at = if self.draw.percent(30) {
            self.window.len() - 1
        } else {
            self.draw.below(self.window.len())
        };
        Ok(Some(self.window.swap_remove(at)))
    }

    async fn add_payment(&mut self) -> anyhow::Result<()> {
        let number = self.next_payment;
        self.next_payment += 1;
        let payment = self.generator.payment(number);
        self.write(Line::Payment(payment.expected)).await?;

        for (at, message) in payment.messages.into_iter().enumerate() {
            let request = Arc::new(message.request);
            for copy in 1..=message.copies {
                self.window.push(Delivery {
                    number,
                    message: at,
                    copy,
                    provider: message.provider,
                    method: Method::POST,
                    to: self.draw.below(self.ingresses),
                    retries: Retries::AsGateway,
                    request: request.clone(),
                    due: None,
                });
            }
        }

        if number % PAYMENTS_PER_STRAY == PAYMENTS_PER_STRAY - 1 {
            self.add_stray(self.payments + number / PAYMENTS_PER_STRAY)
                .await?;
        }
        Ok(())
    }

    async fn add_stray(&mut self, number: u64) -> anyhow::Result<()> {
        let stray = stray_request(self.generator.fleet, self.generator.seed, number);
        self.write(Line::Stray(stray.stray)).await?;

        let request = Arc::new(stray.request);
        for copy in 1..=stray.copies {
            self.window.push(Delivery {
                number,
                message: 0,
                copy,
                provider: Provider::Daraja,
                method: stray.method.clone(),
                to: self.draw.below(self.ingresses),
                retries: Retries::Never,
                request: request.clone(),
                due: None,
            });
        }
        Ok(())
    }

    async fn write(&self, line: Line) -> anyhow::Result<()> {
        self.record
            .send(line)
            .await
            .ok()
            .context("the record can no longer be written")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fleet::tests::sample;

    async fn order(seed: u64) -> Vec<(u64, usize, u32, usize)> {
        let fleet = sample();
        let args = StormArgs {
            fleet: PathBuf::new(),
            ingress: vec!["http://a/".parse().unwrap(), "http://b/".parse().unwrap()],
            payments: 200,
            rate: None,
            duration: None,
            seed,
            concurrency: 1,
            record: PathBuf::new(),
        };
        let (record, mut lines) = mpsc::channel(10_000);
        let mut deliveries = Deliveries::new(&fleet, &args, record);
        let mut order = Vec::new();
        while let Some(delivery) = deliveries.next().await.unwrap() {
            order.push((
                delivery.number,
                delivery.message,
                delivery.copy,
                delivery.to,
            ));
        }
        drop(deliveries);

        let mut count = 0;
        while lines.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 200 + 200 / PAYMENTS_PER_STRAY);
        order
    }

    #[tokio::test]
    async fn seed_decides_order_copies_and_ingresses() {
        let once = order(3).await;
        assert_eq!(once, order(3).await);
        assert_ne!(once, order(4).await);
        assert!(once.iter().any(|delivery| delivery.3 == 0));
        assert!(once.iter().any(|delivery| delivery.3 == 1));
        assert!(!once.is_sorted());
    }
}
