//! A database of its own, the program, and KRA simulated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use risiti_testkit::{Process, Program, TestDatabase};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
pub(crate) const PIN: &str = "P051234567X";

pub(crate) struct Kit {
    pub(crate) database: TestDatabase,
    pub(crate) folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Kit {
    /// With the schema in place.
    pub(crate) async fn new() -> Kit {
        let kit = Kit {
            database: TestDatabase::create().await,
            folder: tempfile::tempdir().expect("a folder for the test"),
        };
        kit.run(&["migrate"]).await.ok();
        kit
    }

    /// With a merchant `acme` and its short code 174379 as well.
    pub(crate) async fn with_merchant() -> Kit {
        let kit = Kit::new().await;
        kit.run(&["merchant", "create", "--slug", "acme", "--name", "Acme Ltd"])
            .await
            .ok();
        kit.run(&[
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
        kit
    }

    /// Runs the program with `--json` and the credentials key.
    pub(crate) async fn run(&self, args: &[&str]) -> Done {
        self.run_with_key(KEY, None, args).await
    }

    pub(crate) async fn run_with_key(&self, key: &str, old: Option<&str>, args: &[&str]) -> Done {
        let mut program = self.program(args).env("RISITI_CREDENTIALS_KEY", key);
        if let Some(old) = old {
            program = program.env("RISITI_CREDENTIALS_KEY_OLD", old);
        }
        finish(program).await
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

    /// A file with a secret in it.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("writing a test's file");
        path.to_str().expect("a readable path").to_owned()
    }

    /// `device add` for a legacy sandbox device of acme, with more flags after it.
    pub(crate) async fn add_device(&self, base_url: &str, branch: &str, more: &[&str]) -> Done {
        self.run(&[&device_add(base_url, branch), more].concat())
            .await
    }

    /// The one value that a query gives, as text.
    pub(crate) async fn value(&self, query: &str) -> Option<String> {
        let rows = self
            .database
            .connect()
            .await
            .simple_query(query)
            .await
            .expect("a test's query");
        rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
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
        "KE3NTXNO0000001",
        "--item-class",
        "8111150100",
        "--item-name",
        "Services",
        "--tax-type",
        "B",
    ]
}

pub(crate) async fn finish(program: Program) -> Done {
    let output = program.output().await;
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

impl Done {
    /// The object it printed. Panics when it failed.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.object()
    }

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

    /// Checks that it was refused with this exit code, one line, and these words.
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
    }
}

/// KRA, simulated.
pub(crate) struct Kra {
    _process: Process,
    pub(crate) address: String,
    pub(crate) url: String,
}

impl Kra {
    pub(crate) async fn start(dialect: &str) -> Kra {
        let program =
            Program::built("etims-sim").args(["--listen", "127.0.0.1:0", "--dialect", dialect]);
        let mut process = program.start();
        let address = process
            .address_after("listening on http://")
            .await
            .to_string();
        Kra {
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

    /// Registers branch 00 (or another) of [`PIN`] as a device that is installed, or awaits it.
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
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), exchange).await;
    let answer = answer
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

pub(crate) fn folder_is_empty(folder: &Path, suffix: &str) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    !names
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().ends_with(suffix))
}
