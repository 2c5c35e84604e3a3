//! The fault programme in short, and that it tidies up. `make chaos` is the long form.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use risiti_testkit::eventually;

const BOUND: Duration = Duration::from_secs(120);
const SECONDS: u64 = 40;

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

/// Each seed that ever found something, and a new one, which is printed.
#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let found = include_str!("../seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let found = found.map(|line| {
        let mut words = line.split_whitespace();
        let mut number = || {
            words
                .next()
                .and_then(|word| word.parse().ok())
                .expect("SEED SECONDS")
        };
        (Some(number()), number())
    });
    for (seed, seconds) in found.chain([(None::<u64>, SECONDS)]) {
        let folder = folder("chaos-short");
        let mut run = chaos(&folder);
        run.args(["--seconds", &seconds.to_string()]);
        run.args(seed.map(|seed| format!("--seed={seed}")));
        assert!(
            run.status().unwrap().success(),
            "what happened is told in {}",
            folder.display()
        );
    }
}

#[tokio::test]
async fn stopped_by_sigint_it_leaves_nothing_behind() {
    let folder = folder("chaos-stopped");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let said = folder.join("said");
    let run = chaos(&folder)
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut run = Ended(run);
    let folder = folder.to_str().unwrap();
    eventually("the programs are started", BOUND, async || {
        let said = fs::read_to_string(&said).unwrap();
        assert!(run.0.try_wait().unwrap().is_none(), "{said}");
        said.contains("the faults begin").then_some(())
    })
    .await;
    assert!(processes_of(folder) > 8);

    let interrupted = Command::new("kill")
        .args(["-s", "INT", &run.0.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let status = eventually("its end", BOUND, async || run.0.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(130));
    assert_eq!(processes_of(folder), 0);
    assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(folder));
}

/// What runs because of a folder: its servers and programs are told of it, or write their log to it.
fn processes_of(folder: &str) -> usize {
    let mentions = |path: PathBuf| {
        let told = |name| fs::read(path.join(name)).unwrap_or_default();
        let text = [told("cmdline"), told("environ")].concat();
        let log = fs::read_link(path.join("fd/2")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(folder)
            || (log.starts_with(folder) && !log.ends_with("said"))
    };
    fs::read_dir("/proc")
        .expect("Linux has it")
        .flatten()
        .filter(|process| mentions(process.path()))
        .count()
}

/// It has a chance to tidy up, also when the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
