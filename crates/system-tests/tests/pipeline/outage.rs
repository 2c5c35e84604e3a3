//! Servers restarted, blocked, and failed over under programs that nobody restarts. On servers of its own, in one
//! test: a boot of RabbitMQ is what this costs.

use risiti_testkit::PrivateServers;
use risiti_testkit::Server::{Postgres, RabbitMq, Redis};

use crate::stack::{PATIENCE, Running, Stack, stk};

const FILED: &str =
    "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'sale'";
const SET_ASIDE: &str = "SELECT count(*) FROM dead_letters";
const OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn programs_ride_out_what_becomes_of_their_servers() {
    let servers = PrivateServers::start(&[Postgres, RabbitMq, Redis]).await;
    let mut story = Story::begin(&servers).await;
    story.goes_on().await;

    servers.kill(Postgres).await;
    story
        .workers_miss("database: postgres cannot be reached")
        .await;
    story.pay(3).await;
    servers.restart(Postgres).await;
    story.goes_on().await;

    servers.stop(Postgres).await;
    story.workers_miss("database").await;
    story.pay(3).await;
    servers.restart(Postgres).await;
    story.goes_on().await;

    servers.kill(Redis).await;
    story.pay(3).await;
    servers.restart(Redis).await;
    story.goes_on().await;

    // A fail-over: who connects anew finds a standby for a while.
    let (books, name) = (
        story.stack.database.connect().await,
        story.stack.database.name().to_owned(),
    );
    let takes_no_writes = async |on: bool| {
        let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        books.batch_execute(&statement).await.unwrap();
    };
    takes_no_writes(true).await;
    books.execute(OTHERS, &[]).await.unwrap();
    story.pay(3).await;
    story
        .workers_miss("database: postgres takes no writes")
        .await;
    takes_no_writes(false).await;
    story.goes_on().await;

    // A memory alarm: the broker reads no publishes, and tells whoever tries one.
    servers
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.0000001"])
        .await;
    story.pay(3).await;
    story
        .ingress
        .process
        .line_with("takes no publishes", PATIENCE)
        .await;
    story.pay(3).await;
    servers
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"])
        .await;
    story.goes_on().await;

    servers.kill(RabbitMq).await;
    story.workers_miss("broker: ").await;
    story.pay(3).await;
    servers.restart(RabbitMq).await;
    story.goes_on().await;
    story.end().await;
}

struct Story {
    stack: Stack,
    ingress: Running,
    workers: Vec<Running>,
    webhooks: std::net::SocketAddr,
    /// The next payment's number; all before it were told, and answered 200.
    next: usize,
}

impl Story {
    async fn begin(servers: &PrivateServers) -> Self {
        let stack = Stack::on_private(servers).await;
        let mut ingress = stack.start("risiti-ingress").await;
        let webhooks = ingress.webhooks().await;
        let workers = vec![
            stack.start("risiti-ledger-worker").await,
            stack.start("risiti-etims-worker").await,
        ];
        Self {
            stack,
            ingress,
            workers,
            webhooks,
            next: 1,
        }
    }

    /// So many payments, each taken: where the broker cannot confirm, by the spool.
    async fn pay(&mut self, count: usize) {
        for n in self.next..self.next + count {
            assert_eq!(
                self.stack
                    .post(self.webhooks, "stk", &stk(n, "100.00"))
                    .await
                    .0,
                200,
                "payment {n}"
            );
        }
        self.next += count;
    }

    async fn workers_miss(&self, what: &str) {
        for worker in &self.workers {
            self.stack.misses(worker, what).await;
        }
    }

    /// All are ready, and whatever was paid so far is filed, a new payment included.
    async fn goes_on(&mut self) {
        self.ingress.is_ready().await;
        for worker in &self.workers {
            worker.is_ready().await;
        }
        self.pay(1).await;
        self.stack
            .becomes(FILED, i64::try_from(self.next - 1).unwrap())
            .await;
    }

    async fn end(self) {
        assert_eq!(self.stack.count(SET_ASIDE).await, 0);
        let sales = self.stack.sim_get("/_sim/sales").await;
        let sales = sales["sales"].as_array().or(sales.as_array()).unwrap();
        assert_eq!(sales.len(), self.next - 1);
        for program in self.workers.into_iter().chain([self.ingress]) {
            program.ends_well().await;
        }
    }
}
