use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::eventually;

/// How long a program may take to log its address. Only a broken one takes this long.
const START_BOUND: Duration = Duration::from_secs(60);

/// A program of this workspace that is about to be started.
///
/// It sees none of this shell's `RISITI_…` variables and server addresses, so that its whole
/// configuration stands in the test.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    name: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    log: Option<PathBuf>,
}

impl Program {
    /// Names a program that was built beside this test.
    ///
    /// # Panics
    /// Panics when it was not built.
    pub fn built(name: &str) -> Program {
        let path = target_folder().join(name);
        assert!(
            path.is_file(),
            "{} does not exist: run `make test`, or cargo build --workspace",
            path.display()
        );
        Program::at(&path)
    }

    /// Names any executable.
    pub fn at(path: &Path) -> Program {
        let name = path
            .file_name()
            .expect("a program has a name")
            .to_string_lossy()
            .into_owned();
        Program {
            path: path.to_owned(),
            name,
            args: Vec::new(),
            env: BTreeMap::new(),
            log: None,
        }
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Program {
        self.args.push(arg.into());
        self
    }

    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Program {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Appends output and log to this file.
    pub fn log_to(mut self, path: &Path) -> Program {
        self.log = Some(path.to_owned());
        self
    }

    /// Starts it. Output and log go to a file of its own under the target folder, unless another
    /// was named.
    ///
    /// # Panics
    /// Panics when it cannot be started.
    pub fn start(self) -> Process {
        self.start_with(None)
    }

    fn start_with(self, stderr: Option<Stdio>) -> Process {
        let log = self.log.clone().unwrap_or_else(|| {
            let name = format!("{}-{}.log", self.name, Uuid::now_v7().simple());
            target_folder().join("test-logs").join(name)
        });
        fs::create_dir_all(log.parent().expect("a log lies in a folder"))
            .expect("making the folder for logs");
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("making the log file");
        let both = out.try_clone().expect("sharing the log file");
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(stderr.unwrap_or_else(|| both.into()))
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {}: {error}", self.path.display()));
        Process {
            _unread_log: child.stderr.take(),
            child,
            name: self.name,
            log,
            exit: None,
        }
    }

    /// Starts it with its log going into a pipe that nobody reads. What it writes elsewhere goes to
    /// a file as with [`Program::start`].
    ///
    /// # Panics
    /// Panics when it cannot be started.
    pub fn start_with_unread_log(self) -> Process {
        self.start_with(Some(Stdio::piped()))
    }

    /// Runs it to its end and returns what it printed. This is for programs that do one thing.
    ///
    /// # Panics
    /// Panics when it cannot be started.
    pub async fn output(self) -> std::process::Output {
        let mut command = tokio::process::Command::from(self.command());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await;
        output.unwrap_or_else(|error| panic!("failed to run {}: {error}", self.path.display()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("RISITI_")
                || ["DATABASE_URL", "AMQP_URL", "RUST_LOG"].contains(&&*text)
            {
                command.env_remove(&name);
            }
        }
        command
            .env("NO_COLOR", "1")
            .args(&self.args)
            .envs(&self.env);
        command
    }
}

/// A started program. It is killed with this value if it still runs.
#[derive(Debug)]
pub struct Process {
    /// Kept open, because a closed pipe is an error and not a stall.
    _unread_log: Option<ChildStderr>,
    child: Child,
    name: String,
    log: PathBuf,
    exit: Option<ExitStatus>,
}

impl Process {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, which asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it handles SIGTERM, sends that, and expects exit code 0. Returns its whole log.
    ///
    /// A program that has only just been started has no handler yet and dies of the signal.
    ///
    /// # Panics
    /// Panics when it does not end within the bound, or not with 0.
    pub async fn terminate_cleanly(mut self, bound: Duration) -> String {
        let what = format!("{} handles SIGTERM", self.name);
        eventually(&what, bound, async || {
            (self.try_exit().is_some() || self.handles(Signal::TERM)).then_some(())
        })
        .await;
        self.terminate();
        let status = self.exit(bound).await;
        assert!(status.success(), "{status}:\n{}", self.log());
        self.log()
    }

    fn handles(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a child that was not waited for is listed");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("the caught signals").trim(), 16);
        caught.expect("a mask of signals") & (1 << (signal.as_raw() - 1)) != 0
    }

    /// Sends SIGKILL, after which no code of the program runs.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends SIGSTOP. The program lives and does nothing, as in a long pause.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // Once the exit was collected, another process may have this id.
        if self.exit.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a child has a process id"), signal)
                .expect("signalling a child");
        }
    }

    /// Returns the exit status if the program has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("asking after a child");
        }
        self.exit
    }

    /// Waits for the program to end.
    ///
    /// # Panics
    /// Panics when it does not end within the bound.
    pub async fn exit(&mut self, bound: Duration) -> ExitStatus {
        let what = format!("the end of {} (log: {})", self.name, self.log.display());
        eventually(&what, bound, async || self.try_exit()).await
    }

    /// Returns what it has written so far, output and log together.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("reading the log file")).into_owned()
    }

    /// Waits for a line that contains `text` and returns it.
    ///
    /// # Panics
    /// Panics when there is no such line within the bound, or the program ended without it.
    pub async fn line_with(&mut self, text: &str, bound: Duration) -> String {
        let what = format!(
            "{:?} in the log of {} ({})",
            text,
            self.name,
            self.log.display()
        );
        eventually(&what, bound, async || {
            // The exit is read before the log, so that the log of an ended program is complete.
            let ended = self.try_exit();
            // The last line may be incomplete, so only whole lines count.
            let log = self.log();
            let found = log
                .split_inclusive('\n')
                .find(|line| line.contains(text) && line.ends_with('\n'));
            if let (None, Some(status)) = (&found, ended) {
                panic!(
                    "{} ended with {status} before it wrote {text:?}:\n{log}",
                    self.name
                );
            }
            found.map(|line| line.trim_end().to_owned())
        })
        .await
    }

    /// Waits for the address that follows `text` in the log, such as `"ops listener on "`.
    ///
    /// # Panics
    /// Panics when there is none within a minute, or the program ended without it.
    pub async fn address_after(&mut self, text: &str) -> SocketAddr {
        let line = self.line_with(text, START_BOUND).await;
        let rest = line.split_once(text).map_or("", |(_, rest)| rest);
        let end = rest
            .find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)))
            .unwrap_or(rest.len());
        rest[..end]
            .parse()
            .unwrap_or_else(|_| panic!("no address after {text:?} in {line:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_exit().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("log of {}: {}", self.name, self.log.display());
        }
    }
}

