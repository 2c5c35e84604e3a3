//! The storm itself: stories are told in a shuffled window, many requests at a time, over all replicas.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use reqwest::Method;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::cli::StormArgs;
use crate::delivery::{Delivery, Post};
use crate::draw::Draw;
use crate::fleet::Fleet;
use crate::http;
use crate::message::Provider;
use crate::noise;
use crate::record::{Line, Recorder};
use crate::story::Teller;

/// Deliveries whose order is mixed at a time.
const WINDOW: usize = 1500;
/// Payments of a storm that the clock ends. Strays are numbered from here.
const WITHOUT_END: u64 = 1 << 40;
/// One stray request for so many payments.
const PAYMENTS_PER_STRAY: u64 = 25;
/// Longer than the 3 s in which every webhook is answered.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: StormArgs) -> anyhow::Result<()> {
    let fleet = Fleet::read(&args.fleet)?;
    ensure!(!fleet.merchants.is_empty(), "the fleet has no merchants");
    let recorder = Recorder::create(&args.record)?;
    let post = Arc::new(Post {
        ingress: args.ingress.clone(),
        client: http::client(GATEWAY_PATIENCE)?,
        in_flight: Semaphore::new(args.concurrency as usize),
        lines: recorder.lines(),
        began: Instant::now(),
    });
    know_the_fleet(&post, &fleet).await?;
    let began = Instant::now();
    let post = Arc::new(Post {
        began,
        ..Arc::into_inner(post).context("nobody else posts yet")?
    });
    let mut deliveries = Deliveries::new(&fleet, &args, post.lines.clone());
    let mut under_way = UnderWay::new(post.clone(), args.concurrency);
    match args.pace() {
        Some(pace) => pace.send(&mut deliveries, &mut under_way).await?,
        None => send_all(&mut deliveries, &mut under_way, args.payments).await?,
    }
    let (sent, told) = (under_way.finish().await, deliveries.told());
    drop((deliveries, post));
    recorder.finish().await?;
    eprintln!(
        "{sent} webhooks about {told} payments in {:.1} s",
        began.elapsed().as_secs_f32()
    );
    Ok(())
}

/// As fast as the answers come.
async fn send_all(
    deliveries: &mut Deliveries<'_>,
    under_way: &mut UnderWay,
    payments: u64,
) -> anyhow::Result<()> {
    let progress = progress_bar(payments);
    while let Some(delivery) = deliveries.next().await? {
        under_way.send(delivery).await;
        progress.set_position(deliveries.told());
    }
    progress.finish_and_clear();
    Ok(())
}

/// The deliveries that wait for an answer or for their next try; a bounded number.
pub(crate) struct UnderWay {
    pub(crate) post: Arc<Post>,
    tasks: JoinSet<()>,
    tasks_max: usize,
    sent: u64,
}

impl UnderWay {
    fn new(post: Arc<Post>, concurrency: u32) -> Self {
        // Those that wait for their next try take no permit, yet count here: memory stays bounded.
        Self {
            post,
            tasks: JoinSet::new(),
            tasks_max: concurrency as usize * 8,
            sent: 0,
        }
    }

    /// Waits until there is room.
    async fn send(&mut self, delivery: Delivery) {
        while self.tasks.len() >= self.tasks_max {
            self.tasks.join_next().await;
        }
        self.start(delivery);
        // Without this a full window would be spawned before the first request leaves.
        drop(self.post.in_flight.acquire().await);
    }

    pub(crate) fn has_room(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len() < self.tasks_max && self.post.in_flight.available_permits() > 0
    }

    pub(crate) fn start(&mut self, delivery: Delivery) {
        self.tasks.spawn(delivery.make(self.post.clone()));
        self.sent += 1;
    }

    async fn finish(mut self) -> u64 {
        while self.tasks.join_next().await.is_some() {}
        self.sent
    }
}

/// Turns the numbers of stories into deliveries, a window at a time, and shuffles them.
pub(crate) struct Deliveries<'a> {
    teller: Teller<'a>,
    payments: u64,
    window_max: usize,
    replicas: usize,
    next_story: u64,
    window: Vec<Delivery>,
    draw: Draw,
    lines: mpsc::Sender<Line>,
}

impl<'a> Deliveries<'a> {
    fn new(fleet: &'a Fleet, args: &StormArgs, lines: mpsc::Sender<Line>) -> Self {
        Self {
            teller: Teller {
                fleet,
                seed: args.seed,
                now: Timestamp::now(),
            },
            payments: args.pace().map_or(args.payments, |_| WITHOUT_END),
            window_max: args.pace().map_or(WINDOW, |pace| pace.window().min(WINDOW)),
            replicas: args.ingress.len(),
            next_story: 0,
            window: Vec::new(),
            draw: Draw::new(args.seed, u64::MAX),
            lines,
        }
    }

