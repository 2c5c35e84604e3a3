//! Whether a process runs, is stopped or is dead.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProcessState {
    Running,
    Stopped,
    Dead,
}

/// Asks the kernel about any process.
pub(crate) fn process_state(pid: u32) -> ProcessState {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The line reads "1 (name) S …", and the name may hold any character.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    match state {
        None | Some('Z' | 'X') => ProcessState::Dead,
        Some('T' | 't') => ProcessState::Stopped,
        Some(_) => ProcessState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_an_unknown_one_is_dead() {
        assert_eq!(process_state(std::process::id()), ProcessState::Running);
        assert_eq!(process_state(u32::MAX), ProcessState::Dead);
    }
}
