//! The settings of the simulator, for the program and for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rust_decimal::Decimal;

/// Which of KRA's three interfaces is simulated. They differ in authentication, paths, envelopes
/// and codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// The direct hosts `etims-api[-sbx].kra.go.ke`.
    Legacy,
    /// The Apigee front with its OAuth token.
    Gateway,
    /// KRA's Java unit on the taxpayer's own machine.
    Vscu,
}

/// What shares one run of item numbers. KRA's sources disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ItemNumbers {
    /// All items of the PIN.
    Pin,
    /// The items of the PIN whose codes begin alike.
    Prefix,
}

/// What shares one run of stock movement numbers. KRA's sources do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StockNumbers {
    /// All branches of the PIN.
    Pin,
    /// Each branch.
    Branch,
}

#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "ETIMS_SIM_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Which of KRA's fronts to play.
    #[arg(long, env = "ETIMS_SIM_DIALECT", value_enum, default_value_t = Dialect::Legacy)]
    pub dialect: Dialect,
    /// Time between taking a call and answering it, e.g. 100ms or 2s.
    #[arg(long, env = "ETIMS_SIM_LATENCY", value_parser = parse_duration, default_value = "0ms")]
    pub latency: Duration,
    /// Refuse an invoice number that is not exactly the next one.
    #[arg(long, env = "ETIMS_SIM_STRICT_SEQUENCE", default_value_t = true, action = clap::ArgAction::Set)]
    pub strict_sequence: bool,
    /// Refuse a credit note whose buyer's name is not the sale's, or is null.
    #[arg(long, env = "ETIMS_SIM_STRICT_CREDIT_NAMES", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_credit_names: bool,
    /// Refuse a third credit note of a sale, and a second one that is not for the whole rest.
    #[arg(long, env = "ETIMS_SIM_STRICT_CREDIT_COUNT", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_credit_count: bool,
    /// Refuse a credit note more than six months after its sale.
    #[arg(long, env = "ETIMS_SIM_STRICT_CREDIT_AGE", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_credit_age: bool,
    /// Refuse a credit note with more of an item than its sale has left.
    #[arg(long, env = "ETIMS_SIM_STRICT_CREDIT_LINES", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_credit_lines: bool,
    /// Refuse a discount that is not that of a whole percent.
    #[arg(long, env = "ETIMS_SIM_STRICT_DISCOUNTS", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_discounts: bool,
    /// Damage the record of a device that is initialised again and again (gateway).
    #[arg(long, env = "ETIMS_SIM_STRICT_INITIALISE", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_initialise: bool,
    /// Refuse an item whose class is not among the 26 of KRA's sandbox (gateway).
    #[arg(long, env = "ETIMS_SIM_STRICT_ITEM_CLASSES", default_value_t = true, action = clap::ArgAction::Set)]
    pub strict_item_classes: bool,
    /// Refuse an item code that is registered (gateway); otherwise it is an update.
    #[arg(long, env = "ETIMS_SIM_STRICT_ITEM_UPDATES", default_value_t = true, action = clap::ArgAction::Set)]
    pub strict_item_updates: bool,
    /// What shares one run of item numbers (gateway).
    #[arg(long, env = "ETIMS_SIM_ITEM_NUMBERS_PER", value_enum, default_value_t = ItemNumbers::Pin)]
    pub item_numbers_per: ItemNumbers,
    /// What shares one run of stock movement numbers.
    #[arg(long, env = "ETIMS_SIM_STOCK_NUMBERS_PER", value_enum, default_value_t = StockNumbers::Pin)]
    pub stock_numbers_per: StockNumbers,
    /// How many sales a device has filed before it has imported items and purchases.
    #[arg(long, env = "ETIMS_SIM_LATE_LISTS_AFTER", default_value_t = 1)]
    pub late_lists_after: usize,
    /// Refuse a trader number that another document of the device has.
    #[arg(long, env = "ETIMS_SIM_STRICT_TRADER_NUMBERS", default_value_t = false, action = clap::ArgAction::Set)]
    pub strict_trader_numbers: bool,
    /// Seed of every made-up key, signature and wording.
    #[arg(long, env = "ETIMS_SIM_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Rate of tax type E, in percent (KRA's own sources give 8 and 0).
    #[arg(long, env = "ETIMS_SIM_RATE_E", default_value = "8")]
    pub rate_e: Decimal,
    /// Refuse a sale of an item that was never saved or, unless a service, never stocked.
    #[arg(long, env = "ETIMS_SIM_STOCK_CHECK", default_value_t = false, action = clap::ArgAction::Set)]
    pub stock_check: bool,
    /// Life of a gateway token.
    #[arg(long, env = "ETIMS_SIM_TOKEN_TTL", value_parser = parse_duration, default_value = "3599s")]
    pub token_ttl: Duration,
    /// Certificate chain (PEM); with it the simulator speaks HTTPS.
    #[arg(long, env = "ETIMS_SIM_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, env = "ETIMS_SIM_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Sales kept; a sale beyond that is answered with HTTP 503.
    #[arg(long, env = "ETIMS_SIM_MAX_SALES", default_value_t = 200_000)]
    pub max_sales: usize,
    /// Keep devices, sales and client mistakes in this file, for the next run to go on with.
    #[arg(long, env = "ETIMS_SIM_JOURNAL", value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

impl Config {
    /// The defaults of the program, on a free local port.
    pub fn local(dialect: Dialect) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            dialect,
            latency: Duration::ZERO,
            strict_sequence: true,
            strict_credit_names: false,
            strict_credit_count: false,
            strict_credit_age: false,
            strict_credit_lines: false,
            strict_discounts: false,
            strict_initialise: false,
            strict_item_classes: true,
            strict_item_updates: true,
            item_numbers_per: ItemNumbers::Pin,
            stock_numbers_per: StockNumbers::Pin,
            late_lists_after: 1,
            strict_trader_numbers: false,
            seed: 1,
            rate_e: Decimal::from(8),
            stock_check: false,
            token_ttl: Duration::from_secs(3599),
            tls_cert: None,
            tls_key: None,
            max_sales: 200_000,
            journal: None,
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is not a time such as 100ms or 2s"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text:?} lacks its unit: ms, s or m")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("3m"), Ok(Duration::from_secs(180)));
        for wrong in ["", "100", "ms", "1h", "-1s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn local_config_has_the_defaults_of_the_program() {
        let program = Program::parse_from(["etims-sim"]).config;
        assert_eq!(
            format!("{program:?}"),
            format!("{:?}", Config::local(Dialect::Legacy))
        );
    }

    #[test]
    fn readme_names_flags_that_exist() {
        let command = Program::command();
        let known: Vec<&str> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .collect();
        let readme = include_str!("../README.md");
        let named = readme.split("`--").skip(1).map(|text| {
            let end = text.find(|c: char| c != '-' && !c.is_ascii_alphabetic());
            &text[..end.unwrap_or(text.len())]
        });
        for flag in named {
            assert!(known.contains(&flag), "--{flag}");
        }
        for switch in known.iter().filter(|flag| flag.starts_with("strict-")) {
            assert!(readme.contains(&format!("--{switch}")), "{switch}");
        }
    }

    #[test]
    fn documented_command_line_parses() {
        let line = "etims-sim --listen 127.0.0.1:9000 --dialect gateway --latency 100ms --strict-sequence false";
        let config = Program::parse_from(line.split(' ')).config;
        assert_eq!(config.dialect, Dialect::Gateway);
        assert_eq!(config.latency, Duration::from_millis(100));
        assert!(!config.strict_sequence);
    }
}
