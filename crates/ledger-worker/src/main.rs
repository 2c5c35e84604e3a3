use std::process::ExitCode;

use risiti_ledger_worker::{Settings, run};
use risiti_service::Boot;

fn main() -> ExitCode {
    let settings: Settings = match risiti_service::parse() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let boot = Boot::new("risiti-ledger-worker", &settings.log)
        .ops(&settings.ops)
        .grace(&settings.grace);
    risiti_service::run(boot, |context| run(settings, context))
}
