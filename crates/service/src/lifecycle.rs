//! From the first log line to the exit code.

use crate::{
    BadSetting, GraceArgs, LogArgs, LogFormat, OpsArgs, Readiness, logs, ops, settings, tls,
};
use futures_util::FutureExt as _;
use prometheus::Registry;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    process::{ExitCode, Termination},
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Between the end of the grace and the end of the process: time to let go of leases and the like.
const LET_GO: Duration = Duration::from_secs(3);

/// How a program starts: its name and the settings of its surroundings.
#[derive(Debug)]
pub struct Boot {
    name: &'static str,
    log_format: LogFormat,
    /// Where `RUST_LOG` says nothing.
    default_filter: &'static str,
    ops_listen: Option<SocketAddr>,
    grace: Duration,
}

impl Boot {
    /// A program without a private listener and with 20 s of grace, as command-line tools have it.
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

    /// A command that a person waits for: logs warnings only, where `RUST_LOG` says nothing.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self {
            default_filter: "warn",
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

    /// How long what is held may take after the first signal.
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
    /// Cancelled by the first SIGTERM or SIGINT: take no more work, finish what is held, return.
    pub shutdown: CancellationToken,
    /// Cancelled when the grace is over: let go of what is still held and return within 3 s, else the process ends with exit code 1.
    pub deadline: CancellationToken,
    /// What `/metrics` shows. Holds the process metrics already.
    pub metrics: Registry,
    /// What `/readyz` shows.
    pub readiness: Readiness,
    /// From the first signal to `deadline`.
    pub grace: Duration,
}

impl Context {
    /// A context that no signal reaches, as tests need it.
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

/// Runs a program: log, TLS provider, runtime, signals, private listener, then `body`, which ends when its `shutdown` is cancelled or its
/// work is done. See the crate's text for the exit codes.
pub fn run<F, Fut, T>(boot: Boot, body: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
    T: Termination,
{
    if let Err(bad) = logs::init(boot.log_format, boot.default_filter) {
        eprintln!("error: {bad}");
        return ExitCode::from(settings::EXIT_BAD_SETTING);
    }
    leave_no_core();
    tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name(boot.name)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "failed to start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(drive(boot, body));
    // A blocking call that hangs, such as a look-up of a name, must not hold the exit.
    runtime.shutdown_timeout(Duration::from_millis(500));
    code
}

/// A core file would hold every secret in memory, in the clear and for as long as nobody finds it. Not PR_SET_DUMPABLE, which would also take
/// `/proc/self` from the process metrics.
fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may leave a core file with secrets in it");
    }
}

async fn drive<F, Fut, T>(boot: Boot, body: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
    T: Termination,
{
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "failed to listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let context = Context::new(boot.grace);
    register_process_metrics(&context.metrics);
    let mut ops = None;
    if let Some(address) = boot.ops_listen {
        match ops::bind(address, context.readiness.clone(), context.metrics.clone()) {
            Ok(server) => {
                ops = Some(server.handle());
                tokio::spawn(server);
            }
            Err(bad) => return exit_code::<()>(Err(bad.into())),
        }
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "{} starts", boot.name);
    let code = supervise(&context, &mut signals, body(context.clone())).await;
    if let Some(ops) = ops {
        ops.stop(false).await;
    }
    code
}

async fn supervise<T: Termination>(
    context: &Context,
    signals: &mut Signals,
    body: impl Future<Output = anyhow::Result<T>>,
) -> ExitCode {
    let body = AssertUnwindSafe(body).catch_unwind();
    tokio::pin!(body);
    tokio::select! {
        outcome = &mut body => return finished(outcome),
        (name, _) = signals.next() => tracing::info!("{name}: finishing what is held"),
        () = context.shutdown.cancelled() => tracing::info!("ending: finishing what is held"),
    }
    context.readiness.set("shutdown", Err("under way".into()));
    context.shutdown.cancel();
    let grace_over = async {
        tokio::time::sleep(context.grace).await;
        tracing::warn!(
            "the grace of {:?} is over, letting go of what is still held",
            context.grace
        );
        context.deadline.cancel();
        tokio::time::sleep(LET_GO).await;
    };
    tokio::select! {
        outcome = &mut body => finished(outcome),
        (name, number) = signals.next() => {
            tracing::warn!("{name} again: ending at once");
            ExitCode::from(128 + number)
        }
        () = grace_over => {
            tracing::error!("work outlived the grace of {:?}: ended", context.grace);
            ExitCode::FAILURE
        }
    }
}

fn finished<T: Termination>(outcome: std::thread::Result<anyhow::Result<T>>) -> ExitCode {
    match outcome {
        Ok(result) => exit_code(result),
        // The hook has logged the panic.
        Err(_) => ExitCode::from(101),
    }
}

fn exit_code<T: Termination>(result: anyhow::Result<T>) -> ExitCode {
    match result {
        Ok(outcome) => {
            tracing::info!("ended");
            outcome.report()
        }
        Err(error) if error.chain().any(|cause| cause.is::<BadSetting>()) => {
            eprintln!("error: {error:#}");
            ExitCode::from(settings::EXIT_BAD_SETTING)
        }
        Err(error) => {
            tracing::error!("failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal's name and number.
    async fn next(&mut self) -> (&'static str, u8) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 15),
            _ = self.interrupt.recv() => ("SIGINT", 2),
        }
    }
}

fn register_process_metrics(registry: &Registry) {
    let process = prometheus::process_collector::ProcessCollector::for_self();
    registry
        .register(Box::new(process))
        .expect("the registry is new");
}
