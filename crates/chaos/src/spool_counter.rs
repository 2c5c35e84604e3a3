//! Counts the webhooks that the spools took, by the metrics of ingresses that die in between.

use std::rc::Rc;
use std::time::Duration;

use crate::environment::Environment;
use crate::target::Program;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

impl Environment {
    /// Counts until the task is aborted.
    pub(crate) async fn count_spooled(self: Rc<Self>) {
        let mut last = [0; 2];
        loop {
            for (ingress, last) in Program::INGRESSES.into_iter().zip(&mut last) {
                let Some(metrics) = self.metrics(ingress).await else {
                    continue;
                };
                let now = spooled(&metrics);
                // The counter starts at zero after a restart.
                let new = if now < *last { now } else { now - *last };
                self.spooled.set(self.spooled.get() + new);
                *last = now;
            }
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Reads a program's metrics, or returns none while it does not answer.
    pub(crate) async fn metrics(&self, program: Program) -> Option<String> {
        let url = format!("http://{}/metrics", self.launcher.ops_address(program));
        self.http.get(url).send().await.ok()?.text().await.ok()
    }
}

fn spooled(metrics: &str) -> u64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("risiti_webhooks_total{"));
    let spooled = lines.filter(|line| line.contains(r#"outcome="spooled""#));
    spooled
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_webhooks_of_all_providers_count() {
        let metrics = "# HELP risiti_webhooks_total x\n\
            risiti_webhooks_total{outcome=\"spooled\",provider=\"daraja\"} 3\n\
            risiti_webhooks_total{outcome=\"accepted\",provider=\"daraja\"} 9\n\
            risiti_webhooks_total{outcome=\"spooled\",provider=\"paystack\"} 4\n";
        assert_eq!(spooled(metrics), 7);
    }
}
