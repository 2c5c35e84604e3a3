//! The state of a broker, as its two connections make it.

use tokio::sync::watch;

use crate::connection::ConnectionState;

/// What a program can use the broker for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    /// A connection that is in use is down.
    Down,
    Up,
    /// The program is connected, but the broker takes no publishes (memory or disk alarm).
    Blocked,
}

/// Keeps a broker's state up to date with its two connections.
pub(crate) async fn follow_connections(
    mut publish: watch::Receiver<ConnectionState>,
    mut consume: watch::Receiver<ConnectionState>,
    state: watch::Sender<BrokerState>,
) {
    loop {
        let now = combined(&publish.borrow_and_update(), &consume.borrow_and_update());
        state.send_if_modified(|state| std::mem::replace(state, now) != now);

        let changed = tokio::select! {
            changed = publish.changed() => changed,
            changed = consume.changed() => changed,
        };
        if changed.is_err() {
            state.send_replace(BrokerState::Down);
            return;
        }
    }
}

fn combined(publish: &ConnectionState, consume: &ConnectionState) -> BrokerState {
    match (publish, consume) {
        (ConnectionState::Unused | ConnectionState::Down(_), _) | (_, ConnectionState::Down(_)) => {
            BrokerState::Down
        }
        (ConnectionState::Blocked(_), _) => BrokerState::Blocked,
        (ConnectionState::Up(_), _) => BrokerState::Up,
    }
}
