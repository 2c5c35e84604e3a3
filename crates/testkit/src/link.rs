use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq)]
enum LinkState {
    Open,
    Cut,
    Frozen,
    AnswersLost,
    Delayed { delay: Duration },
    Throttled { bytes_per_second: u32 },
}

/// The most chunks that a link holds in each direction.
const CHUNKS_MAX: usize = 16;
const CHUNK_BYTES: usize = 16 * 1024;
/// How many portions a throttled link carries each second.
const PORTIONS_PER_SECOND: u32 = 20;

#[derive(Clone, Copy)]
enum Direction {
    Request,
    Answer,
}

/// A TCP proxy between one program and a server that other tests use too, so that only this program
/// sees the server fail.
///
/// Faults come in pairs: [`cut`](Link::cut) loses requests, and
/// [`lose_answers`](Link::lose_answers) loses answers.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    url: String,
    state: watch::Sender<LinkState>,
    listening: JoinHandle<()>,
}

impl Link {
    /// Opens a link to the server of a URL such as `DATABASE_URL` or `AMQP_URL`.
    ///
    /// # Panics
    /// Panics when the URL has no host and port.
    pub async fn to(url: &str) -> Link {
        let mut link_url = Url::parse(url).expect("a link leads to a URL");
        let host = link_url
            .host_str()
            .expect("a link leads to a host")
            .to_owned();
        let port = link_url
            .port_or_known_default()
            .expect("a link leads to a port");

        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("binding port 0 on loopback");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        link_url
            .set_host(Some("127.0.0.1"))
            .expect("the URL had a host before");
        link_url
            .set_port(Some(address.port()))
            .expect("the URL had a host before");

        let (state, state_changes) = watch::channel(LinkState::Open);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, (host.clone(), port), state_changes.clone()));
            }
        });
        Link {
            address,
            url: link_url.into(),
            state,
            listening,
        }
    }

    /// Returns the same URL, through this link.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and accepts no new one.
    pub fn cut(&self) {
        self.state.send_replace(LinkState::Cut);
    }

    /// Keeps every connection and carries nothing either way until [`restore`](Link::restore).
    pub fn freeze(&self) {
        self.state.send_replace(LinkState::Frozen);
    }

    /// Delivers requests and drops answers. The stream then has a hole, so call [`cut`](Link::cut)
    /// before [`restore`](Link::restore).
    pub fn lose_answers(&self) {
        self.state.send_replace(LinkState::AnswersLost);
    }

    /// Delays everything each way.
    pub fn delay(&self, delay: Duration) {
        self.state.send_replace(LinkState::Delayed { delay });
    }

    /// Limits the bytes that each connection carries each way.
    pub fn throttle(&self, bytes_per_second: u32) {
        self.state
            .send_replace(LinkState::Throttled { bytes_per_second });
    }

    /// Ends every fault, for open connections and for later ones.
    pub fn restore(&self) {
        self.state.send_replace(LinkState::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.listening.abort();
    }
}

async fn carry(
    client: TcpStream,
    server: (String, u16),
    mut state_changes: watch::Receiver<LinkState>,
) {
    let cut = state_changes.clone();
    if *state_changes.borrow_and_update() == LinkState::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = until_cut(cut) => {}
        () = pump(client_read, server_write, Direction::Request, state_changes.clone()) => {}
        () = pump(server_read, client_write, Direction::Answer, state_changes) => {}
    }
}

