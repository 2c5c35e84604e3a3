//! A dozen merchants as they come: most with one short code and one device, one with two of each, one
//! without a device, some also on Paystack and Gumroad.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::admin::{self, field};
use crate::cli::{SeedArgs, SimArgs};
use crate::draw::Draw;
use crate::fleet::{Device, Fleet, Merchant};
use crate::sim::Simulator;

const NAMES: [&str; 12] = [
    "duka", "hoteli", "soko", "shamba", "kahawa", "dawa", "vitabu", "samaki", "boda", "mkate",
    "nguo", "maziwa",
];

pub(crate) async fn run(args: SeedArgs) -> anyhow::Result<()> {
    let seeder = Seeder {
        admin: &args.admin,
        sims: &args.sims,
        out: &args.out,
    };
    let mut fleet = Fleet {
        merchants: Vec::new(),
    };
    for plan in (0..args.merchants).map(Plan::of) {
        let merchant = seeder
            .make(&plan)
            .await
            .with_context(|| format!("failed to make {}", plan.slug))?;
        fleet.merchants.push(merchant);
    }
    fleet.write(&args.out)?;
    let devices: usize = fleet
        .merchants
        .iter()
        .map(|merchant| merchant.devices.len())
        .sum();
    eprintln!(
        "{} merchants with {devices} tax devices",
        fleet.merchants.len()
    );
    Ok(())
}

/// What the merchant of a place in the fleet has.
#[derive(Debug, PartialEq)]
struct Plan {
    number: u32,
    slug: String,
    /// One device each, if any.
    short_codes: u32,
    has_devices: bool,
    paystack_keys: u32,
    has_gumroad: bool,
    /// Where there is one.
    prefers_gateway: bool,
}

impl Plan {
    fn of(number: u32) -> Self {
        let name = NAMES[number as usize % NAMES.len()];
        let round = number as usize / NAMES.len();
        Self {
            number,
            slug: if round == 0 {
                name.to_owned()
            } else {
                format!("{name}-{}", round + 1)
            },
            short_codes: if number == 1 { 2 } else { 1 },
            has_devices: number != 2,
            paystack_keys: match number {
                3 => 2,
                number => u32::from(number % 2 == 0),
            },
            has_gumroad: number.is_multiple_of(3) || number == 2,
            prefers_gateway: number % 4 == 1,
        }
    }

    fn short_code(&self, at: u32) -> String {
        format!("{}", 600_000 + self.number * 10 + at)
    }
}

struct Seeder<'a> {
    admin: &'a Path,
    sims: &'a SimArgs,
    out: &'a Path,
}

