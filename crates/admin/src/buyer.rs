//! `buyer set`: the buyer that a sale's invoice names.

use anyhow::{Result, bail};
use clap::Subcommand;
use risiti_domain::{BuyerName, InvoiceId, KraPin};
use risiti_ledger::{BuyerChange, KnownBuyer, OperatorAction};
use risiti_service::BadSetting;
use serde_json::json;

use crate::session::Session;
use crate::values;

#[derive(Debug, Subcommand)]
pub(crate) enum BuyerCommand {
    /// Name the buyer of a sale that is not filed
    ///
    /// A buyer can claim an expense only if his PIN is on the invoice. Both stay on the invoice as
    /// they are sent, and its credit notes repeat them. Refused once KRA has or may have the
    /// invoice. A dead letter may be changed, and is sent with the new buyer when it is replayed.
    /// `risiti-admin find` tells the id of an invoice.
    #[command(after_help = "Example:
  risiti-admin buyer set 01890a5d-ac96-774b-bcce-b302099a8057 --name 'Upendo Traders Ltd' \\
    --pin P059876543Z --reason 'asked for at the till'")]
    Set {
        /// The invoice's id
        invoice: InvoiceId,
        /// The buyer's name, of which KRA takes 60 characters
        #[arg(long, value_parser = values::buyer_name)]
        name: Option<BuyerName>,
        /// The buyer's PIN: A or P, nine digits, a letter
        #[arg(long, value_parser = values::kra_pin)]
        pin: Option<KraPin>,
        /// Why, for the audit
        #[arg(long, value_parser = values::reason)]
        reason: String,
    },
}

pub(crate) async fn run(session: &Session, command: BuyerCommand) -> Result<()> {
    let BuyerCommand::Set {
        invoice,
        name,
        pin,
        reason,
    } = command;
    if name.is_none() && pin.is_none() {
        return Err(BadSetting::new("buyer set", "neither --name nor --pin was given").into());
    }
    let by = OperatorAction {
        operator: session.operator.clone(),
        reason,
    };
    let buyer = KnownBuyer { name, pin };
    match session.ledger.set_buyer(invoice, &buyer, &by).await? {
        BuyerChange::Set => {}
        BuyerChange::NoInvoice => bail!("there is no invoice {invoice}"),
        BuyerChange::CreditNote => {
            bail!("{invoice} is a credit note, which names the buyer of its sale")
        }
        BuyerChange::TooLate { state } => bail!(
            "invoice {invoice} is {state}: KRA has it or may have it, so that its buyer stays as sent"
        ),
    }
    let text = format!("Invoice {invoice} names this buyer when it is filed.");
    session.out.object(&json!({ "invoice_id": invoice }), &text);
    Ok(())
}