async fn until_cut(mut state_changes: watch::Receiver<LinkState>) {
    // An error means that the link was dropped, which counts as a cut.
    let _ = state_changes
        .wait_for(|state| *state == LinkState::Cut)
        .await;
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    state_changes: watch::Receiver<LinkState>,
) {
    let (chunks, arriving) = mpsc::channel(CHUNKS_MAX);
    let state = state_changes.clone();
    let take = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = match *state.borrow() {
                LinkState::Delayed { delay } => delay,
                _ => Duration::ZERO,
            };
            if chunks
                .send((Instant::now() + delay, buffer[..length].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    tokio::join!(take, deliver(arriving, to, direction, state_changes));
}

async fn deliver(
    mut arriving: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    mut state_changes: watch::Receiver<LinkState>,
) {
    while let Some((due, bytes)) = arriving.recv().await {
        sleep_until(due).await;
        let Ok(state) = state_changes
            .wait_for(|state| *state != LinkState::Frozen)
            .await
            .map(|state| *state)
        else {
            return;
        };
        let written = match (state, direction) {
            (LinkState::AnswersLost, Direction::Answer) => Ok(()),
            (LinkState::Throttled { .. }, _) => {
                write_throttled(&mut to, &bytes, &state_changes).await
            }
            _ => to.write_all(&bytes).await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// Writes in portions until the link is no longer throttled.
async fn write_throttled(
    to: &mut (impl AsyncWriteExt + Unpin),
    mut bytes: &[u8],
    state_changes: &watch::Receiver<LinkState>,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let LinkState::Throttled { bytes_per_second } = *state_changes.borrow() else {
            return to.write_all(bytes).await;
        };
        let portion = (bytes_per_second / PORTIONS_PER_SECOND).max(1) as usize;
        let (now, later) = bytes.split_at(portion.min(bytes.len()));
        to.write_all(now).await?;
        sleep(Duration::from_secs(1) / PORTIONS_PER_SECOND).await;
        bytes = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::eventually;

    const BOUND: Duration = Duration::from_secs(10);

    /// Starts a server that sends back every byte and counts what it received.
    async fn echo() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("amqp://{}/%2f", listener.local_addr().unwrap());
        let received = Arc::new(AtomicUsize::new(0));
        let count = received.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    let mut byte = [0; 1];
                    while stream.read_exact(&mut byte).await.is_ok() {
                        count.fetch_add(1, Ordering::SeqCst);
                        stream.write_all(&byte).await.unwrap();
                    }
                });
            }
        });
        (url, received)
    }

    async fn ask(stream: &mut TcpStream) -> Option<u8> {
        stream.write_all(b"x").await.ok()?;
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer[0])
    }

    #[tokio::test]
    async fn link_carries_until_cut_and_after_restore() {
        let (url, _) = echo().await;
        let link = Link::to(&url).await;
        assert_eq!(link.url(), format!("amqp://{}/%2f", link.address()));

        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        link.cut();
        eventually("the connection ends", BOUND, async || {
            ask(&mut stream).await.is_none().then_some(())
        })
        .await;
        let mut refused = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut refused).await, None);

        link.restore();
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
    }

    #[tokio::test]
    async fn frozen_link_delivers_once_restored() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        link.freeze();
        stream.write_all(b"y").await.unwrap();
        let mut later = tokio::spawn(async move {
            let mut answer = [0; 1];
            stream.read_exact(&mut answer).await.map(|_| answer[0])
        });
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            received.load(Ordering::SeqCst),
            1,
            "a frozen link carried a request"
        );
        link.restore();
        let answer = tokio::time::timeout(BOUND, &mut later)
            .await
            .expect("the link is restored");
        assert_eq!(answer.unwrap().unwrap(), b'y');
    }

    #[tokio::test]
    async fn lost_answer_still_delivers_its_request() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        link.lose_answers();
        stream.write_all(b"y").await.unwrap();
        eventually("the request arrives", BOUND, async || {
            (received.load(Ordering::SeqCst) == 2).then_some(())
        })
        .await;
        link.cut();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }

    /// Long enough that nothing arrives during the test on the slowest machine.
    const NEVER_DURING_THE_TEST: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn delayed_link_delivers_after_the_delay() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        let delay = Duration::from_millis(50);
        link.delay(delay);
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        assert!(asked.elapsed() >= delay * 2, "the delay holds each way");

        link.delay(NEVER_DURING_THE_TEST);
        stream.write_all(b"y").await.unwrap();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(received.load(Ordering::SeqCst), 2);
        link.cut();
        assert_eq!(
            ask(&mut stream).await,
            None,
            "bytes on their way must not keep a connection open"
        );
    }

    #[tokio::test]
    async fn throttled_link_carries_portions_until_restored() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        link.throttle(PORTIONS_PER_SECOND);
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        let began = Instant::now();
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        eventually("the first bytes arrive", BOUND, async || {
            (received.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
        let arrived = received.load(Ordering::SeqCst);
        let most = began.elapsed().as_millis() / 50 + 1;
        assert!(
            arrived as u128 <= most,
            "{arrived} bytes where {most} fit through"
        );
        link.restore();
        let mut answer = vec![0; 1000];
        tokio::time::timeout(BOUND, stream.read_exact(&mut answer))
            .await
            .expect("the link is restored")
            .unwrap();
    }
}