    fn told(&self) -> u64 {
        self.next_story.min(self.payments)
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Delivery>> {
        while self.window.len() < self.window_max && self.next_story < self.payments {
            self.tell().await?;
        }
        if self.window.is_empty() {
            return Ok(None);
        }
        // The last of the window is now and then the copy of the one before: duplicates in parallel.
        let at = if self.draw.percent(30) {
            self.window.len() - 1
        } else {
            self.draw.below(self.window.len())
        };
        Ok(Some(self.window.swap_remove(at)))
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        let number = self.next_story;
        self.next_story += 1;
        let story = self.teller.story(number);
        self.note(Line::Payment(story.expected)).await?;
        for (at, message) in story.messages.into_iter().enumerate() {
            let request = Arc::new(message.request);
            for copy in 1..=message.copies {
                self.window.push(Delivery {
                    story: number,
                    message: at,
                    copy,
                    provider: message.provider,
                    method: Method::POST,
                    to: self.draw.below(self.replicas),
                    repeats: true,
                    request: request.clone(),
                    due: None,
                });
            }
        }
        if number % PAYMENTS_PER_STRAY == PAYMENTS_PER_STRAY - 1 {
            self.make_noise(self.payments + number / PAYMENTS_PER_STRAY)
                .await?;
        }
        Ok(())
    }

    async fn make_noise(&mut self, number: u64) -> anyhow::Result<()> {
        let noise = noise::noise(self.teller.fleet, self.teller.seed, number);
        self.note(Line::Stray(noise.stray)).await?;
        let request = Arc::new(noise.request);
        for copy in 1..=noise.copies {
            self.window.push(Delivery {
                story: number,
                message: 0,
                copy,
                provider: Provider::Daraja,
                method: noise.method.clone(),
                to: self.draw.below(self.replicas),
                repeats: false,
                request: request.clone(),
                due: None,
            });
        }
        Ok(())
    }

    async fn note(&self, line: Line) -> anyhow::Result<()> {
        self.lines
            .send(line)
            .await
            .ok()
            .context("the record can no longer be written")
    }
}

/// A new merchant is known to an ingress a moment after it was made; until then it is answered 404.
/// An address that exists refuses plain text with 415 and keeps nothing.
async fn know_the_fleet(post: &Post, fleet: &Fleet) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    for base in &post.ingress {
        for merchant in &fleet.merchants {
            let url = base.join(&format!("webhooks/daraja/{}/stk", merchant.webhook_secret))?;
            loop {
                let probe = post
                    .client
                    .post(url.clone())
                    .header("content-type", "text/plain")
                    .body("?");
                let status = probe.send().await.map(|answer| answer.status().as_u16());
                if matches!(status, Ok(415)) {
                    break;
                }
                ensure!(
                    Instant::now() < deadline,
                    "the ingress at {base} does not know {}: {}",
                    merchant.slug,
                    status.map_or("no answer".to_owned(), |status| format!(
                        "it answers {status}"
                    )),
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(())
}

fn progress_bar(payments: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  storm {wide_bar} {pos}/{len} payments  {elapsed}");
    let bar = ProgressBar::new(payments);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    async fn order(seed: u64) -> Vec<(u64, usize, u32, usize)> {
        let fleet = crate::fleet::tests::sample();
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
        let (lines, mut incoming) = mpsc::channel(10_000);
        let mut deliveries = Deliveries::new(&fleet, &args, lines);
        let mut order = Vec::new();
        while let Some(delivery) = deliveries.next().await.unwrap() {
            order.push((delivery.story, delivery.message, delivery.copy, delivery.to));
        }
        drop(deliveries);
        let mut lines = 0;
        while incoming.recv().await.is_some() {
            lines += 1;
        }
        assert_eq!(lines, 200 + 200 / PAYMENTS_PER_STRAY);
        order
    }

    #[tokio::test]
    async fn a_seed_fixes_the_order_the_copies_and_the_replicas() {
        let (once, again, other) = (order(3).await, order(3).await, order(4).await);
        assert_eq!(once, again);
        assert_ne!(once, other);
        assert!(
            once.iter().any(|delivery| delivery.3 == 0)
                && once.iter().any(|delivery| delivery.3 == 1)
        );
        assert!(!once.is_sorted());
    }
}