impl Seeder<'_> {
    async fn make(&self, plan: &Plan) -> anyhow::Result<Merchant> {
        let name = format!("{} Ltd", plan.slug);
        let created = admin::run(
            self.admin,
            &["merchant", "create", "--slug", &plan.slug, "--name", &name],
            &[],
        )
        .await?;
        let mut merchant = Merchant {
            slug: plan.slug.clone(),
            webhook_secret: field(&created, "webhook_secret")?,
            short_codes: (0..plan.short_codes)
                .map(|at| plan.short_code(at))
                .collect(),
            paystack_keys: Vec::new(),
            gumroad_seller: None,
            devices: Vec::new(),
        };
        self.add_providers(plan, &mut merchant).await?;
        if plan.has_devices {
            for at in 0..plan.short_codes {
                merchant.devices.push(self.add_device(plan, at).await?);
            }
        }
        Ok(merchant)
    }

    async fn add_providers(&self, plan: &Plan, merchant: &mut Merchant) -> anyhow::Result<()> {
        let add = |provider: &'static str| {
            [
                "provider",
                "add",
                "--merchant",
                plan.slug.as_str(),
                "--provider",
                provider,
            ]
        };
        let mut daraja = add("daraja").to_vec();
        for code in &merchant.short_codes {
            daraja.extend(["--shortcode", code]);
        }
        admin::run(self.admin, &daraja, &[]).await?;
        // Secrets are random each time: nothing of the storm depends on them.
        let mut random = Draw::new(rand::random(), 0);
        for _ in 0..plan.paystack_keys {
            let key = format!("sk_live_{}", random.hex(40));
            let mut paystack = add("paystack").to_vec();
            paystack.extend(["--secret-key-env", "PAYSTACK_SECRET_KEY"]);
            admin::run(self.admin, &paystack, &[("PAYSTACK_SECRET_KEY", &key)]).await?;
            merchant.paystack_keys.push(key);
        }
        if plan.has_gumroad {
            let seller = format!("{}==", random.hex(22));
            let mut gumroad = add("gumroad").to_vec();
            gumroad.extend(["--seller-id", &seller]);
            admin::run(self.admin, &gumroad, &[]).await?;
            merchant.gumroad_seller = Some(seller);
        }
        Ok(())
    }

    /// A device that KRA has installed already, bound to the short code of the same place.
    async fn add_device(&self, plan: &Plan, at: u32) -> anyhow::Result<Device> {
        let pin = format!("P051{:06}X", plan.number + 1);
        let branch = format!("{at:02}");
        let serial = format!("RISITI/{pin}/{branch}");
        let mut random = Draw::new(rand::random(), 0);
        let cmc_key = random.hex(40).to_uppercase();
        let (consumer_key, consumer_secret) = (random.hex(32), random.hex(16));
        let app_id = random.hex(32);
        let gateway = self
            .sims
            .gateway_sim
            .as_ref()
            .filter(|_| plan.prefers_gateway);
        let base_url = gateway.unwrap_or(&self.sims.sim);
        let registration = json!({
            "tin": pin, "bhfId": branch, "dvcSrlNo": serial, "cmcKey": cmc_key,
            "consumer_key": consumer_key, "consumer_secret": consumer_secret, "app_id": app_id,
        });
        Simulator::new(base_url)?
            .register_device(&registration)
            .await?;

        let cmc_key_file = SecretFile::write(self.out, "cmc-key", &cmc_key)?;
        let consumer_secret_file =
            SecretFile::write(self.out, "consumer-secret", &consumer_secret)?;
        let base_url = base_url.as_str().trim_end_matches('/');
        let token_url = format!("{base_url}/v1/token/generate?grant_type=client_credentials");
        let sdc_id = format!("KRACU04{:08}", plan.number * 10 + at + 1);
        let short_code = plan.short_code(at);
        let mut add = vec![
            "device",
            "add",
            "--merchant",
            &plan.slug,
            "--environment",
            "sandbox",
        ];
        add.extend([
            "--base-url",
            base_url,
            "--pin",
            &pin,
            "--branch",
            &branch,
            "--serial",
            &serial,
        ]);
        add.extend(["--cmc-key-file", cmc_key_file.path(), "--sdc-id", &sdc_id]);
        add.extend([
            "--item-code",
            "KE3NTNO0000001",
            "--item-class",
            "8111150100",
            "--item-name",
            "Services",
        ]);
        add.extend(["--tax-type", "B", "--shortcode", &short_code]);
        if gateway.is_some() {
            add.extend([
                "--dialect",
                "gateway",
                "--token-url",
                &token_url,
                "--consumer-key",
                &consumer_key,
            ]);
            add.extend([
                "--consumer-secret-file",
                consumer_secret_file.path(),
                "--app-id",
                &app_id,
            ]);
        } else {
            add.extend(["--dialect", "legacy"]);
        }
        if at == 0 {
            add.push("--default");
        }
        let added = admin::run(self.admin, &add, &[]).await?;
        Ok(Device {
            device_id: field(&added, "device_id")?,
            pin,
            branch,
        })
    }
}

/// Beside the fleet's file, for its owner alone, removed when dropped.
struct SecretFile(String);

impl SecretFile {
    fn write(beside: &Path, name: &str, secret: &str) -> anyhow::Result<Self> {
        let path = beside.with_extension(name);
        let _ = std::fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let written = Self(path.to_string_lossy().into_owned());
        file.write_all(secret.as_bytes())?;
        Ok(written)
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn slugs_and_short_codes_are_unique_and_all_kinds_occur() {
        let plans: Vec<Plan> = (0..90).map(Plan::of).collect();
        let slugs: BTreeSet<&str> = plans.iter().map(|plan| plan.slug.as_str()).collect();
        assert_eq!(slugs.len(), 90);
        let codes: BTreeSet<String> = plans
            .iter()
            .flat_map(|plan| (0..plan.short_codes).map(|at| plan.short_code(at)))
            .collect();
        assert_eq!(codes.len(), 91);
        let first = &plans[..4];
        assert!(
            first
                .iter()
                .any(|plan| !plan.has_devices && plan.has_gumroad && plan.paystack_keys > 0)
        );
        assert!(first.iter().any(|plan| plan.short_codes == 2));
        assert!(first.iter().any(|plan| plan.paystack_keys == 2));
    }
}
