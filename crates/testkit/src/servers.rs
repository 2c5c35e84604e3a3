use std::env;
use std::net::{Ipv4Addr, TcpListener};

/// Returns the URL of Postgres, for a role that may create databases.
///
/// # Panics
/// Panics when the variable is not set.
pub fn database_url() -> String {
    required("DATABASE_URL")
}

/// Returns the URL of RabbitMQ.
///
/// # Panics
/// Panics when the variable is not set.
pub fn amqp_url() -> String {
    required("AMQP_URL")
}

/// Returns the URL of Redis. All tests share it, so use keys of your own, such as ones that begin
/// with the namespace.
///
/// # Panics
/// Panics when the variable is not set.
pub fn redis_url() -> String {
    required("RISITI_REDIS_URL")
}

fn required(name: &str) -> String {
    match env::var(name) {
        Ok(url) if !url.is_empty() => url,
        _ => panic!(
            "{name} is not set: run `make test`, or eval \"$(deploy/local/services.sh env)\" first"
        ),
    }
}

/// Returns a port on which nothing listens at this moment. Another process may take it before you
/// do. Where a program accepts port 0 and logs the address it got, use that instead.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binding port 0 on loopback");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// Runs clean-up from `Drop`, on a thread and a runtime of its own, because the caller's runtime
/// cannot be blocked on. What this fails to remove, `services.sh down --purge` removes.
pub(crate) fn clean_up<F>(work: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            let bound = std::time::Duration::from_secs(20);
            let _ = runtime.block_on(async { tokio::time::timeout(bound, work).await });
        }
    });
    let _ = thread.join();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_port_can_be_bound() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    }

    #[test]
    #[should_panic(expected = "run `make test`")]
    fn missing_server_names_the_command_to_run() {
        required("RISITI_A_VARIABLE_NOBODY_SETS");
    }

    #[tokio::test]
    async fn clean_up_finishes_before_it_returns_inside_a_runtime() {
        let (sender, receiver) = std::sync::mpsc::channel();
        clean_up(async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        });
        receiver.try_recv().unwrap();
    }
}
