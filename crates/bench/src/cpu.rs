//! CPU time and memory of processes, as the kernel tells them.

use std::fs;

use anyhow::Context as _;

/// CPU seconds that a process has used, in user and kernel mode, all threads together.
pub(crate) fn seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    stat_seconds(&stat).with_context(|| format!("/proc/{pid}/stat is not as documented"))
}

fn stat_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything. User time is field 14, and field 3 comes next.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some((user + kernel) as f64 / rustix::param::clock_ticks_per_second() as f64)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_and_memory_are_read() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(seconds(pid).unwrap() >= 0.0);
        assert!(seconds(u32::MAX).is_err());
    }

    #[test]
    fn name_of_a_process_may_hold_anything() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 {ticks} {ticks} 9 9 20 0 1");
        assert_eq!(stat_seconds(&stat), Some(2.0));
    }
}
