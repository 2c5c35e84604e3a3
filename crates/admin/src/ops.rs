//! What a program of this installation shows on its private listener: one `/metrics`.
//!
//! The spools are on the disks of the ingress replicas, and ingress writes nothing to the database.
//! So the replicas themselves are asked. The listener speaks plain HTTP, and one request needs no
//! client library.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// The longest wait for one program. All are asked at once.
const ASK_MAX: Duration = Duration::from_secs(3);
/// More than ingress with every merchant's series has.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
const METRICS: &str = "/metrics";

/// One series of the metrics: its name, its labels as they are written, its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: String,
    pub(crate) value: f64,
}

/// Reads the metrics of one program.
///
/// # Errors
/// Why they could not be read, in words.
pub(crate) async fn metrics(url: &Url) -> Result<Vec<Series>, String> {
    metrics_within(url, ASK_MAX).await
}

async fn metrics_within(url: &Url, longest: Duration) -> Result<Vec<Series>, String> {
    let text = timeout(longest, get(url))
        .await
        .map_err(|_| format!("no answer within {} s", longest.as_secs()))??;
    Ok(text.lines().filter_map(series).collect())
}

async fn get(url: &Url) -> Result<String, String> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("the address has no host".to_owned());
    };
    let path = match url.path() {
        "" | "/" => METRICS,
        path => path,
    };
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|error| error.to_string())?;
    // An answer to HTTP/1.0 ends with the connection and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {host}:{port}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream
        .take(BYTES_MAX + 1)
        .read_to_end(&mut answer)
        .await
        .map_err(|error| error.to_string())?;
    if answer.len() as u64 > BYTES_MAX {
        return Err(format!("the answer has more than {BYTES_MAX} bytes"));
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or("the answer is not HTTP")?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(status) => Err(format!("HTTP status {status}")),
        None => Err("the answer is not HTTP".to_owned()),
    }
}

/// Reads a line of the Prometheus text format. Comments and what is not well-formed are left out.
fn series(line: &str) -> Option<Series> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some(Series {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// The address of a listener that gives one answer, or takes the connection and says nothing.
    async fn listener(answer: Option<Vec<u8>>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            match answer {
                // The reader may hang up before the end.
                Some(answer) => drop(stream.write_all(&answer).await),
                None => std::future::pending().await,
            }
        });
        format!("http://{address}").parse().unwrap()
    }

    fn with_head(status: &str, body: &[u8]) -> Option<Vec<u8>> {
        let head = format!("HTTP/1.0 {status}\r\n\r\n");
        Some([head.as_bytes(), body].concat())
    }

    #[tokio::test]
    async fn answer_is_bounded_in_time_and_bytes() {
        let url = listener(with_head("200 OK", b"x 1\n")).await;
        assert_eq!(metrics(&url).await.unwrap()[0].name, "x");

        let silent = metrics_within(&listener(None).await, Duration::from_millis(20)).await;
        assert!(silent.unwrap_err().starts_with("no answer"));
        let endless = vec![b'x'; usize::try_from(BYTES_MAX).unwrap() + 1];
        let url = listener(with_head("200 OK", &endless)).await;
        let error = metrics_within(&url, Duration::from_secs(60))
            .await
            .unwrap_err();
        assert!(error.contains("more than"), "{error}");
    }

    #[tokio::test]
    async fn other_answers_are_told() {
        let url = listener(with_head("503 Service Unavailable", b"")).await;
        assert_eq!(metrics(&url).await, Err("HTTP status 503".to_owned()));
        let url = listener(Some(b"nonsense".to_vec())).await;
        assert_eq!(
            metrics(&url).await,
            Err("the answer is not HTTP".to_owned())
        );
    }

    #[test]
    fn text_format_is_read_line_by_line() {
        let read = |line| series(line).map(|s| (s.name, s.labels, s.value));
        assert_eq!(
            read("risiti_spool_entries 3"),
            Some(("risiti_spool_entries".into(), String::new(), 3.0))
        );
        assert_eq!(
            read(r#"risiti_webhooks_total{outcome="refused",provider="daraja"} 2"#),
            Some((
                "risiti_webhooks_total".into(),
                r#"outcome="refused",provider="daraja""#.into(),
                2.0
            ))
        );
        for other in ["# HELP x y", "", "x", "x y"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
