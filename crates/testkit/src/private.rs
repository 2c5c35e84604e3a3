use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio_postgres::Client;

use crate::database::connect;
use crate::process::target_folder;

/// A kind of server that a set may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Postgres,
    RabbitMq,
    Redis,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Server::Postgres => "postgres",
            Server::RabbitMq => "rabbitmq",
            Server::Redis => "redis",
        }
    }
}

/// Servers that no other test uses, in a temporary folder. A test may kill, freeze and restart
/// them.
///
/// They end with this value. They also end when the test is killed, because `services.sh hold`
/// waits for that at the other end of a pipe. A start of RabbitMQ takes many seconds, so let one
/// test function do as much as it can with one set.
#[derive(Debug)]
pub struct PrivateServers {
    folder: TempDir,
    hold: Child,
    postgres_url: String,
    amqp_url: String,
    redis_url: String,
}

impl PrivateServers {
    /// Starts these servers. The others have an address too, at which nothing answers.
    ///
    /// # Panics
    /// Panics when one of them does not start.
    pub async fn start(servers: &[Server]) -> PrivateServers {
        let folder = tempfile::Builder::new().prefix("risiti-test-").tempdir();
        let folder = folder.expect("making a folder for servers");
        // PostgreSQL runs as another user when the test is root, and must reach its folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))
            .expect("opening the folder");
        let names: Vec<_> = servers.iter().map(|server| server.name()).collect();
        let mut hold = services(folder.path(), "hold", &names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("running deploy/local/services.sh");

        let stdout = hold.stdout.take().expect("standard output is piped");
        let mut set = PrivateServers {
            folder,
            hold,
            postgres_url: String::new(),
            amqp_url: String::new(),
            redis_url: String::new(),
        };
        let printed = tokio::task::spawn_blocking(move || std::io::read_to_string(stdout)).await;
        let printed = printed
            .expect("reading is not cancelled")
            .expect("reading what services.sh prints");
        set.postgres_url = exported(&printed, "DATABASE_URL");
        set.amqp_url = exported(&printed, "AMQP_URL");
        set.redis_url = exported(&printed, "RISITI_REDIS_URL");
        set
    }

    /// Returns the `DATABASE_URL` of the first, empty database.
    pub fn postgres_url(&self) -> &str {
        &self.postgres_url
    }

    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Connects to the first database.
    ///
    /// # Panics
    /// Panics when Postgres does not answer.
    pub async fn connect(&self) -> Client {
        connect(&self.postgres_url).await
    }

    /// Sends SIGKILL to all processes of a server. They are gone when this returns.
    pub async fn kill(&self, server: Server) {
        self.run("kill", server).await;
    }

    /// Stops a server as its own tools do.
    pub async fn stop(&self, server: Server) {
        self.run("stop", server).await;
    }

    /// Starts a server that was killed, was stopped or never ran. It keeps its address and its
    /// data. Returns once it accepts work.
    pub async fn restart(&self, server: Server) {
        self.run("start", server).await;
    }

    /// Sends SIGSTOP to all processes of a server. Connections stay and new ones open, but carry
    /// nothing.
    pub async fn freeze(&self, server: Server) {
        self.run("freeze", server).await;
    }

    /// Sends SIGCONT to all processes of a server.
    pub async fn thaw(&self, server: Server) {
        self.run("thaw", server).await;
    }

    /// Runs `rabbitmqctl` against the private broker.
    pub async fn rabbitmqctl(&self, args: &[&str]) {
        self.services("rabbitmqctl", args).await;
    }

    async fn run(&self, command: &str, server: Server) {
        self.services(command, &[server.name()]).await;
    }

    async fn services(&self, command: &str, args: &[&str]) {
        let command = services(self.folder.path(), command, args);
        let output = tokio::process::Command::from(command)
            .stdin(Stdio::null())
            .output()
            .await;
        let output = output.expect("running deploy/local/services.sh");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn keep_logs(&self) {
        let target = target_folder()
            .join("test-logs")
            .join(self.folder.path().file_name().unwrap_or_default());
        let _ = fs::create_dir_all(&target);
        for logs in ["log", "rabbitmq/log"] {
            for log in fs::read_dir(self.folder.path().join(logs))
                .into_iter()
                .flatten()
                .flatten()
            {
                let _ = fs::copy(log.path(), target.join(log.file_name()));
            }
        }
        eprintln!("logs of private servers: {}", target.display());
    }
}

impl Drop for PrivateServers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
        // `services.sh hold` stops the servers once its input ends.
        drop(self.hold.stdin.take());
        let _ = self.hold.wait();
    }
}

