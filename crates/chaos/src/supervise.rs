//! Supervision: whatever dies during the run is started again.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::processes::CHECK_INTERVAL;
use crate::target::{Program, Server};

impl Environment {
    /// Supervises all processes until the task is aborted.
    pub(crate) async fn supervise(self: Rc<Self>) {
        let mut tasks = JoinSet::new();
        loop {
            let changes = self.processes.borrow_mut().check(&self.servers);

            for server in changes.servers_killed {
                let environment = self.clone();
                tasks.spawn_local(async move { environment.restart_server(server).await });
            }

            let is_simulator = |program: &Program| Program::SIMULATORS.contains(program);
            if changes.started.iter().any(is_simulator) {
                let environment = self.clone();
                tasks.spawn_local(async move {
                    if let Err(error) = environment.apply_fault_script().await {
                        environment.log.print(&format!("{error:#}"));
                    }
                });
            }

            while tasks.try_join_next().is_some() {}
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Tries until the server starts. After a kill from outside, children of the old server may
    /// still be exiting.
    pub(crate) async fn restart_server(&self, server: Server) {
        while let Err(error) = self.servers.control("start", server).await {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            self.log
                .print(&format!("{} does not start yet: {reason}", server.name()));
            sleep(Duration::from_secs(1)).await;
        }
        self.processes.borrow_mut().set_up_again(server);
    }
}
