//! The log. It writes lines of bounded length to standard error, as text or JSON, panics included.
//!
//! A thread that logs formats its line and puts it into a queue. It never waits for the line to be
//! written.

use std::backtrace::Backtrace;
use std::io::{self, Write};
use std::panic;
use std::thread;

use serde_json::{Value, json};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::log_queue::LogQueue;
use crate::{BadSetting, LogFormat};

/// Longest line in bytes, newline included. Log collectors cut or drop long lines. Docker, for one,
/// splits them at 16 KiB.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Longest text of a field in a line that had to be cut.
const FIELD_CHARS_MAX: usize = 512;

/// Sends the log of this process to standard error, and its panics to the log. Close the returned
/// queue when the program ends.
///
/// # Errors
/// `RUST_LOG` cannot be read.
pub(crate) fn init(format: LogFormat, default_filter: &str) -> Result<LogQueue, BadSetting> {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let registry = tracing_subscriber::registry()
        .with(filter(&text, default_filter)?)
        .with(filter_fn(may_be_logged));
    let (lines, queue) = LogQueue::start();
    let writer = Bounded { format, lines };
    let installed = match format {
        LogFormat::Text => {
            let layer = fmt::layer().with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
            registry.with(layer.with_writer(writer)).try_init()
        }
        LogFormat::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false);
            registry.with(layer.with_writer(writer)).try_init()
        }
    };
    // Only a test process that runs several programs has a subscriber already.
    installed.ok();
    panic::set_hook(Box::new(log_panic));
    Ok(queue)
}

fn filter(text: &str, default: &str) -> Result<EnvFilter, BadSetting> {
    let text = if text.trim().is_empty() {
        default
    } else {
        text
    };
    EnvFilter::try_new(text).map_err(|e| BadSetting::new("RUST_LOG", e.to_string()))
}

/// Whether an event may be logged at all, whatever `RUST_LOG` asks for.
///
/// At debug and below, the clients of database and broker log parameters, frames and URLs, which
/// hold phone numbers, bodies and passwords. lapin 4.12 logs a returned message whole, as a
/// warning. actix-http logs a line for each malformed request, which anybody can send by the
/// million.
fn may_be_logged(event: &Metadata<'_>) -> bool {
    let ours = event.target().starts_with("risiti");
    const SILENT: [&str; 2] = ["lapin::returned_messages", "actix_http::h1::dispatcher"];
    (ours || *event.level() <= Level::INFO) && !SILENT.contains(&event.target())
}

fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let thread = thread::current();
    tracing::error!(
        location = info.location().map(tracing::field::display),
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = %Backtrace::capture(),
        "panicked: {}",
        info.payload_as_str().unwrap_or("with something other than text"),
    );
}

struct Bounded {
    format: LogFormat,
    lines: NonBlocking,
}

impl<'a> MakeWriter<'a> for Bounded {
    type Writer = BoundedLine<NonBlocking>;

    fn make_writer(&'a self) -> Self::Writer {
        BoundedLine {
            format: self.format,
            out: self.lines.clone(),
        }
    }
}

/// Writes whole lines. The formatter passes one event at a time.
struct BoundedLine<W> {
    format: LogFormat,
    out: W,
}

impl<W: Write> Write for BoundedLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LINE_BYTES_MAX {
            self.out.write_all(line)?;
        } else {
            let cut = match self.format {
                LogFormat::Text => cut_text(line),
                LogFormat::Json => cut_json(line),
            };
            self.out.write_all(&cut)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn cut_text(line: &[u8]) -> Vec<u8> {
    const MARK: &str = " (cut)\n";
    let kept = String::from_utf8_lossy(&line[..LINE_BYTES_MAX - MARK.len() - 3]);
    format!("{kept}{MARK}").into_bytes()
}

/// Cuts the texts of the fields, so that the line stays JSON. Where that is not enough, only the
/// usual fields are kept.
fn cut_json(line: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(line).unwrap_or_default();
    cut_strings(&mut value);
    value["cut"] = json!(true);
    if value.to_string().len() >= LINE_BYTES_MAX {
        let kept = |name: &str| value.get(name).cloned().unwrap_or_default();
        value = json!({
            "timestamp": kept("timestamp"), "level": kept("level"), "target": kept("target"), "message": kept("message"), "cut": true,
        });
    }
    format!("{value}\n").into_bytes()
}

fn cut_strings(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(FIELD_CHARS_MAX) {
                text.truncate(end);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut_strings),
        Value::Object(fields) => fields.values_mut().for_each(cut_strings),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn written(format: LogFormat, line: &str) -> String {
        let mut writer = BoundedLine {
            format,
            out: Vec::new(),
        };
        assert_eq!(writer.write(line.as_bytes()).unwrap(), line.len());
        String::from_utf8(writer.out).unwrap()
    }

    #[test]
    fn line_within_the_bound_is_unchanged() {
        let line = "{\"message\":\"short\"}\n";
        assert_eq!(written(LogFormat::Json, line), line);
    }

    #[test]
    fn a_long_json_line_is_cut_and_stays_json() {
        let line = format!(
            "{}\n",
            json!({"level": "ERROR", "message": "failed", "detail": "é".repeat(20_000)})
        );
        let cut = written(LogFormat::Json, &line);
        assert!(cut.len() <= LINE_BYTES_MAX && cut.ends_with('\n'));
        let value: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!(value["message"], "failed");
        assert_eq!(value["cut"], true);
        assert_eq!(
            value["detail"].as_str().unwrap().chars().count(),
            FIELD_CHARS_MAX
        );
    }

    #[test]
    fn json_line_with_very_many_fields_keeps_its_message() {
        let mut fields = json!({"level": "ERROR", "message": "m".repeat(9_000)});
        for n in 0..2_000 {
            fields[format!("field_{n}")] = json!("value");
        }
        let cut = written(LogFormat::Json, &fields.to_string());
        assert!(cut.len() <= LINE_BYTES_MAX);
        let value: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!(value["message"].as_str().unwrap().len(), FIELD_CHARS_MAX);
    }

    #[test]
    fn a_long_text_line_is_cut_at_the_bound() {
        let cut = written(LogFormat::Text, &format!("INFO {}\n", "é".repeat(20_000)));
        assert!(
            cut.len() <= LINE_BYTES_MAX && cut.ends_with(" (cut)\n"),
            "{}",
            cut.len()
        );
    }

    #[test]
    fn invalid_filter_is_named() {
        let error = filter("info,=x=y", "info").unwrap_err();
        assert!(error.to_string().starts_with("RUST_LOG: "), "{error}");
    }

    #[test]
    fn payloads_that_clients_log_are_left_out() {
        let log = Log::default();
        let lines = log.0.clone();
        let writer = move || log.clone();
        let subscriber = tracing_subscriber::registry()
            .with(filter("trace", "info").unwrap())
            .with(filter_fn(may_be_logged))
            .with(fmt::layer().with_writer(writer));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "lapin::returned_messages", "body 254712345678");
            tracing::error!(target: "actix_http::h1::dispatcher", "stream error 254712345678");
            tracing::trace!(target: "lapin::channels", "frame 254712345678");
            tracing::debug!(target: "tokio_postgres::query", "parameter 254712345678");
            tracing::warn!(target: "lapin::channel", "closed by the broker");
            tracing::trace!(target: "risiti_ingress", "looked up");
        });
        let logged = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(!logged.contains("2547"), "{logged}");
        assert!(
            logged.contains("closed by the broker") && logged.contains("looked up"),
            "{logged}"
        );
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
