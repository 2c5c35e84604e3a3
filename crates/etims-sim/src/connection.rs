//! The TCP connection below a request. It does what HTTP cannot: cutting the connection without
//! an answer, and noticing that the caller has hung up.

use std::any::Any;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;

pub(crate) struct Connection {
    stream: std::net::TcpStream,
    used: AtomicBool,
    /// Whether it speaks HTTP/2, which actix offers over TLS.
    multiplexed: bool,
}

impl Connection {
    /// The connection of a transport, or `None` if that is neither TCP nor TLS over TCP.
    pub(crate) fn below(io: &dyn Any) -> Option<Self> {
        let (stream, multiplexed) = match io.downcast_ref::<TcpStream>() {
            Some(stream) => (stream, false),
            None => {
                let (stream, tls) = io.downcast_ref::<TlsStream<TcpStream>>()?.get_ref();
                (stream, tls.alpn_protocol() == Some(b"h2"))
            }
        };
        let stream = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().ok()?);
        Some(Self {
            stream,
            used: AtomicBool::new(false),
            multiplexed,
        })
    }

    /// Marks the connection as used. The result is true for its first call only.
    pub(crate) fn mark_used(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }

    /// Ends the connection now. Whatever actix writes afterwards reaches nobody.
    pub(crate) fn cut(&self) {
        // This fails only when the peer has already gone, which has the same effect.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether the caller of a pending request has stopped waiting.
    ///
    /// An HTTP/1.1 client sends nothing before the answer, so anything readable is the end of the
    /// stream or of TLS. With HTTP/2 nobody can tell, and the answer is no.
    pub(crate) fn hung_up(&self) -> bool {
        if self.multiplexed {
            return false;
        }
        match self.stream.peek(&mut [0]) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}
