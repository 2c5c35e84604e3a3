//! The command line of `device` and its help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use risiti_domain::{BuyerName, Dialect, Environment, TaxType};
use risiti_service::parse_duration;
use rust_decimal::Decimal;
use url::Url;

use crate::values;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Add a tax device to a merchant; from then on its payments in KES owe a receipt
    ///
    /// With --initialise the device is installed at KRA first, in one call: KRA hands its key out
    /// once. Without it, give the key with --cmc-key-file. The first device of a merchant is its
    /// default: payments whose short code is bound to no device are filed there. The tax rates are
    /// read from KRA's code list. Where KRA does not answer, this warns, and `codes sync` reads
    /// them later.
    Add(Box<DeviceAdd>),

    /// List the devices and how their lanes do
    List,

    /// Show one device, how its lane does, and the tax rates in force with where each comes from
    ///
    /// Of a lane that is halted or that looks its number up, it also shows what KRA has and what to
    /// do first.
    Show {
        /// The device's id, or the slug of a merchant with one device
        #[arg(value_parser = values::short_text)]
        device: String,
    },

    /// Change a device; ends a halt of its lane that asked for it
    ///
    /// Takes every flag of `device add` but --pin and --branch: another branch is another device.
    /// --dry-run shows what a new --next-invoice-no would do.
    Update(Box<DeviceUpdate>),

    /// Go through what KRA's certification asks of an integrator, with a sandbox device
    ///
    /// Token, code list, one sale of KES 10, its look-up, the same number sent again, one credit
    /// note. The sale and the credit note use up the lane's next two invoice numbers. Refused for a
    /// production device.
    Verify {
        /// The device's id, or the slug of a merchant with one device
        #[arg(value_parser = values::short_text)]
        device: String,
        /// Folder for what was sent and answered, credentials blanked
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[command(flatten)]
        call: CallArgs,
    },
}

#[derive(Args, Debug)]
pub(crate) struct DeviceAdd {
    /// The merchant's short name
    #[arg(long, value_parser = values::slug, value_name = "SLUG")]
    pub(crate) merchant: String,
    /// sandbox or production
    #[arg(long, value_parser = values::environment)]
    pub(crate) environment: Environment,
    /// legacy (etims-api.kra.go.ke), gateway (OAuth) or vscu (KRA's program on your own machine)
    #[arg(long, value_parser = values::dialect)]
    pub(crate) dialect: Dialect,
    /// Where the API is, for example https://etims-api-sbx.kra.go.ke/etims-api
    #[arg(long, value_parser = values::base_url, value_name = "URL")]
    pub(crate) base_url: Url,
    /// The taxpayer's PIN, for example P051234567X
    #[arg(long, value_parser = values::pin)]
    pub(crate) pin: String,
    /// The branch's two digits, 00 for the head office
    #[arg(long, value_parser = values::branch)]
    pub(crate) branch: String,
    /// The serial number registered at KRA for this device
    #[arg(long, value_parser = values::short_text)]
    pub(crate) serial: String,
    /// KRA's code of the one item that sales are filed under
    #[arg(long, value_parser = values::item_code, value_name = "CODE")]
    pub(crate) item_code: String,
    /// The item's class (UNSPSC)
    #[arg(long, value_parser = values::item_class, value_name = "CODE")]
    pub(crate) item_class: String,
    /// The item's name, as registered
    #[arg(long, value_parser = values::name, value_name = "NAME")]
    pub(crate) item_name: String,
    /// A exempt, B standard rate, C zero-rated, D outside VAT, E reduced rate
    #[arg(long, value_parser = values::tax_type)]
    pub(crate) tax_type: TaxType,
    #[command(flatten)]
    pub(crate) options: OptionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DeviceUpdate {
    /// The device's id, or the slug of a merchant with one device
    #[arg(value_parser = values::short_text)]
    pub(crate) device: String,
    /// Why: kept with the change
    #[arg(long, value_parser = values::reason, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Another merchant; refused once the device has invoices
    #[arg(long, value_parser = values::slug, value_name = "SLUG")]
    pub(crate) merchant: Option<String>,
    /// Refused once the device has invoices
    #[arg(long, value_parser = values::environment)]
    pub(crate) environment: Option<Environment>,
    #[arg(long, value_parser = values::dialect)]
    pub(crate) dialect: Option<Dialect>,
    #[arg(long, value_parser = values::base_url, value_name = "URL")]
    pub(crate) base_url: Option<Url>,
    #[arg(long, value_parser = values::short_text)]
    pub(crate) serial: Option<String>,
    #[arg(long, value_parser = values::item_code, value_name = "CODE")]
    pub(crate) item_code: Option<String>,
    #[arg(long, value_parser = values::item_class, value_name = "CODE")]
    pub(crate) item_class: Option<String>,
    #[arg(long, value_parser = values::name, value_name = "NAME")]
    pub(crate) item_name: Option<String>,
    #[arg(long, value_parser = values::tax_type)]
    pub(crate) tax_type: Option<TaxType>,
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with = "initialise")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) options: OptionArgs,
}

