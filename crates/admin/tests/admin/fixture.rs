//! What each test sets up: a database of its own, the program, and the simulated KRA.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use risiti_testkit::{Process, Program, TestDatabase};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

pub(crate) const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
pub(crate) const PIN: &str = "P051234567X";

/// A database and a folder, in which the program is run.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct CommandResult {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    /// An empty database without the schema.
    pub(crate) async fn without_schema() -> Fixture {
        Fixture {
            database: TestDatabase::create().await,
            folder: tempfile::tempdir().expect("a folder for the test"),
        }
    }

    /// A database with the schema.
    pub(crate) async fn new() -> Fixture {
        let fixture = Fixture::without_schema().await;
        fixture.run(&["migrate"]).await.ok();
        fixture
    }

    /// A database with the schema and a merchant `acme`, whose short code is 174379.
    pub(crate) async fn with_merchant() -> Fixture {
        let fixture = Fixture::new().await;
        fixture
            .run(&["merchant", "create", "--slug", "acme", "--name", "Acme Ltd"])
            .await
            .ok();
        fixture
            .run(&[
                "provider",
                "add",
                "--merchant",
                "acme",
                "--provider",
                "daraja",
                "--shortcode",
                "174379",
            ])
            .await
            .ok();
        fixture
    }

    /// Runs the program with `--json` and the credentials key.
    pub(crate) async fn run(&self, args: &[&str]) -> CommandResult {
        self.run_with_key(KEY, None, args).await
    }

    pub(crate) async fn run_with_key(
        &self,
        key: &str,
        old: Option<&str>,
        args: &[&str],
    ) -> CommandResult {
        let mut program = self.program(args).env("RISITI_CREDENTIALS_KEY", key);
        if let Some(old) = old {
            program = program.env("RISITI_CREDENTIALS_KEY_OLD", old);
        }
        run_to_end(program).await
    }

    /// The program with the database, and without a credentials key.
    pub(crate) fn program(&self, args: &[&str]) -> Program {
        Program::built("risiti-admin")
            .args(args.iter().copied())
            .arg("--json")
            .env("DATABASE_URL", self.database.url())
            .env(
                "RISITI_STATE_DIR",
                self.state_folder().to_str().expect("a readable path"),
            )
            .env("RISITI_OPERATOR", "wanjiru")
    }

    pub(crate) fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Writes a file with a secret in it and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("writing a test's file");
        path.to_str().expect("a readable path").to_owned()
    }

    /// Runs `device add` for a legacy sandbox device of acme, with more flags.
    pub(crate) async fn add_device(
        &self,
        base_url: &str,
        branch: &str,
        more: &[&str],
    ) -> CommandResult {
        self.run(&[&device_add(base_url, branch), more].concat())
            .await
    }

    /// The single value that a query returns, as text.
    pub(crate) async fn value(&self, query: &str) -> Option<String> {
        let rows = self
            .database
            .connect()
            .await
            .simple_query(query)
            .await
            .expect("a test's query");
        rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    /// The constraint that refuses these statements.
    pub(crate) async fn sql_error(&self, statements: &str) -> Option<String> {
        let client = self.database.connect().await;
        let error = client.batch_execute(statements).await.err()?;
        Some(error.as_db_error()?.constraint()?.to_owned())
    }

    pub(crate) async fn sql(&self, statements: &str) {
        self.database
            .connect()
            .await
            .batch_execute(statements)
            .await
            .expect("a test's statements");
    }
}

/// The command line of `device add` for a legacy sandbox device of acme.
pub(crate) fn device_add<'a>(base_url: &'a str, branch: &'a str) -> Vec<&'a str> {
    vec![
        "device",
        "add",
        "--merchant",
        "acme",
        "--environment",
        "sandbox",
        "--dialect",
        "legacy",
        "--base-url",
        base_url,
        "--pin",
        PIN,
        "--branch",
        branch,
        "--serial",
        "RISITI/1",
        "--item-code",
        "KE3NTNO0000001",
        "--item-class",
        "8111150100",
        "--item-name",
        "Services",
        "--tax-type",
        "B",
    ]
}

/// Replaces the value of a flag.
pub(crate) fn set_flag<'a>(args: &mut [&'a str], flag: &str, value: &'a str) {
    let at = args.iter().position(|arg| *arg == flag).expect("the flag");
    args[at + 1] = value;
}

pub(crate) async fn run_to_end(program: Program) -> CommandResult {
    let output = program.output().await;
    CommandResult {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

impl CommandResult {
    /// The object that the command printed. Panics when the command failed.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.object()
    }

    /// The object that the command printed, whether or not it failed.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The objects of a list, one a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("one object a line"))
            .collect()
    }

    /// Checks that the command was refused with this exit code and these words.
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
    }
}

/// The simulated KRA, as a process of its own.
pub(crate) struct KraSimulator {
    _process: Process,
    pub(crate) address: String,
    pub(crate) url: String,
}

impl KraSimulator {
    pub(crate) async fn start(dialect: &str) -> KraSimulator {
        KraSimulator::start_with(dialect, &[]).await
    }

    pub(crate) async fn start_with(dialect: &str, more: &[&str]) -> KraSimulator {
        let program = Program::built("etims-sim")
            .args(["--listen", "127.0.0.1:0", "--dialect", dialect])
            .args(more.iter().copied());
        let mut process = program.start();
        let address = process
            .address_after("listening on http://")
            .await
            .to_string();
        KraSimulator {
            _process: process,
            url: format!("http://{address}"),
            address,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        request(&self.address, "POST", path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        request(&self.address, "GET", path, "").await
    }

    /// Registers a device for this branch of [`PIN`]. With a key it is installed already, without
    /// one it can be installed.
    pub(crate) async fn register(&self, branch: &str, cmc_key: Option<&str>) -> Value {
        let key = cmc_key
            .map(|key| format!(r#","cmcKey":"{key}""#))
            .unwrap_or_default();
        let body = format!(r#"{{"tin":"{PIN}","bhfId":"{branch}","dvcSrlNo":"RISITI/1"{key}}}"#);
        self.post("/_sim/devices", &body).await
    }
}

async fn request(address: &str, method: &str, path: &str, body: &str) -> Value {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(Duration::from_secs(30), exchange)
        .await
        .expect("an answer of the simulator")
        .expect("talking to the simulator");

    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let json = body.find(['{', '[']).map_or("null", |start| &body[start..]);
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    values
        .next()
        .unwrap_or(Ok(Value::Null))
        .unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Whether the folder has a file whose name ends so. A missing folder has none.
pub(crate) fn has_file(folder: &Path, ending: &str) -> bool {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(ending))
}
