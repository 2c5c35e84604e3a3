//! The TCP connection below a request, for what HTTP itself cannot say: cutting it
//! without an answer, and noticing that the caller has hung up.

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use std::any::Any;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Connection {
    stream: std::net::TcpStream,
    used: AtomicBool,
    /// HTTP/2, which actix offers over TLS.
    multiplexed: bool,
}

impl Connection {
    /// `None` for a transport that is neither plain nor TLS over TCP.
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

    /// True for the first call on this connection.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }

    /// Ends the connection now; whatever actix writes afterwards reaches nobody.
    pub(crate) fn cut(&self) {
        // It fails only when the peer has already gone, which is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether the caller of a pending request stopped waiting. HTTP/1.1 clients send nothing
    /// before the answer, so anything readable is an end of stream or TLS saying goodbye. Of HTTP/2
    /// this cannot be told.
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
