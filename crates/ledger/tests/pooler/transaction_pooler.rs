//! A small transaction pooler. As PgBouncer with `pool_mode = transaction`, it hands each transaction
//! of a client to whichever server process is free, the one that was used last first.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(crate) struct TransactionPooler {
    url: String,
}

/// Server connections that no transaction uses, last used last.
type Idle = Arc<Mutex<Vec<TcpStream>>>;

impl TransactionPooler {
    /// Starts a pooler in front of this server. It ends with the test's runtime.
    pub(crate) async fn in_front_of(server: &str) -> Self {
        let mut url = Url::parse(server).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let port = url.port().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        url.set_port(Some(address.port())).unwrap();

        let idle = Idle::default();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((host.as_str(), port)).await.unwrap();
                // A client that leaves ends its task with an error.
                tokio::spawn(serve(client, server, Arc::clone(&idle)));
            }
        });
        Self { url: url.into() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(mut client: TcpStream, server: TcpStream, idle: Idle) -> io::Result<()> {
    let server = log_in(&mut client, server).await?;
    put_back(&idle, server);

    loop {
        let mut request = read_message(&mut client).await?;
        if request[0] == b'X' {
            return Ok(());
        }
        let taken = idle.lock().unwrap().pop();
        let mut server = taken.ok_or(io::ErrorKind::ResourceBusy)?;

        // The server process belongs to this client until its transaction ends.
        loop {
            server.write_all(&request).await?;
            let is_complete = matches!(request[0], b'Q' | b'S');
            if is_complete && pass_answers_on(&mut server, &mut client).await? == b'I' {
                break;
            }
            request = read_message(&mut client).await?;
        }
        put_back(&idle, server);
    }
}

fn put_back(idle: &Idle, server: TcpStream) {
    idle.lock().unwrap().push(server);
}

/// Passes the login through, up to the first `ReadyForQuery`.
async fn log_in(client: &mut TcpStream, mut server: TcpStream) -> io::Result<TcpStream> {
    let length = client.read_u32().await?;
    let mut startup = length.to_be_bytes().to_vec();
    startup.resize(length as usize, 0);
    client.read_exact(&mut startup[4..]).await?;
    server.write_all(&startup).await?;

    loop {
        let answer = read_message(&mut server).await?;
        client.write_all(&answer).await?;
        match answer[0] {
            b'Z' => return Ok(server),
            // 3 asks for a password, 10 and 11 for steps of SASL. 0 and 12 are the last of them.
            b'R' if matches!(answer[8], 3 | 10 | 11) => {
                let reply = read_message(client).await?;
                server.write_all(&reply).await?;
            }
            b'E' => return Err(io::ErrorKind::PermissionDenied.into()),
            _ => {}
        }
    }
}

/// Passes answers on up to `ReadyForQuery`, and returns the transaction status in it.
async fn pass_answers_on(server: &mut TcpStream, client: &mut TcpStream) -> io::Result<u8> {
    loop {
        let answer = read_message(server).await?;
        client.write_all(&answer).await?;
        if answer[0] == b'Z' {
            return Ok(answer[5]);
        }
    }
}

/// Reads one message: its type, its length and its content.
async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    stream.read_exact(&mut message).await?;
    let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
    message.resize(1 + length as usize, 0);
    stream.read_exact(&mut message[5..]).await?;
    Ok(message)
}
