//! A small HTTP/1.1 client: over a unix socket, TCP or TLS, everything bounded.

mod endpoint;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod tls;
mod unix;

use std::{io, path::Path, time::Duration};

use ethogram_model::render::escape;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

pub(crate) use endpoint::Endpoint;
pub(crate) use tls::certificates;
use tls::connector as tls_connector;
#[cfg(test)]
pub(crate) use unix::tests;
pub(crate) use unix::{Lines, UnixClient};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    /// Its status, also where that is an error of the server's.
    pub(crate) status: StatusCode,
    /// What it says besides.
    pub(crate) headers: HeaderMap,
    /// Empty where it is cut.
    pub(crate) body: Bytes,
    /// Whether the body was longer than what was asked for.
    pub(crate) is_cut: bool,
}

impl Response {
    /// Characters of an answer that are shown where it is a refusal.
    const MAX_SHOWN: usize = 200;

    /// The first words of a refusal, behind a colon.
    pub(crate) fn first_words(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(Self::MAX_SHOWN).collect();
        if text.trim().is_empty() { String::new() } else { format!(": {}", escape(text.trim())) }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No server listens there, or not for us.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The server's certificate is not trusted, or it does not speak TLS.
    #[error("no secure connection: {0}")]
    Tls(#[source] io::Error),
    /// Too slow.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// What came is not HTTP, or ended early.
    #[error("the answer is not HTTP/1.1, or broke off: {0}")]
    Protocol(#[source] hyper::Error),
    /// More than a server should answer.
    #[error("the answer exceeds {0} bytes")]
    TooLong(usize),
    /// The path asked for is none.
    #[error("not a request path: {0}")]
    Path(#[source] hyper::http::Error),
    /// The request cannot be made: its token cannot be read.
    #[error("{0}")]
    Request(#[source] io::Error),
}

/// How a server is reached.
pub(crate) enum Connector<'a> {
    /// Through a socket on this host.
    Unix(&'a Path),
    /// Over the network, and with TLS where that is given.
    Tcp { host: &'a str, port: u16, tls: Option<&'a TlsConnector> },
}

impl Connector<'_> {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection, HttpError> {
        match *self {
            Self::Unix(socket) => {
                Connection::over(UnixStream::connect(socket).await.map_err(HttpError::Connect)?).await
            }
            Self::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host, port)).await.map_err(HttpError::Connect)?;
                stream.set_nodelay(true).map_err(HttpError::Connect)?;
                let Some(tls) = tls else { return Connection::over(stream).await };
                let name = ServerName::try_from(host.to_owned()).map_err(|e| HttpError::Tls(io::Error::other(e)))?;
                Connection::over(tls.connect(name, stream).await.map_err(HttpError::Tls)?).await
            }
        }
    }
}

/// One connection to a server. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, HttpError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(HttpError::Protocol)?;
        // Its errors reach the request, too.
        let driver = tokio::spawn(async move { connection.await.unwrap_or_default() });
        Ok(Self { sender, driver })
    }

    /// Whether it is still open and can take a request.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request. The body of the answer is still to come.
    pub(crate) async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, HttpError> {
        self.sender.send_request(request).await.map_err(HttpError::Protocol)
    }

    /// Sends a request, and reads the answer with at most so many bytes of body.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>, most: usize) -> Result<Response, HttpError> {
        let (head, body) = self.begin(request).await?.into_parts();
        let (body, is_cut) = match Limited::new(body, most).collect().await {
            Ok(body) => (body.to_bytes(), false),
            // What is not the connection's fault is the limit's.
            Err(error) => match error.downcast() {
                Ok(broken) => return Err(HttpError::Protocol(*broken)),
                Err(_) => (Bytes::new(), true),
            },
        };
        Ok(Response { status: head.status, headers: head.headers, body, is_cut })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What comes of it within that time.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    timeout(limit, answer).await.unwrap_or(Err(HttpError::Timeout(limit)))
}
