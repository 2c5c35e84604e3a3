//! Servers are restarted, blocked and failed over, and nobody restarts a program. The test has
//! servers of its own. It is one test because a start of RabbitMQ takes long.

use risiti_testkit::PrivateServers;
use risiti_testkit::Server::{Postgres, RabbitMq, Redis};

use crate::fixture::{DEADLINE, Fixture, RunningProgram, stk};

const FILED: &str =
    "SELECT count(*) FROM report_invoices WHERE state = 'success' AND kind = 'sale'";
const DEAD_LETTERS: &str = "SELECT count(*) FROM dead_letters";
const END_OTHER_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn programs_recover_from_every_server_outage() {
    let servers = PrivateServers::start(&[Postgres, RabbitMq, Redis]).await;
    let mut scenario = OutageScenario::begin(&servers).await;
    scenario.expect_recovery().await;

    servers.kill(Postgres).await;
    scenario
        .expect_workers_miss("database: postgres cannot be reached")
        .await;
    scenario.pay(3).await;
    servers.restart(Postgres).await;
    scenario.expect_recovery().await;

    servers.stop(Postgres).await;
    scenario.expect_workers_miss("database").await;
    scenario.pay(3).await;
    servers.restart(Postgres).await;
    scenario.expect_recovery().await;

    servers.kill(Redis).await;
    scenario.pay(3).await;
    servers.restart(Redis).await;
    scenario.expect_recovery().await;

    // A fail-over: new connections reach a standby for a while.
    let database = scenario.fixture.database.connect().await;
    let name = scenario.fixture.database.name().to_owned();
    let set_read_only = async |on: bool| {
        let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        database.batch_execute(&statement).await.unwrap();
    };
    set_read_only(true).await;
    database.execute(END_OTHER_SESSIONS, &[]).await.unwrap();
    scenario.pay(3).await;
    scenario
        .expect_workers_miss("database: postgres takes no writes")
        .await;
    set_read_only(false).await;
    scenario.expect_recovery().await;

    // A memory alarm: the broker reads no publishes, and tells the connection that tries one.
    servers
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.0000001"])
        .await;
    scenario.pay(3).await;
    scenario
        .ingress
        .process
        .line_with("takes no publishes", DEADLINE)
        .await;
    scenario.pay(3).await;
    servers
        .rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"])
        .await;
    scenario.expect_recovery().await;

    servers.kill(RabbitMq).await;
    scenario.expect_workers_miss("broker: ").await;
    scenario.pay(3).await;
    servers.restart(RabbitMq).await;
    scenario.expect_recovery().await;
    scenario.end().await;
}

struct OutageScenario {
    fixture: Fixture,
    ingress: RunningProgram,
    workers: Vec<RunningProgram>,
    webhooks: std::net::SocketAddr,
    /// The next payment's number. Every payment before it was posted and answered 200.
    next_payment: usize,
}

impl OutageScenario {
    async fn begin(servers: &PrivateServers) -> Self {
        let fixture = Fixture::on_private(servers).await;
        let mut ingress = fixture.start("risiti-ingress").await;
        let webhooks = ingress.webhooks().await;
        let workers = vec![
            fixture.start("risiti-ledger-worker").await,
            fixture.start("risiti-etims-worker").await,
        ];
        Self {
            fixture,
            ingress,
            workers,
            webhooks,
            next_payment: 1,
        }
    }

    /// Posts payments and expects 200 for each. Where the broker cannot confirm, the spool keeps
    /// them.
    async fn pay(&mut self, count: usize) {
        for n in self.next_payment..self.next_payment + count {
            assert_eq!(
                self.fixture
                    .post(self.webhooks, "stk", &stk(n, "100.00"))
                    .await
                    .0,
                200,
                "payment {n}"
            );
        }
        self.next_payment += count;
    }

    async fn expect_workers_miss(&self, what: &str) {
        for worker in &self.workers {
            self.fixture.wait_until_missing(worker, what).await;
        }
    }

    /// Waits until all programs are ready and every payment so far is filed, a new one included.
    async fn expect_recovery(&mut self) {
        self.ingress.wait_ready().await;
        for worker in &self.workers {
            worker.wait_ready().await;
        }
        self.pay(1).await;
        self.fixture
            .wait_for_count(FILED, i64::try_from(self.next_payment - 1).unwrap())
            .await;
    }

    async fn end(self) {
        assert_eq!(self.fixture.count(DEAD_LETTERS).await, 0);
        let sales = self.fixture.sim_get("/_sim/sales").await;
        let sales = sales["sales"].as_array().or(sales.as_array()).unwrap();
        assert_eq!(sales.len(), self.next_payment - 1);
        for program in self.workers.into_iter().chain([self.ingress]) {
            program.terminate_cleanly().await;
        }
    }
}
