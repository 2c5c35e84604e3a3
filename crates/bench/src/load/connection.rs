//! One HTTP/1.1 connection that stays open.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::answer;
use super::webhook::{Target, Webhook};

/// No answer of a payment provider's peer is longer.
const ANSWER_MAX: usize = 16 * 1024;

pub(crate) struct Connection {
    target: Target,
    stream: Option<TcpStream>,
    webhook: Webhook,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn to(target: &Target) -> Self {
        Self {
            target: target.clone(),
            stream: None,
            webhook: Webhook::stk_success(target),
            buffer: Vec::with_capacity(1024),
        }
    }

    pub(crate) async fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.target.address).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Delivers the webhook of a payment and returns the status of its answer. After an error the
    /// next call connects anew.
    pub(crate) async fn deliver(&mut self, number: u32) -> io::Result<u16> {
        self.connect().await?;
        let mut stream = self.stream.take().expect("connect leaves a stream");
        stream.write_all(self.webhook.of(number)).await?;

        self.buffer.clear();
        loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let answer = answer::read(&self.buffer).map_err(|_| io::ErrorKind::InvalidData)?;
            match answer {
                Some(answer) if answer.length == self.buffer.len() => {
                    self.stream = (!answer.is_last).then_some(stream);
                    return Ok(answer.status);
                }
                None if self.buffer.len() < ANSWER_MAX => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// How long a load waits before it connects again.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(10);
