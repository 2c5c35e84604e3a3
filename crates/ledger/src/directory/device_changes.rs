//! `device update`: changing a device, and ending a halt that waits for the change.

use risiti_domain::{BuyerName, DeviceId, Dialect, Environment, TaxType};
use tokio_postgres::types::ToSql;
use url::Url;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::db::vault::{Place, Vault};
use crate::directory::device_values::DEVICE_SECRETS;
use crate::directory::manage_error::ManageError;
use crate::directory::new_device::{DeviceOptions, host, seal};
use crate::directory::next_number::NumberChange;
use crate::directory::tax_rates::tax_rates_json;
use crate::operator_actions::{CommandMode, OperatorAction, RecordedChange, differences};

statements! {
    /// Whether the device has an invoice is asked in two halves, because each half has an index. An
    /// invoice that is filed has a number. The order makes the planner use the index. For an EXISTS
    /// it reads the whole table where it expects a row soon.
    DEVICE_LOCK = "SELECT d.merchant_id, m.slug, d.environment, d.pin, d.branch,
        (SELECT i.state FROM invoices i WHERE i.device_id = d.id AND i.state <> 'success'
         ORDER BY i.state, i.position LIMIT 1) IS NOT NULL
            OR (SELECT max(i.invoice_no) FROM invoices i WHERE i.device_id = d.id) IS NOT NULL
        FROM devices d JOIN merchants m ON m.id = d.merchant_id WHERE d.id = $1
        FOR NO KEY UPDATE OF d";
    DEVICE_CHANGE = "UPDATE devices SET
        merchant_id = coalesce($2, merchant_id), environment = coalesce($3, environment),
        dialect = coalesce($4, dialect), base_url = coalesce($5, base_url),
        portal_url = coalesce($6, portal_url), token_url = coalesce($7, token_url),
        app_id = coalesce($8, app_id), consumer_key = coalesce($9, consumer_key),
        consumer_secret_ciphertext = coalesce($10, consumer_secret_ciphertext), serial = coalesce($11, serial),
        cmc_key_ciphertext = coalesce($12, cmc_key_ciphertext), sdc_id = coalesce($13, sdc_id),
        item_code = coalesce($14, item_code), item_class = coalesce($15, item_class),
        item_name = coalesce($16, item_name), tax_type = coalesce($17, tax_type),
        tax_rates = tax_rates || $18, walk_in_buyer = coalesce($19, walk_in_buyer), is_default = is_default AND $2::uuid IS NULL
        WHERE id = $1";
    /// Short codes stay with the merchant when the device goes to another one.
    SHORT_CODES_UNBIND = "UPDATE short_codes SET device_id = NULL WHERE device_id = $1 AND merchant_id <> $2";
    LANE_HOST = "UPDATE lanes SET host = $2 WHERE device_id = $1";
    /// A halt tells the command that ends it (protocol D15). A new number also ends the halts over a
    /// number.
    HALT_END = "UPDATE lanes SET halted_at = NULL, halt_reason = NULL, halt_remedy = NULL, retry_at = NULL,
        retry_step = 0, token_at = NULL, moved_by = $2, moved_because = $3
        WHERE device_id = $1 AND halted_at IS NOT NULL
          AND (halt_remedy = 'device update' OR ($4 AND halt_remedy = 'lanes resolve'))";
}

/// What `device update` changes. `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct DeviceChanges {
    pub merchant: Option<String>,
    pub environment: Option<Environment>,
    pub dialect: Option<Dialect>,
    pub base_url: Option<Url>,
    pub serial: Option<String>,
    pub item_code: Option<String>,
    pub item_class: Option<String>,
    pub item_name: Option<String>,
    pub tax_type: Option<TaxType>,
    pub next_invoice_no: Option<i64>,
    pub options: DeviceOptions,
}

/// What `device update` did besides the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdatedDevice {
    /// Whether the lane was halted for a reason that this command ends.
    pub resumed: bool,
    /// The change of the lane's next number, if there was one.
    pub number: Option<NumberChange>,
}

impl DeviceChanges {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        let Self {
            merchant,
            environment,
            dialect,
            base_url,
            serial,
            item_code,
            item_class,
            item_name,
            tax_type,
            next_invoice_no,
            options,
        } = self;
        merchant.is_none()
            && environment.is_none()
            && dialect.is_none()
            && base_url.is_none()
            && serial.is_none()
            && item_code.is_none()
            && item_class.is_none()
            && item_name.is_none()
            && tax_type.is_none()
            && next_invoice_no.is_none()
            && options.is_empty()
    }
}

impl Ledger {
    /// Changes a device, and ends a halt of its lane that waits for the change.
    pub async fn update_device(
        &self,
        id: DeviceId,
        changes: &DeviceChanges,
        vault: &Vault,
        mode: CommandMode,
        action: &OperatorAction,
    ) -> Result<UpdatedDevice, ManageError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let updated = transaction
            .update_device(id, changes, vault, action)
            .await?;
        mode.end(transaction).await?;
        Ok(updated)
    }
}

