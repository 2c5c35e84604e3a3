use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Cut,
    Frozen,
    AnswersLost,
    Slow { delay: Duration },
    Narrow { bytes_per_second: u32 },
}

/// Chunks on their way: a link holds no more than so many in each direction.
const CHUNKS: usize = 16;
const CHUNK: usize = 16 * 1024;
/// A narrow link carries so many portions a second.
const PORTIONS: u32 = 20;

#[derive(Clone, Copy)]
enum Direction {
    Request,
    Answer,
}

/// A stretch of wire between a program and a server that other tests use too, so that only this program
/// sees the server go away.
///
/// Faults come in pairs: [`cut`](Link::cut) loses what is on its way there, and
/// [`lose_answers`](Link::lose_answers) what is on its way back.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    url: String,
    state: watch::Sender<State>,
    listening: JoinHandle<()>,
}

impl Link {
    /// To the server of a URL such as `DATABASE_URL` or `AMQP_URL`.
    ///
    /// # Panics
    /// Where the URL has no host and port.
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

        let (state, seen) = watch::channel(State::Open);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, (host.clone(), port), seen.clone()));
            }
        });
        Link {
            address,
            url: link_url.into(),
            state,
            listening,
        }
    }

    /// The same URL, through this link.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and takes no new one.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Connections stay and carry nothing, either way, until [`restore`](Link::restore).
    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    /// Requests arrive, answers vanish. What vanished leaves a hole in the stream, so follow up with
    /// [`cut`](Link::cut) before [`restore`](Link::restore).
    pub fn lose_answers(&self) {
        self.state.send_replace(State::AnswersLost);
    }

    /// Everything arrives so much later, each way.
    pub fn delay(&self, delay: Duration) {
        self.state.send_replace(State::Slow { delay });
    }

    /// Each connection carries so many bytes a second, each way.
    pub fn throttle(&self, bytes_per_second: u32) {
        self.state.send_replace(State::Narrow { bytes_per_second });
    }

    /// As new, for connections that are still there and for later ones.
    pub fn restore(&self) {
        self.state.send_replace(State::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.listening.abort();
    }
}

async fn carry(client: TcpStream, server: (String, u16), mut seen: watch::Receiver<State>) {
    let cut = seen.clone();
    if *seen.borrow_and_update() == State::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = until_cut(cut) => {}
        () = pump(client_read, server_write, Direction::Request, seen.clone()) => {}
        () = pump(server_read, client_write, Direction::Answer, seen) => {}
    }
}

async fn until_cut(mut seen: watch::Receiver<State>) {
    // An error means that the link itself is gone, which is a cut as well.
    let _ = seen.wait_for(|state| *state == State::Cut).await;
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    seen: watch::Receiver<State>,
) {
    let (chunks, arriving) = mpsc::channel(CHUNKS);
    let state = seen.clone();
    let take = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = match *state.borrow() {
                State::Slow { delay } => delay,
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
    tokio::join!(take, deliver(arriving, to, direction, seen));
}

async fn deliver(
    mut arriving: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    mut seen: watch::Receiver<State>,
) {
    while let Some((due, bytes)) = arriving.recv().await {
        sleep_until(due).await;
        let Ok(state) = seen
            .wait_for(|state| *state != State::Frozen)
            .await
            .map(|state| *state)
        else {
            return;
        };
        let written = match (state, direction) {
            (State::AnswersLost, Direction::Answer) => Ok(()),
            (State::Narrow { .. }, _) => trickle(&mut to, &bytes, &seen).await,
            _ => to.write_all(&bytes).await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// In portions, until the link is wide again.
async fn trickle(
    to: &mut (impl AsyncWriteExt + Unpin),
    mut bytes: &[u8],
    seen: &watch::Receiver<State>,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let State::Narrow { bytes_per_second } = *seen.borrow() else {
            return to.write_all(bytes).await;
        };
        let portion = (bytes_per_second / PORTIONS).max(1) as usize;
        let (now, later) = bytes.split_at(portion.min(bytes.len()));
        to.write_all(now).await?;
        sleep(Duration::from_secs(1) / PORTIONS).await;
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

    /// Sends back every byte, and counts what it got.
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
    async fn carries_until_cut_and_again_after() {
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
    async fn a_frozen_link_delivers_when_it_thaws() {
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
            .expect("the link thawed");
        assert_eq!(answer.unwrap().unwrap(), b'y');
    }

    #[tokio::test]
    async fn a_lost_answer_was_still_a_request() {
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
    /// Long enough that nothing arrives while the test looks, however slow its machine.
    const AGES: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_slow_link_delivers_when_it_is_time() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        let delay = Duration::from_millis(50);
        link.delay(delay);
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).await, Some(b'x'));
        assert!(asked.elapsed() >= delay * 2, "the delay holds each way");

        link.delay(AGES);
        stream.write_all(b"y").await.unwrap();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(received.load(Ordering::SeqCst), 2);
        link.cut();
        assert_eq!(
            ask(&mut stream).await,
            None,
            "what is under way does not keep a connection from ending"
        );
    }

    #[tokio::test]
    async fn a_narrow_link_carries_a_little_at_a_time_and_the_rest_when_it_is_wide_again() {
        let (url, received) = echo().await;
        let link = Link::to(&url).await;
        link.throttle(PORTIONS);
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        let began = Instant::now();
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        eventually("the first bytes arrive", BOUND, async || {
            (received.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
        let (arrived, most) = (
            received.load(Ordering::SeqCst),
            began.elapsed().as_millis() / 50 + 1,
        );
        assert!(
            arrived as u128 <= most,
            "{arrived} bytes where {most} fit through"
        );
        link.restore();
        let mut answer = vec![0; 1000];
        tokio::time::timeout(BOUND, stream.read_exact(&mut answer))
            .await
            .expect("it is wide")
            .unwrap();
    }
}
