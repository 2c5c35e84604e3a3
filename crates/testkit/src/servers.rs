use std::env;
use std::net::{Ipv4Addr, TcpListener};

/// Postgres, as a role that may create databases.
///
/// # Panics
/// Where the variable is not set.
pub fn database_url() -> String {
    required("DATABASE_URL")
}

/// RabbitMQ.
///
/// # Panics
/// Where the variable is not set.
pub fn amqp_url() -> String {
    required("AMQP_URL")
}

/// Redis, shared by all tests: use keys of your own, such as ones that begin with the namespace.
///
/// # Panics
/// Where the variable is not set.
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

/// A port on which nothing listens at this moment. Somebody may take it before you do: where a program can
/// be told port 0 and asked for the address it got, do that instead.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binding port 0 on loopback");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// Runs clean-up from `Drop`, which may be inside a runtime that cannot be blocked on: on a thread and a
/// runtime of its own. What goes wrong is left to `services.sh down --purge`.
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
    fn a_free_port_can_be_bound() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    }

    #[test]
    #[should_panic(expected = "run `make test`")]
    fn a_missing_server_says_what_to_run() {
        required("RISITI_A_VARIABLE_NOBODY_SETS");
    }

    #[tokio::test]
    async fn clean_up_finishes_before_it_returns_also_inside_a_runtime() {
        let (sender, receiver) = std::sync::mpsc::channel();
        clean_up(async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        });
        receiver.try_recv().unwrap();
    }
}