fn services(folder: &Path, command: &str, args: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/local/services.sh");
    let mut services = Command::new(script);
    // Whatever kills the test may kill its process group, and this process must clean up after it.
    services.process_group(0);
    services
        .arg(command)
        .args(args)
        .env("RISITI_SERVICES_DIR", folder);
    services
}

fn exported(lines: &str, name: &str) -> String {
    let prefix = format!("export {name}='");
    let value = lines
        .lines()
        .find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('\''));
    value
        .unwrap_or_else(|| panic!("private servers did not start: services.sh printed no {name}"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Program, TestDatabase, eventually};

    const BOUND: Duration = Duration::from_secs(60);

    async fn answers(servers: &PrivateServers) -> bool {
        let asking = tokio_postgres::connect(servers.postgres_url(), tokio_postgres::NoTls);
        matches!(
            tokio::time::timeout(Duration::from_millis(300), asking).await,
            Ok(Ok(_))
        )
    }

    /// Counts the processes that have this folder in their environment, as every server does.
    fn processes_of(folder: &str) -> usize {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let environments =
            processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
        environments
            .filter(|text| String::from_utf8_lossy(text).contains(folder))
            .count()
    }

    #[tokio::test]
    async fn servers_return_at_their_address_with_their_data() {
        let servers = PrivateServers::start(&[Server::Postgres]).await;
        assert_ne!(servers.postgres_url(), crate::database_url());
        let folder = servers.folder.path().to_str().unwrap().to_owned();
        let database = TestDatabase::create_on(servers.postgres_url()).await;
        let client = database.connect().await;
        client
            .batch_execute("CREATE TABLE kept (x int)")
            .await
            .unwrap();

        servers.kill(Server::Postgres).await;
        assert!(!answers(&servers).await);
        client.batch_execute("SELECT 1").await.unwrap_err();
        servers.restart(Server::Postgres).await;
        database
            .connect()
            .await
            .batch_execute("SELECT x FROM kept")
            .await
            .unwrap();

        servers.freeze(Server::Postgres).await;
        assert!(!answers(&servers).await);
        servers.thaw(Server::Postgres).await;
        servers.connect().await;

        // A frozen server can be stopped too.
        servers.freeze(Server::Postgres).await;
        servers.stop(Server::Postgres).await;
        servers.restart(Server::Postgres).await;
        servers.connect().await;

        assert!(processes_of(&folder) > 0);
        drop((database, servers));
        assert_eq!(processes_of(&folder), 0);
        assert!(!Path::new(&folder).exists());
    }

    #[tokio::test]
    #[ignore = "servers_end_with_a_test_that_is_killed runs this and kills it"]
    async fn owner() {
        let servers = PrivateServers::start(&[Server::Redis]).await;
        eprintln!("servers in {}", servers.folder.path().display());
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn servers_end_with_a_test_that_is_killed() {
        let mut owner = Program::at(&std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "private::tests::owner",
            ])
            .start();
        let line = owner.line_with("servers in ", BOUND).await;
        let folder = line.split_once("servers in ").unwrap().1.to_owned();
        assert!(processes_of(&folder) > 0);

        owner.kill();
        eventually("the servers and their folder are gone", BOUND, async || {
            (processes_of(&folder) == 0 && !Path::new(&folder).exists()).then_some(())
        })
        .await;
    }
}
