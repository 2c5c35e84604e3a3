//! The command line and its help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use risiti_domain::Provider;
use risiti_service::parse_duration;
use rust_decimal::Decimal;
use secrecy::SecretString;
use uuid::Uuid;

use crate::audit::AuditArgs;
use crate::buyer::BuyerCommand;
use crate::codes::CodesCommand;
use crate::device_args::DeviceCommand;
use crate::find::FindArgs;
use crate::prune::PruneArgs;
use crate::status::StatusArgs;
use crate::values;

const EXAMPLES: &str = "\
A first merchant, from nothing to tax receipts:
  risiti-admin migrate
  risiti-admin merchant create --slug acme --name 'Acme Ltd'
  risiti-admin provider add --merchant acme --provider daraja --shortcode 174379
  risiti-admin device add --merchant acme --environment sandbox --dialect legacy \\
    --base-url https://etims-api-sbx.kra.go.ke/etims-api --pin P051234567X --branch 00 \\
    --serial SN1 --initialise --item-code KE3NTNO0000001 --item-class 8111150100 \\
    --item-name Services --tax-type B --shortcode 174379";

const PROVIDER_EXAMPLES: &str = "\
Examples:
  risiti-admin provider add --merchant acme --provider daraja --shortcode 174379 \\
    --allow-cidr 196.201.212.0/24 --allow-cidr 196.201.214.0/24
  risiti-admin provider add --merchant acme --provider paystack --secret-key-file key.txt
  risiti-admin provider add --merchant acme --provider gumroad --seller-id S1";

/// Sets up what a Risiti installation works with: the schema, merchants, their gateways, their tax
/// devices.
///
/// A new merchant takes three commands: `merchant create`, `provider add`, `device add`. Every
/// command takes --json. Exit code 0: done; 1: refused or failed, with the reason; 2: the command
/// line or a setting is wrong.
#[derive(Debug, Parser)]
#[command(name = "risiti-admin", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) shared: SharedArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Shared options")]
pub(crate) struct SharedArgs {
    /// Print one JSON object, or for lists one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Postgres, as postgres://user:password@host:port/database
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_parser = values::secret,
        value_name = "URL"
    )]
    pub(crate) database_url: Option<SecretString>,

    /// 32 bytes in base64: encrypts secrets at rest. Make one with `openssl rand -base64 32` and
    /// keep it
    #[arg(
        long,
        global = true,
        env = "RISITI_CREDENTIALS_KEY",
        hide_env_values = true,
        value_parser = values::secret,
        value_name = "BASE64"
    )]
    pub(crate) credentials_key: Option<SecretString>,

    /// The key before, to decrypt only, while `keys reencrypt` runs
    #[arg(
        long,
        global = true,
        env = "RISITI_CREDENTIALS_KEY_OLD",
        hide_env_values = true,
        value_parser = values::secret,
        value_name = "BASE64"
    )]
    pub(crate) credentials_key_old: Option<SecretString>,

    /// Who to write down as having done this [default: who is logged in, as the operating system
    /// knows]. For `audit` it is whose changes to list
    #[arg(long, global = true, env = "RISITI_OPERATOR", value_parser = values::short_text, value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Whether money flows, in one look
    ///
    /// When the last webhook, payment and receipt came, what waits in the queues and for how long,
    /// the oldest invoice that is not filed, halted lanes, breakers, workers with their slots, dead
    /// letters, flagged payments. What needs a person comes first, each with the command that shows
    /// more. With --ops it asks each ingress for its spool, and says which could not be seen. It
    /// ends with what cannot be seen from here. It changes nothing and consumes nothing.
    #[command(after_help = "Examples:
  risiti-admin status
  risiti-admin status --ops http://ingress-1:9100 --ops http://ingress-2:9100
  risiti-admin status --json | jq .attention")]
    Status(StatusArgs),

    /// Find what became of a payment, from what a customer or a log says
    ///
    /// TEXT is an M-Pesa receipt, a checkout id, a reference, a Gumroad order number, an invoice
    /// number, or the id of a payment, an invoice, an event or a dead letter. It shows how the
    /// payment arrived, why it owes no receipt if it owes none, each send to KRA with its answer,
    /// and the receipt. No phone number and no secret is printed.
    #[command(after_help = "Examples:
  risiti-admin find UIS4000001
  risiti-admin find 412 --merchant acme
  risiti-admin find 01890a5d-ac96-774b-bcce-b302099a8057 --json")]
    Find(FindArgs),

    /// List what people changed, when and why
    ///
    /// Every command that changed a merchant, a gateway, a secret, a device, a lane or a dead
    /// letter, with old and new values. Of a secret it says only that it changed.
    #[command(after_help = "Examples:
  risiti-admin audit --since 24h
  risiti-admin audit --operator wanjiru --json | jq .changes")]
    Audit(AuditArgs),

    /// Bring the database's schema up to date
    ///
    /// Safe to run at any time and from several machines at once: one of them does it. Makes a role
    /// per program where this login may make roles, else warns. With RISITI_CREDENTIALS_KEY set, it
    /// also leaves the mark by which the programs later tell whether they were given the right key.
    Migrate,

    /// Merchants and the secret part of their webhook addresses
    #[command(subcommand)]
    Merchant(MerchantCommand),

    /// How a merchant's payment gateways are believed
    #[command(subcommand)]
    Provider(ProviderCommand),

    /// Tax devices: each is one (environment, PIN, branch) at KRA, and one lane of invoices
    #[command(subcommand)]
    Device(Box<DeviceCommand>),

    /// What KRA lists for a device: the tax rates
    #[command(subcommand)]
    Codes(CodesCommand),

    /// The buyers that invoices name
    #[command(subcommand)]
    Buyer(BuyerCommand),

    /// The key that secrets are encrypted under
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Remove old bodies of webhooks, requests to KRA and solved dead letters
    ///
    /// Only bodies go. What proves a payment and a filing stays: amounts, keys, invoice and receipt
    /// numbers, signatures, every transition, and a digest of each body. Bodies of what is open
    /// stay too: payments that are pending or flagged, invoices that are not filed, lanes that are
    /// halted, dead letters that wait. Workers may run meanwhile. An interrupt or a kill does no
    /// harm, and the next run goes on.
    Prune(PruneArgs),
}

