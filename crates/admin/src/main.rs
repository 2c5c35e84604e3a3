use std::process::ExitCode;
use std::time::Duration;

use risiti_admin::Cli;
use risiti_service::{Boot, GraceArgs, LogArgs};

/// Longer than one call to KRA, because an initialisation that has begun must keep KRA's answer.
const GRACE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let cli: Cli = match risiti_service::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let boot = Boot::new("risiti-admin", &LogArgs::default())
        .grace(&GraceArgs { grace: GRACE })
        .quiet();
    risiti_service::run(boot, |context| risiti_admin::run(cli, context))
}
