use std::process::ExitCode;

use risiti_ingress::Settings;
use risiti_service::Boot;

fn main() -> ExitCode {
    match risiti_service::parse::<Settings>() {
        Ok(settings) => {
            let boot = Boot::new("risiti-ingress", &settings.log)
                .ops(&settings.ops)
                .grace(&settings.grace);
            risiti_service::run(boot, |context| risiti_ingress::run(settings, context))
        }
        Err(code) => code,
    }
}
