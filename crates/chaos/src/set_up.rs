//! Before the faults: tables, merchants, devices, and everybody on the stage. Others may kill already now.

use std::fs;

use anyhow::Context as _;
use risiti_testkit::empty_database;

use crate::programme::{Program, Wire};
use crate::run::{Scene, TRIES};

impl Scene {
    pub(crate) async fn set_up(&self) -> anyhow::Result<()> {
        for name in ["record.jsonl", "audit.json"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        let _ = fs::remove_dir_all(self.recipes.data_dir(Program::Ingress2));
        self.forget_sales();
        for simulator in Program::SIMULATORS {
            self.troupe.borrow_mut().enter(simulator);
        }
        for tries_left in (0..TRIES).rev() {
            match self.make_fleet().await {
                Ok(()) => break,
                Err(error) if tries_left == 0 => return Err(error),
                Err(error) => self.begin_anew(&error).await,
            }
        }
        for program in Program::ALL
            .into_iter()
            .filter(|program| !Program::SIMULATORS.contains(program))
        {
            self.troupe.borrow_mut().enter(program);
        }
        self.all_ready(&Program::ALL).await?;
        self.bad_weather.set(true);
        self.set_weather().await
    }

    /// In an empty database. Devices know the authority by the address of its link.
    async fn make_fleet(&self) -> anyhow::Result<()> {
        empty_database(&self.servers.database_url)
            .await
            .context("failed to empty the database")?;
        self.recipes.run("risiti-admin", &["migrate"]).await?;
        self.all_ready(&Program::SIMULATORS).await?;
        let [legacy, gateway] = Program::SIMULATORS
            .map(|simulator| self.recipes.link(Wire::to_simulator(simulator)).url());
        let (admin, fleet) = (self.recipes.executable("risiti-admin"), self.fleet());
        let args = [
            "seed",
            "--admin",
            &admin,
            "--sim",
            legacy,
            "--gateway-sim",
            gateway,
            "--out",
            &fleet,
        ];
        self.recipes
            .run("risiti-load", &[&args[..], &["--merchants", "12"]].concat())
            .await
            .map(drop)
    }

    /// Half a fleet is of no use: its keys are known to nobody.
    async fn begin_anew(&self, error: &anyhow::Error) {
        for simulator in Program::SIMULATORS {
            self.troupe
                .borrow_mut()
                .kill(simulator, std::time::Duration::ZERO);
        }
        self.forget_sales();
        self.wait_after(error).await;
    }

    /// Of simulators that do not run.
    fn forget_sales(&self) {
        for simulator in Program::SIMULATORS {
            let _ = fs::remove_file(self.dir.join(format!("{}.journal", simulator.name())));
        }
    }
}
