//! CPU time and memory of processes, as the kernel tells them.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use anyhow::Context as _;

/// CPU seconds that a process has used, in user and kernel mode, all threads together.
pub(crate) fn seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let used = Used::read(&stat);
    let used = used.with_context(|| format!("/proc/{pid}/stat is not as documented"))?;
    Ok(used.own)
}

/// CPU seconds of processes and of all that they started, also of what has ended since.
pub(crate) fn tree_seconds(roots: &[u32]) -> f64 {
    let processes: HashMap<u32, Used> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, Used::read(&stat)?))
        })
        .collect();
    let belongs = |mut pid: u32| {
        while !roots.contains(&pid) {
            match processes.get(&pid) {
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        true
    };
    let used = processes.iter().filter(|(pid, _)| belongs(**pid));
    used.map(|(_, used)| used.own + used.ended_children).sum()
}

/// What /proc/PID/stat tells of CPU time, in seconds.
struct Used {
    parent: u32,
    own: f64,
    ended_children: f64,
}

impl Used {
    fn read(stat: &str) -> Option<Self> {
        // The name in parentheses may hold anything. After it comes field 3.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let seconds = |field: usize| -> Option<f64> {
            let count: u64 = fields.get(field - 3)?.parse().ok()?;
            Some(count as f64 / ticks)
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(14)? + seconds(15)?,
            ended_children: seconds(16)? + seconds(17)?,
        })
    }
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let kib: Option<u64> = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    Ok(kib.context("a process without resident memory")? * 1024)
}

/// Finds the process that listens on a TCP port of this machine.
pub(crate) fn listener(port: u16) -> anyhow::Result<u32> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = sockets
        .iter()
        .flat_map(|text| text.lines())
        .find_map(|line| listening_inode(line, port))
        .with_context(|| format!("nothing listens on port {port}"))?;
    let socket = format!("socket:[{inode}]");

    let holders = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds = files.any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.to_str() == Some(&socket))
        });
        holds.then_some(pid)
    });
    // A child may hold its parent's socket for a moment.
    holders
        .min()
        .with_context(|| format!("the process on port {port} is out of sight"))
}

/// The inode of a line of /proc/net/tcp that is a listener on this port.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    const LISTENING: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let is_listener = *fields.get(3)? == LISTENING;
    let same_port = u16::from_str_radix(local_port, 16) == Ok(port);
    (is_listener && same_port).then(|| fields.get(9)?.parse().ok())?
}

/// Measures what other processes, and the host of a virtual machine, take of the cores.
pub(crate) struct OthersMeter {
    ours: Vec<u32>,
    started: Instant,
    busy: f64,
    used: f64,
}

impl OthersMeter {
    /// `ours` are processes that count as this benchmark, each with all that it started.
    pub(crate) fn start(ours: Vec<u32>) -> Self {
        let used = tree_seconds(&ours);
        Self {
            ours,
            started: Instant::now(),
            busy: busy_seconds(),
            used,
        }
    }

    /// The share of all cores that others have used since the start, between 0 and 1.
    pub(crate) fn share(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let others = (busy_seconds() - self.busy) - (tree_seconds(&self.ours) - self.used);
        (others / (self.started.elapsed().as_secs_f64() * cores)).clamp(0.0, 1.0)
    }
}

/// Seconds in which cores of the machine were not idle. Time that the host took counts.
fn busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal
    let times: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|time| time.parse().ok())
        .collect();
    let idle: f64 = times.iter().skip(3).take(2).sum();
    (times.iter().sum::<f64>() - idle) / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn own_time_and_memory_are_read() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        let own = seconds(pid).unwrap();
        assert!(tree_seconds(&[pid]) >= own);
        assert!(busy_seconds() >= own);
        assert!(seconds(u32::MAX).is_err());
    }

    #[test]
    fn name_of_a_process_may_hold_anything() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat =
            format!("7 (a ) b) S 3 7 7 0 -1 4194560 1 0 0 0 {ticks} {ticks} 0 {ticks} 20 0 1");
        let used = Used::read(&stat).unwrap();
        assert_eq!((used.parent, used.own, used.ended_children), (3, 2.0, 1.0));
    }

    #[test]
    fn listener_is_found_by_its_port() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port).unwrap(), std::process::id());
        drop(socket);
        assert!(listener(port).is_err());
    }
}