/// Returns the folder of built programs: `target/debug` for a test in `target/debug/deps`.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().expect("a test lies in a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    folder.expect("deps lies in a folder").to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Program {
        Program::at(Path::new("/bin/sh")).args(["-c", script])
    }

    #[tokio::test]
    async fn address_is_read_from_the_log() {
        let mut process =
            shell("echo 'INFO ops listener on 127.0.0.1:4242, ready'; sleep 60").start();
        assert_eq!(
            process.address_after("ops listener on ").await,
            SocketAddr::from(([127, 0, 0, 1], 4242))
        );
        assert!(process.try_exit().is_none());
    }

    #[tokio::test]
    #[should_panic(expected = "ended with exit status: 3 before it wrote")]
    async fn program_that_dies_first_is_not_waited_for() {
        let mut process = shell("echo no such luck; exit 3").start();
        process
            .line_with("listener", Duration::from_secs(600))
            .await;
    }

    #[tokio::test]
    async fn program_that_has_just_started_ends_cleanly() {
        let script = "sleep 0.3; trap 'echo asked; exit 0' TERM; while :; do sleep 0.05; done";
        let log = shell(script).start().terminate_cleanly(BOUND).await;
        assert!(log.contains("asked"), "{log}");
    }

    #[tokio::test]
    async fn signals_reach_the_process() {
        let script = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let mut terminated = shell(script).start();
        terminated.line_with("up", BOUND).await;
        terminated.freeze();
        terminated.terminate();
        assert!(
            terminated.try_exit().is_none(),
            "a frozen program handled a signal"
        );
        terminated.thaw();
        assert!(terminated.exit(BOUND).await.success());
        assert!(terminated.log().contains("asked"));
        terminated.kill();

        let mut killed = shell(script).start();
        killed.kill();
        assert_eq!(killed.exit(BOUND).await.signal(), Some(9));
    }

    #[tokio::test]
    async fn named_log_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log/echo.log");
        for word in ["one", "two"] {
            assert!(
                shell(&format!("echo {word}"))
                    .log_to(&log)
                    .start()
                    .exit(BOUND)
                    .await
                    .success()
            );
        }
        assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n");
    }

    #[tokio::test]
    async fn process_ends_with_its_value() {
        let process = shell("sleep 600").start();
        let proc_entry = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(proc_entry.exists());
        drop(process);
        assert!(!proc_entry.exists());
    }

    #[tokio::test]
    async fn program_sees_only_variables_the_test_sets() {
        let output = shell("echo ${DATABASE_URL:-none} $RISITI_NAMESPACE")
            .env("RISITI_NAMESPACE", "mine")
            .output();
        assert_eq!(output.await.stdout, b"none mine\n");
    }
}