impl Command {
    /// Whether the command must not be cut off by an interrupt. It calls KRA and must store the
    /// answer, or it ends by itself and writes down how far it came.
    pub(crate) fn must_finish(&self) -> bool {
        let command = match self {
            Self::Device(command) => command,
            Self::Prune(_) => return true,
            _ => return false,
        };
        match &**command {
            DeviceCommand::Add(args) => args.options.initialise,
            DeviceCommand::Update(args) => args.options.initialise,
            DeviceCommand::Verify { .. } => true,
            DeviceCommand::List | DeviceCommand::Show { .. } => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum MerchantCommand {
    /// Add a merchant and print its webhook secret, which is shown this once
    ///
    /// The secret is part of the addresses to register at the gateways, for example
    /// https://HOST/webhooks/daraja/SECRET/stk. Only its hash is stored.
    Create {
        /// Short name used in commands, reports and Paystack's address: a-z, 0-9 and hyphens
        #[arg(long, value_parser = values::slug, value_name = "SLUG")]
        slug: String,
        /// The merchant's name as people write it
        #[arg(long, value_parser = values::name)]
        name: String,
        /// Most that one payment may bring in without a person: above it, it is flagged and waits
        /// [default: 10000000]
        #[arg(long, value_parser = values::amount_max, value_name = "AMOUNT")]
        amount_max: Option<Decimal>,
    },

    /// Change a merchant's ceiling for one payment
    ///
    /// A payment above it is pending and flagged, and gets no tax receipt until a person settles it
    /// with `risiti-replay payments settle`. Whoever knows a path secret can report any amount, so
    /// the ceiling should be what this merchant's largest sale can be. What is flagged already stays
    /// flagged.
    Update {
        #[arg(long, value_parser = values::slug, value_name = "SLUG")]
        slug: String,
        /// Most that one payment may bring in without a person, in whatever currency it is
        #[arg(long, value_parser = values::amount_max, value_name = "AMOUNT")]
        amount_max: Decimal,
        /// Why, for the table operator_actions
        #[arg(long, value_parser = values::reason)]
        reason: String,
    },

    /// List the merchants
    List,

    /// Make a new webhook secret; the one before keeps working for a while
    ///
    /// Register the new addresses at the gateways before the overlap ends.
    RotateSecret {
        #[arg(long, value_parser = values::slug, value_name = "SLUG")]
        slug: String,
        /// How long the secrets before keep working (0s: not at all)
        #[arg(long, default_value = "24h", value_parser = parse_duration, value_name = "DURATION")]
        overlap: Duration,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// Add a gateway to a merchant, or add to one: another short code, another signing key
    ///
    /// daraja signs nothing: the secret in the address is what is believed, and with --allow-cidr
    /// the source is written down beside it. paystack signs with your secret key; two keys may be
    /// active while one is replaced. gumroad names its seller in each ping.
    ///
    /// Money that came to a short code before it was registered is flagged and pending. A ledger
    /// worker counts it once the code is here.
    #[command(after_long_help = PROVIDER_EXAMPLES)]
    Add(ProviderAdd),

    /// List gateways, short codes, and the ids of signing keys
    List {
        /// Only this merchant's
        #[arg(long, value_parser = values::slug, value_name = "SLUG")]
        merchant: Option<String>,
    },

    /// Stop believing a Paystack signing key
    RemoveKey {
        #[arg(long, value_parser = values::slug, value_name = "SLUG")]
        merchant: String,
        #[arg(long, value_parser = values::provider)]
        provider: Provider,
        /// As `provider list` shows it
        #[arg(long)]
        key_id: Uuid,
        /// Remove it even if it is the only one: every webhook is refused then
        #[arg(long)]
        force: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ProviderAdd {
    /// The merchant's short name
    #[arg(long, value_parser = values::slug, value_name = "SLUG")]
    pub(crate) merchant: String,

    /// daraja, paystack or gumroad
    #[arg(long, value_parser = values::provider)]
    pub(crate) provider: Provider,

    /// paystack: file that holds the secret key (sk_live_… or sk_test_…)
    #[arg(long, value_name = "FILE", conflicts_with = "secret_key_env")]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// paystack: variable that holds the secret key
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) secret_key_env: Option<String>,

    /// daraja: paybill, till or store number; may be given more than once
    #[arg(long = "shortcode", value_parser = values::short_code, value_name = "NUMBER")]
    pub(crate) short_codes: Vec<String>,

    /// daraja: sources to expect, as 196.201.212.0/24; may be given more than once, and takes the
    /// place of the list before
    #[arg(long = "allow-cidr", value_parser = values::cidr, value_name = "CIDR")]
    pub(crate) allow_cidrs: Vec<String>,

    /// daraja: refuse other sources with 403. Without it they are taken in and marked: published
    /// lists go stale, and Daraja calls once
    #[arg(long)]
    pub(crate) enforce_cidr: bool,

    /// gumroad: the seller_id in your pings
    #[arg(long, value_parser = values::short_text, value_name = "ID")]
    pub(crate) seller_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Encrypt every stored secret under the new key
    ///
    /// To change the key: set RISITI_CREDENTIALS_KEY to the new one and RISITI_CREDENTIALS_KEY_OLD
    /// to the one before for every program, run this, then take the old one away. All or nothing;
    /// safe to run again.
    Reencrypt,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_no_secret_of_the_environment() {
        for arg in Cli::command()
            .get_arguments()
            .filter(|arg| arg.get_env().is_some())
        {
            assert!(
                arg.is_hide_env_values_set() || arg.get_id() == "operator",
                "{}",
                arg.get_id()
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let cli = Cli::parse_from([
            "risiti-admin",
            "migrate",
            "--database-url",
            "postgres://u:hunter2@h/d",
        ]);
        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
