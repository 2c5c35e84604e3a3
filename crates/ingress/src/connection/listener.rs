//! The public listener: it takes connections in, speaks TLS where it has a certificate, and gives
//! each guarded stream to the HTTP library.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::stream::GuardedStream;
use super::{Connection, Connections};

/// A connection with or without TLS.
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What the listener needs beside its socket.
pub(crate) struct Listener {
    pub(crate) connections: Arc<Connections>,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<ServerConfig>,
    pub(crate) workers: usize,
    pub(crate) shutdown_seconds: u64,
}

/// Serves what `app` makes, once on each worker thread.
pub(crate) fn serve<I, S, B>(
    socket: TcpListener,
    listener: Listener,
    app: impl Fn() -> I + Clone + Send + 'static,
) -> io::Result<Server>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let Listener {
        connections,
        tls,
        workers,
        shutdown_seconds,
    } = listener;
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    // No more than this is accepted at all. Further connections wait in the kernel's queue.
    let per_worker = connections.limits.open_max.div_ceil(workers);

    let server = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(per_worker)
        .shutdown_timeout(shutdown_seconds)
        .disable_signals()
        .listen("webhooks", socket, move || {
            let connections = Arc::clone(&connections);
            let acceptor = acceptor.clone();
            let admit = move |stream: TcpStream| {
                let connections = Arc::clone(&connections);
                let acceptor = acceptor.clone();
                async move {
                    // Nobody is told why a connection was not taken in.
                    let refused = || DispatchError::Io(io::ErrorKind::ConnectionAborted.into());
                    admit(stream, &connections, acceptor)
                        .await
                        .ok_or_else(refused)
                }
            };

            let app = app()
                .into_factory()
                .map_err(|error| error.into().error_response());
            // The times are kept by the table of connections, for each request of a connection.
            let http = HttpService::build()
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(Duration::ZERO)
                .on_connect_ext(|stream: &GuardedStream<Transport>, data| {
                    data.insert(Arc::clone(stream.connection()));
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(admit).and_then(http)
        })?;
    Ok(server.run())
}

/// Takes in a connection and waits for its first request. `None` when it ends before that.
async fn admit(
    stream: TcpStream,
    connections: &Arc<Connections>,
    acceptor: Option<TlsAcceptor>,
) -> Option<(GuardedStream<Transport>, Option<std::net::SocketAddr>)> {
    let peer = stream.peer_addr().ok()?;
    let connection = connections.open(peer.ip())?;
    let transport = match acceptor {
        None => Transport::Plain(stream),
        Some(acceptor) => {
            Transport::Tls(Box::new(shake_hands(stream, &connection, acceptor).await?))
        }
    };
    let mut stream = GuardedStream::new(transport, connection);
    stream.has_request().await.then_some((stream, Some(peer)))
}

/// The stream after the handshake. `None` when that fails, or the connection is given up.
async fn shake_hands(
    stream: TcpStream,
    connection: &Arc<Connection>,
    acceptor: TlsAcceptor,
) -> Option<TlsStream<TcpStream>> {
    let mut handshake = pin!(acceptor.accept(stream));
    std::future::poll_fn(|cx| {
        connection.register(cx.waker());
        match handshake.as_mut().poll(cx) {
            Poll::Ready(shaken) => Poll::Ready(shaken.ok()),
            Poll::Pending if connection.is_given_up() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