impl Transaction<'_> {
    async fn update_device(
        &self,
        device: DeviceId,
        changes: &DeviceChanges,
        vault: &Vault,
        action: &OperatorAction,
    ) -> Result<UpdatedDevice, ManageError> {
        self.require_right_key(vault).await?;

        let id = device.uuid();
        let row = self
            .query_opt(DEVICE_LOCK, &[&id])
            .await?
            .ok_or(ManageError::NoDevice(device))?;
        let known = KnownDevice::read(&row)?;
        let merchant = match &changes.merchant {
            Some(slug) if *slug != known.merchant_slug => {
                Some(self.merchant_for_update(slug).await?)
            }
            _ => None,
        };

        if known.has_invoices && merchant.is_some() {
            return Err(ManageError::HasInvoices("the merchant"));
        }
        if known.has_invoices
            && changes
                .environment
                .is_some_and(|new| new != known.environment)
        {
            return Err(ManageError::HasInvoices("the environment"));
        }

        let before = self.device_values(id).await?;
        self.change_row(id, merchant, changes, vault, &known)
            .await?;
        let number = match changes.next_invoice_no {
            Some(number) => self.set_number(device, number, &action.operator).await?,
            None => None,
        };
        if let Some(base_url) = &changes.base_url {
            let host = host(base_url)?;
            self.add_host(&host).await?;
            self.execute(LANE_HOST, &[&id, &host]).await?;
        }

        let owner = merchant.unwrap_or(known.merchant);
        if merchant.is_some() {
            self.execute(SHORT_CODES_UNBIND, &[&id, &owner]).await?;
        }
        self.choose_default(owner, id, changes.options.make_default)
            .await?;
        let slug = changes.merchant.as_deref().unwrap_or(&known.merchant_slug);
        self.bind_short_codes(slug, owner, id, &changes.options.short_codes)
            .await?;

        let end_halt: [&(dyn ToSql + Sync); 4] =
            [&id, &action.operator, &action.reason, &number.is_some()];
        let resumed = self.execute(HALT_END, &end_halt).await? == 1;
        let after = self.device_values(id).await?;
        let change = RecordedChange {
            operator: &action.operator,
            reason: Some(&action.reason),
            subject: serde_json::json!({ "device_id": id }),
            changes: differences(&before, &after, &DEVICE_SECRETS),
        };
        self.record_change("device update", change).await?;
        Ok(UpdatedDevice { resumed, number })
    }

    async fn change_row(
        &self,
        id: Uuid,
        merchant: Option<Uuid>,
        changes: &DeviceChanges,
        vault: &Vault,
        known: &KnownDevice,
    ) -> Result<(), ManageError> {
        let options = &changes.options;
        let changed = self
            .execute(
                DEVICE_CHANGE,
                &[
                    &id,
                    &merchant,
                    &changes.environment.map(Environment::as_str),
                    &changes.dialect.map(Dialect::as_str),
                    &changes.base_url.as_ref().map(Url::as_str),
                    &options.portal_url.as_ref().map(Url::as_str),
                    &options.token_url.as_ref().map(Url::as_str),
                    &options.app_id,
                    &options.consumer_key,
                    &seal(
                        vault,
                        Place::consumer_secret(id),
                        options.consumer_secret.as_ref(),
                    )?,
                    &changes.serial,
                    &seal(vault, Place::cmc_key(id), options.cmc_key.as_ref())?,
                    &options.sdc_id,
                    &changes.item_code,
                    &changes.item_class,
                    &changes.item_name,
                    &changes.tax_type.map(TaxType::as_str),
                    &tax_rates_json(&options.tax_rates),
                    &options.walk_in_buyer.as_ref().map(BuyerName::as_str),
                ],
            )
            .await;
        match changed {
            Ok(_) => Ok(()),
            Err(error) => match error.constraint() {
                Some("gateway_has_token") => Err(ManageError::TokenMissing),
                Some("device_per_branch_unique") => Err(ManageError::BranchTaken {
                    environment: changes.environment.unwrap_or(known.environment),
                    pin: known.pin.clone(),
                    branch: known.branch.clone(),
                }),
                _ => Err(error.into()),
            },
        }
    }
}

/// A device's row before the change.
struct KnownDevice {
    merchant: Uuid,
    merchant_slug: String,
    environment: Environment,
    pin: String,
    branch: String,
    has_invoices: bool,
}

impl KnownDevice {
    fn read(row: &tokio_postgres::Row) -> Result<Self, LedgerError> {
        let environment: &str = row.try_get(2)?;
        let unreadable = |_| LedgerError::Stored {
            table: "devices",
            column: "environment",
            row: environment.to_owned(),
        };
        Ok(Self {
            merchant: row.try_get(0)?,
            merchant_slug: row.try_get(1)?,
            environment: environment.parse().map_err(unreadable)?,
            pin: row.try_get(3)?,
            branch: row.try_get(4)?,
            has_invoices: row.try_get(5)?,
        })
    }
}
