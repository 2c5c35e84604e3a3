//! Small HTTP requests to the programs: metrics, and the simulator's control API.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    request(address, "GET", path, "").await
}

pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<String> {
    let what = || format!("{method} {path} at {address}");
    let mut stream = TcpStream::connect(address).await.with_context(what)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .with_context(what)?;

    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .with_context(what)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(what)?;
    ensure!(head.starts_with("HTTP/1.1 2"), "{}: {head}", what());
    Ok(body.to_owned())
}

/// Sums the series of a metric whose labels contain all of `labels`, such as `outcome="ok"`.
///
/// The text may come in chunks, whose lengths stand on lines of their own and match no name.
pub(crate) fn metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter(|rest| labels.iter().all(|label| rest.contains(label)))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_metric_are_summed() {
        let text = "# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"2\",y=\"2\"} 4\n\
                    a_total_more 9\nb 1.5\n";
        assert_eq!(metric(text, "a_total", &[]), 7.0);
        assert_eq!(metric(text, "a_total", &["x=\"1\""]), 3.0);
        assert_eq!(metric(text, "b", &[]), 1.5);
        assert_eq!(metric(text, "c", &[]), 0.0);
    }
}
