//! `device verify`: the calls that KRA's certification asks of an integrator, with a sandbox
//! device.

mod captures;
mod report;
mod steps;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use risiti_domain::{DeviceId, Environment};
use risiti_ledger::{Claim, Ledger, ManageError, OperatorAction};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::device_args::CallArgs;
use crate::kra;
use crate::session::Session;
use report::Report;
use steps::Verification;

/// Pause between two renewals of the lease. It is so short that one lost renewal does no harm.
const RENEW_EVERY: Duration = Duration::from_secs(3);

pub(crate) async fn run(
    session: &Session,
    device: DeviceId,
    out: Option<&Path>,
    call: &CallArgs,
) -> Result<ExitCode> {
    let vault = session.vault().await?;
    let stored = session
        .ledger
        .device(device, vault)
        .await?
        .ok_or(ManageError::NoDevice(device))?;
    if stored.environment != Environment::Sandbox {
        bail!(
            "device {device} is a production device: verify files sales that never happened, so it \
             takes only a sandbox device"
        );
    }

    let report = Report::open(out)?;
    let claim = session.ledger.begin_verification(device).await?;
    let _renewal = keep_claim(session.ledger.clone(), claim.clone());
    let mut verification = Verification {
        ledger: &session.ledger,
        claim,
        client: kra::client(call, Some(report.captures().witness()))?,
        profile: kra::profile_of_stored(&stored)?,
        by: OperatorAction {
            operator: session.operator.clone(),
            reason: "device verify".to_owned(),
        },
        report,
    };

    // The lane is released whether or not the steps succeed.
    let done = verification.run(&session.context.shutdown).await;
    session
        .ledger
        .end_verification(&verification.claim)
        .await
        .context("failed to release the lane")?;
    done?;

    let report = verification.report;
    let object = json!({ "device_id": device, "passed": report.passed(), "steps": report.steps() });
    session.out.object(&object, &report.text());
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Renews the lease until it is dropped. A lost lease is noticed when a number is recorded.
fn keep_claim(ledger: Ledger, claim: Claim) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = ledger.renew_leases(&[(claim.device, claim.claim_id)]).await {
                tracing::warn!(%error, "failed to renew the lane's lease");
            }
        }
    }))
}
