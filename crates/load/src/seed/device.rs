//! One tax device: registered at the simulator as KRA would have done, then added to the merchant.

use std::path::Path;

use serde::Serialize;
use url::Url;

use super::merchant_plan::MerchantPlan;
use super::secret_file::SecretFile;
use crate::admin::{self, field};
use crate::cli::SimArgs;
use crate::draw::Draw;
use crate::fleet::Device;
use crate::simulator::Simulator;

pub(crate) struct DeviceSetup<'a> {
    plan: &'a MerchantPlan,
    /// The index of the device among those of its merchant.
    at: u32,
    host: &'a Url,
    is_gateway: bool,
    registration: Registration,
}

/// A device as the simulator's control API takes it.
#[derive(Serialize)]
struct Registration {
    #[serde(rename = "tin")]
    pin: String,
    #[serde(rename = "bhfId")]
    branch: String,
    #[serde(rename = "dvcSrlNo")]
    serial: String,
    #[serde(rename = "cmcKey")]
    cmc_key: String,
    consumer_key: String,
    consumer_secret: String,
    app_id: String,
}

impl<'a> DeviceSetup<'a> {
    pub(crate) fn new(plan: &'a MerchantPlan, at: u32, sims: &'a SimArgs) -> Self {
        let gateway = sims.gateway_sim.as_ref().filter(|_| plan.prefers_gateway);
        Self {
            plan,
            at,
            host: gateway.unwrap_or(&sims.sim),
            is_gateway: gateway.is_some(),
            registration: Registration::new(plan, at),
        }
    }

    /// Makes the device. Secrets are passed in files beside `out`, which are removed afterwards.
    pub(crate) async fn make(self, admin: &Path, out: &Path) -> anyhow::Result<Device> {
        Simulator::new(self.host)?
            .register_device(&self.registration)
            .await?;

        let cmc_key = SecretFile::write(out, "cmc-key", &self.registration.cmc_key)?;
        let consumer_secret =
            SecretFile::write(out, "consumer-secret", &self.registration.consumer_secret)?;
        let args = self.add_args(cmc_key.path(), consumer_secret.path());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let added = admin::run(admin, &args, &[]).await?;

        Ok(Device {
            device_id: field(&added, "device_id")?,
            pin: self.registration.pin,
            branch: self.registration.branch,
        })
    }

    /// The arguments of `risiti-admin device add`. The device is bound to the merchant's short code
    /// of the same index.
    fn add_args(&self, cmc_key_file: &str, consumer_secret_file: &str) -> Vec<String> {
        let Registration {
            pin,
            branch,
            serial,
            consumer_key,
            app_id,
            ..
        } = &self.registration;
        let base_url = self.host.as_str().trim_end_matches('/');
        let sdc_id = format!("KRACU04{:08}", self.plan.number * 10 + self.at + 1);
        let short_code = self.plan.short_code(self.at);
        let token_url = format!("{base_url}/v1/token/generate?grant_type=client_credentials");

        let mut args = vec!["device", "add", "--merchant", &self.plan.slug];
        args.extend(["--environment", "sandbox", "--base-url", base_url]);
        args.extend(["--pin", pin, "--branch", branch, "--serial", serial]);
        args.extend(["--cmc-key-file", cmc_key_file, "--sdc-id", &sdc_id]);
        args.extend(["--item-code", "KE3NTNO0000001"]);
        args.extend(["--item-class", "8111150100"]);
        args.extend(["--item-name", "Services", "--tax-type", "B"]);
        args.extend(["--shortcode", &short_code]);
        if self.is_gateway {
            args.extend(["--dialect", "gateway", "--token-url", &token_url]);
            args.extend(["--consumer-key", consumer_key]);
            args.extend(["--consumer-secret-file", consumer_secret_file]);
            args.extend(["--app-id", app_id]);
        } else {
            args.extend(["--dialect", "legacy"]);
        }
        if self.at == 0 {
            args.push("--default");
        }
        args.into_iter().map(str::to_owned).collect()
    }
}

impl Registration {
    fn new(plan: &MerchantPlan, at: u32) -> Self {
        let pin = format!("P051{:06}X", plan.number + 1);
        let branch = format!("{at:02}");
        // Secrets need no seed, because nothing of the storm depends on them.
        let mut draw = Draw::new(rand::random(), 0);
        Self {
            serial: format!("RISITI/{pin}/{branch}"),
            pin,
            branch,
            cmc_key: draw.hex(40).to_uppercase(),
            consumer_key: draw.hex(32),
            consumer_secret: draw.hex(16),
            app_id: draw.hex(32),
        }
    }
}
