//! Seeding: makes the merchants of a storm and their devices. Most merchants have one short code
//! and one device. One has two of each, one has no device, and some have Paystack and Gumroad too.

mod device;
mod merchant_plan;
mod secret_file;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use self::device::DeviceSetup;
use self::merchant_plan::MerchantPlan;
use crate::admin::{self, field};
use crate::cli::{SeedArgs, SimArgs};
use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};

pub(crate) async fn run(args: SeedArgs) -> anyhow::Result<()> {
    let seeder = Seeder {
        admin: &args.admin,
        sims: &args.sims,
        out: &args.out,
    };

    let mut fleet = Fleet {
        merchants: Vec::new(),
    };
    let existing = existing_merchants(&args.admin).await?;
    for plan in MerchantPlan::beside(&existing, args.merchants) {
        let merchant = seeder
            .make_merchant(&plan)
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

/// The slugs of the merchants that are there already, from another seed or by hand.
async fn existing_merchants(admin: &Path) -> anyhow::Result<BTreeSet<String>> {
    let merchants = admin::run(admin, &["merchant", "list"], &[]).await?;
    let slug = |merchant: &Value| merchant["slug"].as_str().map(str::to_owned);
    Ok(merchants.iter().filter_map(slug).collect())
}

struct Seeder<'a> {
    admin: &'a Path,
    sims: &'a SimArgs,
    out: &'a Path,
}

impl Seeder<'_> {
    async fn make_merchant(&self, plan: &MerchantPlan) -> anyhow::Result<Merchant> {
        let name = format!("{} Ltd", plan.slug);
        let create = ["merchant", "create", "--slug", &plan.slug, "--name", &name];
        let created = admin::run(self.admin, &create, &[]).await?;
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
                let setup = DeviceSetup::new(plan, at, self.sims);
                let device = setup.make(self.admin, self.out).await?;
                merchant.devices.push(device);
            }
        }
        Ok(merchant)
    }

    async fn add_providers(
        &self,
        plan: &MerchantPlan,
        merchant: &mut Merchant,
    ) -> anyhow::Result<()> {
        let add = |provider: &'static str| {
            let mut args = vec!["provider", "add", "--merchant", plan.slug.as_str()];
            args.extend(["--provider", provider]);
            args
        };

        let mut daraja = add("daraja");
        for code in &merchant.short_codes {
            daraja.extend(["--shortcode", code]);
        }
        admin::run(self.admin, &daraja, &[]).await?;

        // Secrets need no seed, because nothing of the storm depends on them.
        let mut draw = Draw::new(rand::random(), 0);
        for _ in 0..plan.paystack_keys {
            let key = format!("sk_live_{}", draw.hex(40));
            let mut paystack = add("paystack");
            paystack.extend(["--secret-key-env", "PAYSTACK_SECRET_KEY"]);
            admin::run(self.admin, &paystack, &[("PAYSTACK_SECRET_KEY", &key)]).await?;
            merchant.paystack_keys.push(key);
        }

        if plan.has_gumroad {
            let seller = format!("{}==", draw.hex(22));
            let mut gumroad = add("gumroad");
            gumroad.extend(["--seller-id", &seller]);
            admin::run(self.admin, &gumroad, &[]).await?;
            merchant.gumroad_seller = Some(seller);
        }
        Ok(())
    }
}
