//! The processes of a run. Every process that exits is started again, whoever killed it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use risiti_testkit::Process;

use crate::fault::Injection;
use crate::fault_log::{ExitCause, FaultLog, LogEvent};
use crate::launcher::Launcher;
use crate::process_state::{ProcessState, process_state};
use crate::servers::Servers;
use crate::target::{Program, Server, Victim};

/// How often the state of every process is checked.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Pause before a program that exited unasked is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Processes {
    programs: BTreeMap<Program, RunningProgram>,
    servers: BTreeMap<Server, ServerStatus>,
    launcher: Rc<Launcher>,
    log: Rc<FaultLog>,
}

struct RunningProgram {
    /// None while the program is down.
    process: Option<Process>,
    /// A program that is down is not started before this.
    start_at: Instant,
    /// The fault programme killed the process, and its exit was not seen yet.
    kill_planned: bool,
    stopped: bool,
}

/// What one check found.
pub(crate) struct Changes {
    /// Programs that the check started again.
    pub(crate) started: Vec<Program>,
    /// Servers that somebody else killed. The caller starts them.
    pub(crate) servers_killed: Vec<Server>,
}

#[derive(Clone, Copy, PartialEq)]
enum ServerStatus {
    Up {
        stopped: bool,
    },
    /// The fault programme killed it, and will start it itself.
    HeldDown,
    Starting,
}

impl Processes {
    /// All servers are running, and no program is.
    pub(crate) fn new(launcher: Rc<Launcher>, log: Rc<FaultLog>) -> Self {
        let servers = Server::ALL.map(|server| (server, ServerStatus::Up { stopped: false }));
        Self {
            programs: BTreeMap::new(),
            servers: servers.into(),
            launcher,
            log,
        }
    }

    /// Starts a program, which is then started again after every exit.
    pub(crate) fn start(&mut self, program: Program) {
        let running = RunningProgram {
            process: Some(self.launcher.start(program)),
            start_at: Instant::now(),
            kill_planned: false,
            stopped: false,
        };
        self.programs.insert(program, running);
    }

    /// Checks every process once, and starts the programs that are due.
    pub(crate) fn check(&mut self, servers: &Servers) -> Changes {
        let mut started = Vec::new();
        for (program, running) in &mut self.programs {
            match running.check(*program, &self.launcher, &self.log) {
                Checked::Restarted => started.push(*program),
                Checked::AsBefore => {}
            }
        }

        let mut servers_killed = Vec::new();
        for (server, status) in &mut self.servers {
            let ServerStatus::Up { stopped } = *status else {
                continue;
            };
            let who = Victim::Server(*server);
            match servers.state(*server) {
                ProcessState::Dead => {
                    self.log.record(LogEvent::Exited {
                        who,
                        cause: ExitCause::Killed,
                    });
                    *status = ServerStatus::Starting;
                    servers_killed.push(*server);
                }
                state => {
                    let now_stopped = state == ProcessState::Stopped;
                    record_stop(stopped, now_stopped, who, &self.log);
                    *status = ServerStatus::Up {
                        stopped: now_stopped,
                    };
                }
            }
        }

        Changes {
            started,
            servers_killed,
        }
    }

    /// Kills a program and keeps it down for a time.
    pub(crate) fn kill(&mut self, program: Program, down_for: Duration) -> Injection {
        let Some(running) = self.programs.get_mut(&program) else {
            return Injection::NoTarget;
        };
        let Some(process) = &running.process else {
            return Injection::NoTarget;
        };
        process.kill();
        running.kill_planned = true;
        running.start_at = Instant::now() + down_for;
        Injection::Begun
    }

    pub(crate) fn freeze(&self, program: Program) -> Injection {
        match self.process(program) {
            Some(process) => {
                process.freeze();
                Injection::Begun
            }
            None => Injection::NoTarget,
        }
    }

    pub(crate) fn thaw(&self, program: Program) {
        if let Some(process) = self.process(program) {
            process.thaw();
        }
    }

    pub(crate) fn thaw_all(&self) {
        for program in Program::ALL {
            self.thaw(program);
        }
    }

    fn process(&self, program: Program) -> Option<&Process> {
        self.programs.get(&program)?.process.as_ref()
    }

    pub(crate) fn server_is_up(&self, server: Server) -> bool {
        matches!(self.servers[&server], ServerStatus::Up { .. })
    }

    /// The fault programme is about to kill the server, and will start it itself.
    pub(crate) fn hold_down(&mut self, server: Server) {
        self.log.record(LogEvent::Exited {
            who: Victim::Server(server),
            cause: ExitCause::Planned,
        });
        self.servers.insert(server, ServerStatus::HeldDown);
    }

    pub(crate) fn set_up_again(&mut self, server: Server) {
        self.log.record(LogEvent::Restarted {
            who: Victim::Server(server),
        });
        self.servers
            .insert(server, ServerStatus::Up { stopped: false });
    }

    /// Terminates all programs, the last started first, and waits for their exits.
    pub(crate) async fn terminate(&mut self) {
        let last_first = Program::ALL.into_iter().rev();
        for process in last_first.filter_map(|program| self.programs.remove(&program)?.process) {
            process.thaw();
            process.terminate();
            wait_for_exit(process).await;
        }
    }
}

/// Waits for the exit. A process that takes longer is killed when it is dropped.
async fn wait_for_exit(mut process: Process) {
    for _ in 0..500 {
        if process.try_exit().is_some() {
            return;
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

enum Checked {
    Restarted,
    AsBefore,
}

impl RunningProgram {
    fn check(&mut self, program: Program, launcher: &Launcher, log: &FaultLog) -> Checked {
        let who = Victim::Program(program);
        let Some(process) = &mut self.process else {
            if self.start_at > Instant::now() {
                return Checked::AsBefore;
            }
            self.process = Some(launcher.start(program));
            log.record(LogEvent::Restarted { who });
            return Checked::Restarted;
        };

        match process.try_exit() {
            Some(status) => {
                let cause = match (self.kill_planned, status.signal()) {
                    (true, Some(9)) => ExitCause::Planned,
                    (_, Some(_)) => ExitCause::Killed,
                    // Somebody else sent SIGTERM, and the program ended as it should.
                    (_, None) if status.success() => ExitCause::Killed,
                    _ => ExitCause::ByItself,
                };
                log.record(LogEvent::Exited { who, cause });
                if cause != ExitCause::Planned {
                    self.start_at = Instant::now() + RESTART_PAUSE;
                }
                *self = Self {
                    process: None,
                    start_at: self.start_at,
                    kill_planned: false,
                    stopped: false,
                };
            }
            None => {
                let stopped = process_state(process.id()) == ProcessState::Stopped;
                record_stop(self.stopped, stopped, who, log);
                self.stopped = stopped;
            }
        }
        Checked::AsBefore
    }
}

/// Records that a process was stopped or resumed since the last check.
fn record_stop(stopped_before: bool, stopped_now: bool, who: Victim, log: &FaultLog) {
    match (stopped_before, stopped_now) {
        (false, true) => log.record(LogEvent::Stopped { who }),
        (true, false) => log.record(LogEvent::Resumed { who }),
        _ => {}
    }
}
