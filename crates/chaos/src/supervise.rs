//! Whatever dies is started again, by whomever it was killed.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use risiti_testkit::Process;

use crate::diary::{Diary, Event, Exit};
use crate::programme::{Program, Server, Victim};
use crate::servers::{Pulse, Servers, pulse};
use crate::stage::Recipes;

/// How often everybody's pulse is felt.
pub(crate) const GLANCE: Duration = Duration::from_millis(50);
/// What ended unasked is started again after so long.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Troupe {
    programs: BTreeMap<Program, Role>,
    servers: BTreeMap<Server, Standing>,
    recipes: Rc<Recipes>,
    diary: Rc<Diary>,
}

struct Role {
    process: Option<Process>,
    /// Not before.
    start_at: Instant,
    kill_is_ours: bool,
    stopped: bool,
}

pub(crate) struct Seen {
    /// Programs that were started again just now.
    pub(crate) started: Vec<Program>,
    /// Servers that somebody else killed, to be started.
    pub(crate) fallen: Vec<Server>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Up {
        stopped: bool,
    },
    /// Killed by the programme, which brings it back itself.
    Held,
    Starting,
}

impl Troupe {
    /// All servers run.
    pub(crate) fn new(recipes: Rc<Recipes>, diary: Rc<Diary>) -> Self {
        let servers = Server::ALL.map(|server| (server, Standing::Up { stopped: false }));
        Self {
            programs: BTreeMap::new(),
            servers: servers.into(),
            recipes,
            diary,
        }
    }

    /// From now on it runs, whatever happens to it.
    pub(crate) fn enter(&mut self, program: Program) {
        let process = Some(self.recipes.start(program));
        let role = Role {
            process,
            start_at: Instant::now(),
            kill_is_ours: false,
            stopped: false,
        };
        self.programs.insert(program, role);
    }

    /// One look at everybody.
    pub(crate) fn glance(&mut self, servers: &Servers) -> Seen {
        let mut started = Vec::new();
        for (program, role) in &mut self.programs {
            if role.glance(*program, &self.recipes, &self.diary) {
                started.push(*program);
            }
        }
        let mut fallen = Vec::new();
        for (server, standing) in &mut self.servers {
            let Standing::Up { stopped } = *standing else {
                continue;
            };
            let who = Victim::Server(*server);
            match servers.pulse(*server) {
                Pulse::Dead => {
                    self.diary.note(Event::Gone {
                        who,
                        how: Exit::Killed,
                    });
                    *standing = Standing::Starting;
                    fallen.push(*server);
                }
                pulse => {
                    note_change(stopped, pulse == Pulse::Stopped, who, &self.diary);
                    *standing = Standing::Up {
                        stopped: pulse == Pulse::Stopped,
                    };
                }
            }
        }
        Seen { started, fallen }
    }

    /// False where it was down already.
    pub(crate) fn kill(&mut self, program: Program, for_so_long: Duration) -> bool {
        let Some(role) = self.programs.get_mut(&program) else {
            return false;
        };
        let Some(process) = &role.process else {
            return false;
        };
        process.kill();
        role.kill_is_ours = true;
        role.start_at = Instant::now() + for_so_long;
        true
    }

    /// False where it was down already.
    pub(crate) fn freeze(&self, program: Program) -> bool {
        let process = self
            .programs
            .get(&program)
            .and_then(|role| role.process.as_ref());
        process.inspect(|process| process.freeze()).is_some()
    }

    pub(crate) fn thaw(&self, program: Program) {
        if let Some(process) = self
            .programs
            .get(&program)
            .and_then(|role| role.process.as_ref())
        {
            process.thaw();
        }
    }

    pub(crate) fn thaw_all(&self) {
        Program::ALL
            .into_iter()
            .for_each(|program| self.thaw(program));
    }

    pub(crate) fn server_is_up(&self, server: Server) -> bool {
        matches!(self.servers[&server], Standing::Up { .. })
    }

    pub(crate) fn hold(&mut self, server: Server) {
        self.diary.note(Event::Gone {
            who: Victim::Server(server),
            how: Exit::Planned,
        });
        self.servers.insert(server, Standing::Held);
    }

    pub(crate) fn is_back(&mut self, server: Server) {
        self.diary.note(Event::Back {
            who: Victim::Server(server),
        });
        self.servers.insert(server, Standing::Up { stopped: false });
    }

    /// Lets them end in their own time.
    pub(crate) async fn leave(&mut self) {
        let last_first = Program::ALL.into_iter().rev();
        for process in last_first.filter_map(|program| self.programs.remove(&program)?.process) {
            process.thaw();
            process.terminate();
            end(process).await;
        }
    }
}

/// Killed, where it takes longer.
async fn end(mut process: Process) {
    for _ in 0..500 {
        if process.try_exit().is_some() {
            return;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

impl Role {
    /// True where it was started again.
    fn glance(&mut self, program: Program, recipes: &Recipes, diary: &Diary) -> bool {
        let who = Victim::Program(program);
        match &mut self.process {
            None if self.start_at <= Instant::now() => {
                self.process = Some(recipes.start(program));
                diary.note(Event::Back { who });
                return true;
            }
            None => {}
            Some(process) => match process.try_exit() {
                Some(status) => {
                    let how = match (self.kill_is_ours, status.signal()) {
                        (true, Some(9)) => Exit::Planned,
                        (_, Some(_)) => Exit::Killed,
                        // A polite end that somebody else asked for.
                        (_, None) if status.success() => Exit::Killed,
                        _ => Exit::ByItself,
                    };
                    diary.note(Event::Gone { who, how });
                    if how != Exit::Planned {
                        self.start_at = Instant::now() + RESTART_PAUSE;
                    }
                    *self = Self {
                        process: None,
                        start_at: self.start_at,
                        kill_is_ours: false,
                        stopped: false,
                    };
                }
                None => {
                    let stopped = pulse(process.id()) == Pulse::Stopped;
                    note_change(self.stopped, stopped, who, diary);
                    self.stopped = stopped;
                }
            },
        }
        false
    }
}

fn note_change(before: bool, now: bool, who: Victim, diary: &Diary) {
    match (before, now) {
        (false, true) => diary.note(Event::Stopped { who }),
        (true, false) => diary.note(Event::GoesOn { who }),
        _ => {}
    }
}
