//! The life of a program, from its first log line to its exit code.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::process::{ExitCode, Termination};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::log_queue::LogQueue;
use crate::{
    BadSetting, GraceArgs, LogArgs, LogFormat, OpsArgs, Readiness, logs, ops, settings, tls,
};

/// Time between the end of the grace period and the end of the process. A program uses it to
/// release leases and the like.
const RELEASE_TIME: Duration = Duration::from_secs(3);

/// How a program starts: its name, its log, its private listener and its grace period.
#[derive(Debug)]
pub struct Boot {
    name: &'static str,
    log_format: LogFormat,
    /// The log filter when `RUST_LOG` is not set.
    default_filter: &'static str,
    ops_listen: Option<SocketAddr>,
    grace: Duration,
}

impl Boot {
    /// A program without a private listener and with a grace period of 20 s, such as a command-line
    /// tool.
    #[must_use]
    pub fn new(name: &'static str, log: &LogArgs) -> Self {
        Self {
            name,
            log_format: log.log_format,
            default_filter: "info",
            ops_listen: None,
            grace: Duration::from_secs(20),
        }
    }

    /// Logs warnings only when `RUST_LOG` is not set, for a command that a person waits for.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self {
            // A channel that the broker closes is an error of what the command did with it. The
            // second name begins with the first, and tells of connections.
            default_filter: "warn,lapin::channel=off,lapin::channels=warn",
            ..self
        }
    }

    /// Serves `/healthz`, `/readyz` and `/metrics`.
    #[must_use]
    pub fn ops(self, ops: &OpsArgs) -> Self {
        Self {
            ops_listen: Some(ops.ops_listen),
            ..self
        }
    }

    /// Sets how long the current work may take after the first signal.
    #[must_use]
    pub fn grace(self, grace: &GraceArgs) -> Self {
        Self {
            grace: grace.grace,
            ..self
        }
    }
}

/// What a running program is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// Cancelled by the first SIGTERM or SIGINT. The program then takes no more work, finishes what
    /// it holds, and returns.
    pub shutdown: CancellationToken,
    /// Cancelled when the grace period is over. The program then releases what it still holds and
    /// returns within 3 s, or the process ends with exit code 1.
    pub deadline: CancellationToken,
    /// What `/metrics` shows. It contains the process metrics already.
    pub metrics: Registry,
    /// What `/readyz` shows.
    pub readiness: Readiness,
    /// The time from the first signal to `deadline`.
    pub grace: Duration,
}

impl Context {
    /// A context that no signal reaches, for tests.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            shutdown: CancellationToken::new(),
            deadline: CancellationToken::new(),
            metrics: Registry::new(),
            readiness: Readiness::default(),
            grace,
        }
    }
}

/// Runs a program. It sets up the log, the TLS provider, the runtime, the signals and the private
/// listener, and then runs `body`. The body ends when its `shutdown` is cancelled or its work is
/// done. The crate's documentation lists the exit codes.
pub fn run<F, Fut, T>(boot: Boot, body: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
    T: Termination,
{
    let log = match logs::init(boot.log_format, boot.default_filter) {
        Ok(log) => log,
        Err(bad) => {
            eprintln!("error: {bad}");
            return ExitCode::from(settings::EXIT_BAD_SETTING);
        }
    };

    disable_core_files();
    tls::install_provider();
    let ending = run_logged(boot, body, &log);
    log.close(ending.last_line);
    ending.code
}

/// How a program ended.
struct Ending {
    code: ExitCode,
    /// The line about a bad setting. It comes after the log and has no time or level.
    last_line: Option<String>,
}

impl From<ExitCode> for Ending {
    fn from(code: ExitCode) -> Self {
        Self {
            code,
            last_line: None,
        }
    }
}

fn run_logged<F, Fut, T>(boot: Boot, body: F, log: &LogQueue) -> Ending
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
    T: Termination,
{
    let runtime = match runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name(boot.name)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "failed to start the runtime");
            return ExitCode::FAILURE.into();
        }
    };

    let ending = runtime.block_on(start(boot, body, log));
    // A blocking call that hangs, such as resolving a name, must not delay the exit.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ending
}

