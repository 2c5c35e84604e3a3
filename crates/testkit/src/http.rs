use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Returns the status of `GET path`, or `None` while nothing answers there. It is meant for
/// `/healthz` and `/readyz`. A test that needs more than a status brings its own client.
pub async fn http_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    // Long enough for "HTTP/1.1 200".
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    std::str::from_utf8(&head)
        .ok()?
        .strip_prefix("HTTP/1.1 ")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn serve_once(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn status_is_read_from_the_first_line() {
        let address =
            serve_once("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(http_status(address, "/readyz").await, Some(503));
    }

    #[tokio::test]
    async fn no_status_without_an_http_answer() {
        let address = serve_once("nonsense, and enough of it").await;
        assert_eq!(http_status(address, "/readyz").await, None);
        let nobody = SocketAddr::from(([127, 0, 0, 1], crate::free_port()));
        assert_eq!(http_status(nobody, "/readyz").await, None);
    }
}
