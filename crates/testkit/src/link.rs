use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Cut,
    Frozen,
    AnswersLost,
}

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
        let host = link_url.host_str().expect("a link leads to a host").to_owned();
        let port = link_url.port_or_known_default().expect("a link leads to a port");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding port 0 on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        link_url.set_host(Some("127.0.0.1")).expect("the URL had a host before");
        link_url.set_port(Some(address.port())).expect("the URL had a host before");

        let (state, seen) = watch::channel(State::Open);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, (host.clone(), port), seen.clone()));
            }
        });
        Link { address, url: link_url.into(), state, listening }
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
    let Ok(server) = TcpStream::connect(server).await else { return };
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
    mut to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    mut seen: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Ok(state) = seen.wait_for(|state| *state != State::Frozen).await.map(|state| *state) else {
            return;
        };
        let lost = state == State::AnswersLost && matches!(direction, Direction::Answer);
        if !lost && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
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
        eventually("the connection ends", BOUND, async || ask(&mut stream).await.is_none().then_some(()))
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
        assert_eq!(received.load(Ordering::SeqCst), 1, "a frozen link carried a request");
        link.restore();
        let answer = tokio::time::timeout(BOUND, &mut later).await.expect("the link thawed");
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
}
