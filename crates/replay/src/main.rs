use std::process::ExitCode;

use risiti_replay::Cli;
use risiti_service::{Boot, LogArgs};

fn main() -> ExitCode {
    let cli: Cli = match risiti_service::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let boot = Boot::new("risiti-replay", &LogArgs::default()).quiet();
    risiti_service::run(boot, |context| risiti_replay::run(cli, context))
}
