//! The command `export`: JSON lines with everything that an auditor or KRA would ask for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use risiti_ledger::{DeadLetterFilter, Evidence, Ledger, OperatorAction, RunCounts};
use risiti_providers::{channel_of, redact};
use risiti_service::Context;
use serde_json::{Value, json};

use crate::cli::ExportArgs;
use crate::list::{Pages, warn_of_unknown_merchant};
use crate::output::Output;
use crate::session;

pub(crate) async fn export(
    args: ExportArgs,
    operator: String,
    out: Output,
    context: &Context,
) -> Result<ExitCode> {
    let ledger = session::open_ledger(&args.list.database).await?;
    let filter = args.list.filter.filter(&ledger).await?;
    warn_of_unknown_merchant(&ledger, filter.merchant.as_deref(), out).await?;
    let mut sink = Sink::open(args.out.as_deref())?;
    let by = OperatorAction {
        operator,
        reason: args.reason,
    };
    let run = ledger.begin_run("export", &by, &filter, None).await?;
    let written = write_all(&ledger, &filter, args.list.limit, &mut sink, context).await;
    let count = *written.as_ref().unwrap_or(&0);
    let counts = RunCounts {
        matched: count,
        done: count,
        ..RunCounts::default()
    };
    ledger.end_run(&run, counts).await?;

    let finished = written.and_then(|_| sink.finish().context("failed to write"));
    if finished.as_ref().is_err_and(reader_is_gone) {
        return Ok(ExitCode::SUCCESS);
    }
    finished?;
    if let Some(path) = &args.out {
        out.line(&json!({ "exported": count }), || {
            format!("{count} written to {}.", path.display())
        });
    }
    Ok(ExitCode::SUCCESS)
}

async fn write_all(
    ledger: &Ledger,
    filter: &DeadLetterFilter,
    limit: Option<u64>,
    sink: &mut Sink,
    context: &Context,
) -> Result<u64> {
    let mut pages = Pages::new(ledger, filter, limit);
    let mut count = 0;
    while let Some(page) = pages.next().await? {
        for dead_letter in page {
            anyhow::ensure!(
                !context.shutdown.is_cancelled(),
                "stopped by a signal; the export is not complete"
            );
            let evidence = ledger
                .dead_letter_evidence(dead_letter.dead_letter_id, true)
                .await?;
            let Some(evidence) = evidence else { continue };
            writeln!(sink.writer, "{}", evidence_line(evidence)).context("failed to write")?;
            count += 1;
        }
    }
    Ok(count)
}

/// Whether writing failed because the reader closed the pipe, as `head` does. It has what it
/// wanted.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    error
        .root_cause()
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// Makes the line of one dead letter. A queue time-out echoes the initiator's credential, which is
/// blanked here as it is for the parser.
fn evidence_line(evidence: Evidence) -> Value {
    let Evidence {
        mut record,
        body,
        headers,
    } = evidence;
    if let Some(body) = body {
        let redacted = match channel_of(&headers) {
            Some(channel) => redact(channel, &body),
            None => body.as_slice().into(),
        };
        record["body_redacted"] = (*redacted != *body).into();
        record["body_base64"] = BASE64_STANDARD.encode(&redacted).into();
        record["headers"] = json!(headers);
    }
    record
}

struct Sink {
    writer: BufWriter<Box<dyn Write + Send>>,
    file: Option<File>,
}

impl Sink {
    /// Opens a new file, or standard output. An existing file is never overwritten, because it may
    /// be earlier evidence.
    fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                writer: BufWriter::new(Box::new(io::stdout())),
                file: None,
            });
        };
        let open = || {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            Ok::<_, io::Error>((file.try_clone()?, file))
        };
        let (writer, file) =
            open().with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self {
            writer: BufWriter::new(Box::new(writer)),
            file: Some(file),
        })
    }

    fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn echoed_credential_is_not_exported() {
        let body = br#"{"Result":{"InitiatorName":"api","SecurityCredential":"c3VwZXJzZWNyZXQ="}}"#
            .to_vec();
        let headers = BTreeMap::from([(
            "risiti-envelope".to_owned(),
            r#"{"channel":"daraja_timeout"}"#.to_owned(),
        )]);
        let line = evidence_line(Evidence {
            record: json!({}),
            body: Some(body),
            headers,
        });
        let shown = BASE64_STANDARD
            .decode(line["body_base64"].as_str().unwrap())
            .unwrap();
        assert!(
            !String::from_utf8(shown)
                .unwrap()
                .contains("c3VwZXJzZWNyZXQ=")
        );
        assert_eq!(line["body_redacted"], true);
    }

    #[test]
    fn bytes_that_are_no_text_are_exported_unchanged() {
        let body = vec![0xff, 0x00, 0xfe];
        let line = evidence_line(Evidence {
            record: json!({}),
            body: Some(body.clone()),
            headers: BTreeMap::new(),
        });
        assert_eq!(
            BASE64_STANDARD
                .decode(line["body_base64"].as_str().unwrap())
                .unwrap(),
            body
        );
        assert_eq!(line["body_redacted"], false);
    }
}
