//! The queue between the threads that log and the thread that writes. Whoever reads the log may
//! stop reading. Then lines are dropped and counted, and no work waits.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Most lines that wait to be written. At 8 KiB a line they take 32 MiB, and usually 1 MiB.
const LINES_MAX: usize = 4_096;
/// Bytes that are written at once while more lines wait.
const WRITE_BYTES: usize = 32 * 1024;
/// The least time between two writes. Without it a busy program would wake the writing thread for
/// each line, which costs more than the line.
const BETWEEN_WRITES: Duration = Duration::from_millis(2);
/// Longest wait for the queue to be written when the program ends.
const CLOSE_TIME_MAX: Duration = Duration::from_millis(1_500);

/// The queue's far end. It is kept until the program ends.
pub(crate) struct LogQueue {
    worker: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogQueue {
    /// Starts the thread that writes to standard error.
    pub(crate) fn start() -> (NonBlocking, Self) {
        let (lines, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_MAX)
            .lossy(true)
            .thread_name("log")
            .finish(Paced(BufWriter::with_capacity(
                WRITE_BYTES,
                standard_error(),
            )));
        let dropped = lines.error_counter();
        (lines, Self { worker, dropped })
    }

    pub(crate) fn register_metrics(&self, registry: &Registry) {
        let dropped = DroppedLines {
            described: dropped_lines(),
            dropped: self.dropped.clone(),
        };
        registry
            .register(Box::new(dropped))
            .expect("metric names are constants and each is registered once");
    }

    /// Writes the lines that wait and then `last`. It gives up after [`CLOSE_TIME_MAX`], because a
    /// log that nobody reads must not keep the program from ending.
    pub(crate) fn close(self, last: Option<String>) {
        let (closed, wait) = mpsc::channel::<()>();
        let close = move || {
            drop(self.worker);
            if let Some(line) = last {
                eprintln!("{line}");
            }
            drop(closed);
        };
        if thread::Builder::new().spawn(close).is_ok() {
            wait.recv_timeout(CLOSE_TIME_MAX).ok();
        }
    }
}

/// Rests after each flush, in which the next lines gather.
struct Paced<W>(W);

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(BETWEEN_WRITES);
        flushed
    }
}

/// Standard error without the lock of `io::stderr`, which a stalled write would hold for ever.
fn standard_error() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stderr()),
    }
}

/// Shows the queue's own count as a metric.
struct DroppedLines {
    described: IntCounter,
    dropped: ErrorCounter,
}

fn dropped_lines() -> IntCounter {
    IntCounter::new(
        "risiti_log_lines_dropped_total",
        "Log lines dropped because nobody reads the log fast enough.",
    )
    .expect("the name is a constant")
}

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.described.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counter = dropped_lines();
        counter.inc_by(self.dropped.dropped_lines() as u64);
        counter.collect()
    }
}
