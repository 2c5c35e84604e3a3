use std::process::ExitCode;

use risiti_etims_worker::Settings;
use risiti_service::Boot;

fn main() -> ExitCode {
    let settings: Settings = match risiti_service::parse() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let boot = Boot::new("risiti-etims-worker", &settings.log)
        .ops(&settings.ops)
        .grace(&settings.grace);
    risiti_service::run(boot, |context| risiti_etims_worker::run(settings, context))
}