/// Prevents core files, which would keep every secret of the memory in plain text. PR_SET_DUMPABLE
/// would do so too, but would also take `/proc/self` from the process metrics.
fn disable_core_files() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "failed to disable core files, a crash may leave one with secrets in it");
    }
}

async fn start<F, Fut, T>(boot: Boot, body: F, log: &LogQueue) -> Ending
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
    T: Termination,
{
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "failed to listen for signals");
            return ExitCode::FAILURE.into();
        }
    };

    let context = Context::new(boot.grace);
    register_process_metrics(&context.metrics);
    log.register_metrics(&context.metrics);

    let mut ops = None;
    if let Some(address) = boot.ops_listen {
        match ops::bind(address, context.readiness.clone(), context.metrics.clone()) {
            Ok(server) => {
                ops = Some(server.handle());
                tokio::spawn(server);
            }
            Err(bad) => return ending::<()>(Err(bad.into())),
        }
    }

    tracing::info!(version = env!("CARGO_PKG_VERSION"), "{} starts", boot.name);
    let ending = supervise(&context, &mut signals, body(context.clone())).await;
    if let Some(ops) = ops {
        ops.stop(false).await;
    }
    ending
}

/// Runs `body` to its end, or to the end of what the signals and the grace period allow.
async fn supervise<T: Termination>(
    context: &Context,
    signals: &mut Signals,
    body: impl Future<Output = anyhow::Result<T>>,
) -> Ending {
    let body = AssertUnwindSafe(body).catch_unwind();
    tokio::pin!(body);
    tokio::select! {
        outcome = &mut body => return finished(outcome),
        (name, _) = signals.next() => tracing::info!("{name}: shutting down, finishing current work"),
        () = context.shutdown.cancelled() => tracing::info!("shutting down, finishing current work"),
    }

    context.readiness.set("shutdown", Err("under way".into()));
    context.shutdown.cancel();
    let grace_over = async {
        tokio::time::sleep(context.grace).await;
        tracing::warn!(
            "grace period of {:?} is over, releasing unfinished work",
            context.grace
        );
        context.deadline.cancel();
        tokio::time::sleep(RELEASE_TIME).await;
    };

    tokio::select! {
        outcome = &mut body => finished(outcome),
        (name, number) = signals.next() => {
            tracing::warn!("{name} again: exiting at once");
            ExitCode::from(128 + number).into()
        }
        () = grace_over => {
            tracing::error!("work did not end within the grace period of {:?}, exiting", context.grace);
            ExitCode::FAILURE.into()
        }
    }
}

fn finished<T: Termination>(outcome: thread::Result<anyhow::Result<T>>) -> Ending {
    match outcome {
        Ok(result) => ending(result),
        // The panic hook has logged it.
        Err(_) => ExitCode::from(101).into(),
    }
}

fn ending<T: Termination>(result: anyhow::Result<T>) -> Ending {
    match result {
        Ok(outcome) => {
            tracing::info!("ended");
            outcome.report().into()
        }
        Err(error) if error.chain().any(|cause| cause.is::<BadSetting>()) => Ending {
            code: ExitCode::from(settings::EXIT_BAD_SETTING),
            last_line: Some(format!("error: {error:#}")),
        },
        Err(error) => {
            tracing::error!("failed: {error:#}");
            ExitCode::FAILURE.into()
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal and returns its name and number.
    async fn next(&mut self) -> (&'static str, u8) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 15),
            _ = self.interrupt.recv() => ("SIGINT", 2),
        }
    }
}

fn register_process_metrics(registry: &Registry) {
    let process = ProcessCollector::for_self();
    registry
        .register(Box::new(process))
        .expect("the registry is new");
}