/// The optional settings, which `add` and `update` share.
#[derive(Args, Debug)]
pub(crate) struct OptionArgs {
    /// Where receipts are checked, where it is not KRA's own portal
    #[arg(long, value_parser = values::base_url, value_name = "URL")]
    pub(crate) portal_url: Option<Url>,
    /// gateway: the whole address that hands out tokens, its query included
    #[arg(long, value_parser = values::token_url, value_name = "URL")]
    pub(crate) token_url: Option<Url>,
    /// gateway: the app's consumer key
    #[arg(long, value_parser = values::short_text, value_name = "KEY")]
    pub(crate) consumer_key: Option<String>,
    /// gateway: file that holds the app's consumer secret
    #[arg(long, value_name = "FILE")]
    pub(crate) consumer_secret_file: Option<PathBuf>,
    /// gateway: the app's id (apigee_app_id)
    #[arg(long, value_parser = values::short_text, value_name = "ID")]
    pub(crate) app_id: Option<String>,
    /// File that holds the cmcKey of a device that is installed already
    #[arg(long, value_name = "FILE")]
    pub(crate) cmc_key_file: Option<PathBuf>,
    /// The control unit's id, for example KRACU0400000001
    #[arg(long, value_parser = values::sdc_id, value_name = "ID")]
    pub(crate) sdc_id: Option<String>,
    /// The number KRA expects next from this branch [default of add: 1]
    ///
    /// `update` takes any number before the first sale, and later a lower one: as long as no number
    /// from N on is an invoice's or another system's, and no send under one was left without an
    /// answer. Numbers that another system filed meanwhile are passed with `risiti-replay lanes
    /// resolve --through`.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..), value_name = "N")]
    pub(crate) next_invoice_no: Option<i64>,
    /// Install the device at KRA and keep the key it hands out, in one call
    #[arg(long, conflicts_with_all = ["cmc_key_file", "sdc_id"])]
    pub(crate) initialise: bool,
    /// File here the payments of this short code; it must be registered with `provider add` (may be
    /// repeated)
    #[arg(long = "shortcode", value_parser = values::short_code, value_name = "NUMBER")]
    pub(crate) short_codes: Vec<String>,
    /// File here what no short code leads elsewhere
    #[arg(long)]
    pub(crate) default: bool,
    /// What an invoice names as its buyer where nobody knows who bought [default of add: N/A]
    #[arg(long, value_parser = values::buyer_name, value_name = "TEXT")]
    pub(crate) walk_in_buyer: Option<BuyerName>,
    /// Percent of a tax type, as E=8, which comes before the rate of KRA's code list (may be
    /// repeated)
    #[arg(long = "tax-rate", value_parser = values::tax_rate, value_name = "TYPE=PERCENT")]
    pub(crate) tax_rates: Vec<(TaxType, Decimal)>,
    /// For tests against a simulator: let a production device have an http://, loopback or
    /// link-local address
    #[arg(long)]
    pub(crate) allow_test_address: bool,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// --initialise: folder where KRA's answer is kept until the database has it
    /// [default: $XDG_STATE_HOME/risiti or ~/.local/state/risiti]
    #[arg(long, env = "RISITI_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct CallArgs {
    /// Longest wait for an answer of KRA (250ms, 2s, 15m)
    #[arg(
        long,
        env = "RISITI_ETIMS_TIMEOUT",
        default_value = "60s",
        value_parser = parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) etims_timeout: std::time::Duration,
}
