//! Requests to a server on a unix socket: one connection a request.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Bytes, Incoming},
};

use super::{Connection, Connector, HttpError, Response, within};

/// Asks the server that listens on one unix socket.
#[derive(Debug, Clone)]
pub(crate) struct UnixClient {
    socket: PathBuf,
    timeout: Duration,
    max_body: usize,
}

impl UnixClient {
    /// Bytes of body accepted by default.
    pub(crate) const MAX_BODY: usize = 16 << 20;

    /// A client of the server at `socket`; each request may take as long as `timeout`, connecting included.
    pub(crate) fn new(socket: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { socket: socket.into(), timeout, max_body: Self::MAX_BODY }
    }

    /// The same client, accepting longer answers.
    pub(crate) fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// Where the server listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// Where there is no complete answer in time. A status that is an error is an answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Response, HttpError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Sends a JSON body; an empty one is no body.
    ///
    /// # Errors
    /// As [`UnixClient::get`].
    pub(crate) async fn send(&self, method: Method, path: &str, json: Bytes) -> Result<Response, HttpError> {
        let request = request(method, path, json)?;
        let answer = async { self.connect().await?.ask(request, self.max_body).await };
        let response = within(self.timeout, answer).await?;
        if response.is_cut { Err(HttpError::TooLong(self.max_body)) } else { Ok(response) }
    }

    /// Asks for a path whose answer is lines without end. Only its head must come in time.
    ///
    /// # Errors
    /// Where no head of an answer comes in time.
    pub(crate) async fn lines(&self, path: &str) -> Result<(StatusCode, Lines), HttpError> {
        let request = request(Method::GET, path, Bytes::new())?;
        let begun = async {
            let mut connection = self.connect().await?;
            let response = connection.begin(request).await?;
            Ok((connection, response))
        };
        let (connection, response) = within(self.timeout, begun).await?;
        let status = response.status();
        Ok((status, Lines::new(connection, response.into_body())))
    }

    async fn connect(&self) -> Result<Connection, HttpError> {
        Connector::Unix(&self.socket).connect().await
    }
}

fn request(method: Method, path: &str, json: Bytes) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if !json.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Full::new(json)).map_err(HttpError::Path)
}

/// The lines of an answer without end.
#[derive(Debug)]
pub(crate) struct Lines {
    _connection: Connection,
    body: Incoming,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    begin: usize,
    /// Up to where the buffer has no end of that line.
    searched: usize,
}

impl Lines {
    /// Bytes a line may have.
    pub(crate) const MAX_LINE: usize = 1 << 20;

    pub(super) fn new(connection: Connection, body: Incoming) -> Self {
        Self { _connection: connection, body, buffer: Vec::new(), begin: 0, searched: 0 }
    }

    /// The next line without its end; none when the server ended the answer. Cancelling it loses nothing.
    ///
    /// # Errors
    /// Where the connection breaks or a line is too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            let new = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(length) = new.iter().position(|b| *b == b'\n') {
                let end = self.searched + length;
                let line = self.buffer.get(self.begin..end).map(<[u8]>::to_vec);
                (self.begin, self.searched) = (end + 1, end + 1);
                return Ok(line);
            }
            // What was handed out is let go once for all lines that came together.
            self.buffer.drain(..self.begin);
            (self.begin, self.searched) = (0, self.buffer.len());
            if self.buffer.len() > Self::MAX_LINE {
                return Err(HttpError::TooLong(Self::MAX_LINE));
            }
            if self.body.is_end_stream() {
                return Ok(None);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(HttpError::Protocol)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(crate) mod tests {
    use super::*;
    use tempfile::TempDir;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
        task::JoinHandle,
    };

    /// A server that gives everybody the same bytes once they have asked, and then ends or hangs.
    pub(crate) struct FakeServer {
        _directory: TempDir,
        task: JoinHandle<()>,
        pub(crate) socket: PathBuf,
    }

    impl FakeServer {
        pub(crate) fn start(answer: Vec<u8>, hang: bool) -> Self {
            Self::by(move |_| answer.clone(), hang)
        }

        /// Answers by the first line of the request.
        pub(crate) fn by(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static, hang: bool) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let socket = directory.path().join("s");
            let listener = UnixListener::bind(&socket).unwrap();
            let answer = std::sync::Arc::new(answer);
            let task = tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        let mut request = vec![0; 4096];
                        let n = stream.read(&mut request).await.unwrap_or(0);
                        let first = String::from_utf8_lossy(&request[..n]).lines().next().unwrap_or("").to_owned();
                        let _ = stream.write_all(&answer(&first)).await;
                        if hang {
                            std::future::pending::<()>().await;
                        }
                    });
                }
            });
            Self { _directory: directory, task, socket }
        }

        pub(crate) fn client(&self) -> UnixClient {
            UnixClient::new(&self.socket, Duration::from_millis(300))
        }
    }

    impl Drop for FakeServer {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    /// A complete answer.
    pub(crate) fn answer(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn an_answer_has_status_and_body() {
        let server = FakeServer::start(answer("404 Not Found", "gone"), false);
        let response = server.client().get("/x").await.unwrap();
        assert_eq!((response.status.as_u16(), &response.body[..]), (404, &b"gone"[..]));
    }

    #[tokio::test]
    async fn who_is_not_there_cannot_be_connected_to() {
        let client = UnixClient::new("/nonexistent/socket", Duration::from_secs(1));
        assert!(matches!(client.get("/").await, Err(HttpError::Connect(_))));
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        for nonsense in
            [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], &[0xff; 64], b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"]
        {
            let server = FakeServer::start(nonsense.to_vec(), false);
            assert!(matches!(server.client().get("/").await, Err(HttpError::Protocol(_))), "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_costs_the_timeout() {
        for start in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"] {
            let server = FakeServer::start(start.to_vec(), true);
            assert!(matches!(server.client().get("/").await, Err(HttpError::Timeout(_))));
        }
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut_off() {
        let mut huge = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        huge.resize(huge.len() + UnixClient::MAX_BODY + 1, b' ');
        let server = FakeServer::start(huge, true);
        let client = UnixClient::new(&server.socket, Duration::from_secs(20));
        assert!(matches!(client.get("/").await, Err(HttpError::TooLong(_))));
    }

    #[tokio::test]
    async fn lines_come_one_by_one_until_the_end() {
        let server = FakeServer::start(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none\n\ntwo\nhalf".to_vec(), false);
        let (status, mut lines) = server.client().lines("/").await.unwrap();
        assert_eq!(status, StatusCode::OK);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            seen.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(seen, ["one", "", "two"]);
    }

    #[tokio::test]
    async fn many_lines_that_come_at_once_cost_no_more_than_one_by_one() {
        const LINES: usize = 1 << 20;
        let answer = [&b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"[..], &b"x\n".repeat(LINES)].concat();
        let server = FakeServer::start(answer, false);
        let (_, mut lines) = server.client().lines("/").await.unwrap();
        let mut seen = 0;
        // To move all that is left for each of them would take minutes.
        let all = async {
            while let Some(line) = lines.next().await.unwrap() {
                assert_eq!(line, b"x");
                seen += 1;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
        assert_eq!(seen, LINES);
    }

    #[tokio::test]
    async fn a_line_without_end_is_an_error() {
        let mut huge = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        huge.resize(huge.len() + Lines::MAX_LINE + (1 << 20), b'x');
        let server = FakeServer::start(huge, true);
        let (_, mut lines) = server.client().lines("/").await.unwrap();
        assert!(matches!(lines.next().await, Err(HttpError::TooLong(_))));
    }
}
