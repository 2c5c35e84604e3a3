//! The short form of the fault programme, and what it leaves behind. `make chaos` is the long form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use risiti_testkit::eventually;

const BOUND: Duration = Duration::from_secs(120);
const SECONDS: u64 = 40;

/// Runs the programme with each seed that ever found something, and with a new one, which the
/// program prints.
#[test]
fn short_programme_loses_and_doubles_nothing() {
    let known_seeds = include_str!("../seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut number = || {
                words
                    .next()
                    .and_then(|word| word.parse().ok())
                    .expect("SEED SECONDS")
            };
            (Some(number()), number())
        });

    for (seed, seconds) in known_seeds.chain([(None::<u64>, SECONDS)]) {
        let folder = folder("chaos-short");
        let mut run = chaos(&folder);
        run.args(["--seconds", &seconds.to_string()]);
        run.args(seed.map(|seed| format!("--seed={seed}")));
        assert!(
            run.status().unwrap().success(),
            "the logs are in {}",
            folder.display()
        );
    }
}

#[tokio::test]
async fn sigint_stops_the_run_and_leaves_nothing_behind() {
    let folder = folder("chaos-stopped");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let stderr = folder.join(STDERR);
    let child = chaos(&folder)
        .stderr(fs::File::create(&stderr).unwrap())
        .spawn()
        .unwrap();
    let mut run = Terminated(child);

    let folder = folder.to_str().unwrap();
    eventually("the programs are started", BOUND, async || {
        let printed = fs::read_to_string(&stderr).unwrap();
        assert!(run.0.try_wait().unwrap().is_none(), "{printed}");
        printed.contains("the faults begin").then_some(())
    })
    .await;
    assert!(processes_of(folder) > 8);

    let interrupted = Command::new("kill")
        .args(["-s", "INT", &run.0.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let status = eventually("the exit", BOUND, async || run.0.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(130));
    assert_eq!(processes_of(folder), 0);
    assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(folder));
}

/// The file that has what the program under test printed. The test itself keeps it open.
const STDERR: &str = "stderr";

fn chaos(folder: &Path) -> Command {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_risiti-chaos"));
    chaos
        .args(["run", "--rate", "30"])
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null());
    chaos
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Counts the processes that a run in this folder started. Such a process has the folder in its
/// arguments or environment, or writes its log there.
fn processes_of(folder: &str) -> usize {
    let mentions = |process: PathBuf| {
        let read = |name| fs::read(process.join(name)).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        let log = fs::read_link(process.join("fd/2")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(folder)
            || (log.starts_with(folder) && !log.ends_with(STDERR))
    };
    fs::read_dir("/proc")
        .expect("Linux has it")
        .flatten()
        .filter(|process| mentions(process.path()))
        .count()
}

/// A run that is terminated and can tidy up, even when the test fails.
struct Terminated(Child);

impl Drop for Terminated {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
