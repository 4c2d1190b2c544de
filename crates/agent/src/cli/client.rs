//! Asks the running server, over its socket.

use std::{fmt::Write, io, path::PathBuf, time::Duration};

use hyper::{Method, StatusCode, body::Bytes, header::LINK};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::Problem,
    http::{HttpError, UnixClient},
    output::OutputError,
};

/// How long the server may take to begin an answer: loading a tracker takes longest.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer, in bytes: more than a page of alerts, or all that the profile of a workload holds.
const MAX_ANSWER: usize = 64 << 20;

/// Why the server did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("no server answers on {}: start one with `ethogram server`, or name its socket with --socket", .0.display())]
    NoServer(PathBuf),
    #[error("cannot use the server's socket {}: {source}: run this as the server's user, usually root", socket.display())]
    Refused { socket: PathBuf, source: io::Error },
    #[error("the server on {} does not answer: see its log", .0.display())]
    Silent(PathBuf),
    #[error("the server on {} has ended, and with it what it was followed for: start it again, then follow it again", .0.display())]
    Ended(PathBuf),
    #[error("the server on {} answers nonsense: {why}", socket.display())]
    Nonsense { socket: PathBuf, why: String },
    #[error("{0}")]
    Problem(String),
}

/// Asks the server on one socket.
pub(super) struct Client {
    http: UnixClient,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { http: UnixClient::new(socket, PATIENCE).with_max_body(MAX_ANSWER) }
    }

    /// GETs JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// GETs a page of a list, and the path of the next one.
    pub(super) async fn get_page<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), ClientError> {
        let answer = self.http.send(Method::GET, path, Bytes::new()).await.map_err(|e| self.explain(e))?;
        if !answer.status.is_success() {
            return Err(self.problem(answer.status, &answer.body));
        }
        let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        Ok((serde_json::from_slice(&answer.body).map_err(|e| self.nonsense(e))?, next))
    }

    /// POSTs JSON and reads the answer.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.nonsense(e))?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// GETs a text.
    pub(super) async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.http.send(Method::GET, path, Bytes::new()).await.map_err(|e| self.explain(e))?;
        if !answer.status.is_success() {
            return Err(self.problem(answer.status, &answer.body));
        }
        String::from_utf8(answer.body.into()).map_err(|e| self.nonsense(e))
    }

    /// PUTs a text and reads the answer.
    pub(super) async fn put_text<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T, ClientError> {
        self.ask(Method::PUT, path, text.into()).await
    }

    /// DELETEs and reads the answer.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// GETs a stream: says once that it has begun, and hands over each line until it ends or a line is refused.
    pub(super) async fn follow(
        &self,
        path: &str,
        begins: impl FnOnce() -> Result<(), OutputError>,
        mut line: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (status, mut lines) = self.http.lines(path).await.map_err(|e| self.explain(e))?;
        if !status.is_success() {
            let problem = lines.next().await.map_err(|e| self.explain(e))?;
            return Err(self.problem(status, &problem.unwrap_or_default()).into());
        }
        begins()?;
        // A stream that has begun is HTTP: it can only be cut off.
        let cut = |error| match error {
            HttpError::Protocol(_) => ClientError::Ended(self.http.socket().to_owned()),
            error => self.explain(error),
        };
        while let Some(next) = lines.next().await.map_err(cut)? {
            line(&next)?;
        }
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let answer = self.http.send(method, path, body).await.map_err(|e| self.explain(e))?;
        if !answer.status.is_success() {
            return Err(self.problem(answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|e| self.nonsense(e))
    }

    fn problem(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => ClientError::Problem(problem.detail),
            Err(_) => self.nonsense(status),
        }
    }

    fn explain(&self, error: HttpError) -> ClientError {
        let socket = self.http.socket().to_owned();
        match error {
            HttpError::Connect(source) => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoServer(socket),
                _ => ClientError::Refused { socket, source },
            },
            HttpError::Timeout(_) => ClientError::Silent(socket),
            error => self.nonsense(error),
        }
    }

    fn nonsense(&self, why: impl ToString) -> ClientError {
        ClientError::Nonsense { socket: self.http.socket().to_owned(), why: why.to_string() }
    }
}

/// A text as a part of a path or a query.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use ethogram_model::Severity;
    use serde_json::{Value as Json, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;
    use crate::{
        api::{
            Listeners, TrackerStatus,
            tests::{Fake, finding},
        },
        config,
    };

    #[tokio::test]
    async fn asks_follows_and_reports_what_the_server_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let api = config::Api { socket: folder.path().join("s"), ..config::Api::default() };
        let fake = Arc::new(Fake::default());
        *fake.alerts.lock().unwrap() = vec![finding(1, Severity::High), finding(2, Severity::Low)];
        let listeners =
            Listeners::bind(&api, &config::Metrics { listen: None, ..config::Metrics::default() }).await.unwrap();
        let server = listeners.serve(&fake);
        let client = Client::new(api.socket.clone());

        let started: TrackerStatus = client.post("/v1/trackers", &json!({ "name": "tcp" })).await.unwrap();
        assert_eq!(started.name, "tcp");
        let all: Vec<TrackerStatus> = client.get("/v1/trackers").await.unwrap();
        assert_eq!(all.len(), 2);
        client.delete::<TrackerStatus>("/v1/trackers/tcp").await.unwrap();
        let refused = client.delete::<TrackerStatus>(&format!("/v1/trackers/{}", encode("../t pc"))).await;
        assert!(refused.unwrap_err().to_string().starts_with("no tracker is called \"../t pc\""));

        let (page, next): (Vec<Json>, _) = client.get_page("/v1/alerts?limit=1").await.unwrap();
        assert_eq!((page.len(), next.as_deref()), (1, Some("/v1/alerts?limit=1&before=2-f2")));
        let (page, next): (Vec<Json>, _) = client.get_page(&next.unwrap()).await.unwrap();
        assert_eq!((page[0]["finding_info"]["uid"].as_str(), next), (Some("f1"), None));

        let mut seen = Vec::new();
        let until_two = |line: &[u8]| {
            seen.push(serde_json::from_slice::<Json>(line)?["count"].clone());
            anyhow::ensure!(seen.len() < 2, "enough");
            Ok(())
        };
        let end = client.follow("/v1/alerts?follow=true", || Ok(()), until_two).await;
        assert_eq!((end.unwrap_err().to_string().as_str(), seen.len()), ("enough", 2));

        server.stop().await;
        let gone = client.get::<Json>("/v1/trackers").await.unwrap_err().to_string();
        assert!(gone.starts_with(&format!("no server answers on {}", api.socket.display())), "{gone}");
    }

    #[tokio::test]
    async fn nonsense_is_called_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        for answer in ["SSH-2.0\r\n", "", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{{{", "HTTP/1.1 500 X\r\n\r\n"] {
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                // The request is read, so that closing does not cut the answer off.
                let _ = stream.read(&mut [0; 1024]).await;
            };
            let client = Client::new(socket.clone());
            let (refused, ()) = tokio::join!(client.get::<Json>("/"), serve);
            let message = refused.unwrap_err().to_string();
            assert!(message.starts_with(&format!("the server on {} answers nonsense", socket.display())), "{message}");
        }
    }

    #[tokio::test]
    async fn a_server_that_ends_while_it_is_followed_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n";
        for (rest, ends_well) in [("", false), ("5\r\n2", false), ("0\r\n\r\n", true)] {
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                _ = stream.read(&mut [0; 1024]).await;
                stream.write_all(format!("{begun}{rest}").as_bytes()).await.unwrap();
            };
            let client = Client::new(socket.clone());
            let mut lines = 0;
            let follow = client.follow(
                "/",
                || Ok(()),
                |_| {
                    lines += 1;
                    Ok(())
                },
            );
            let (end, ()) = tokio::join!(follow, serve);
            let said = end.map_err(|error| error.to_string());
            let ended = format!("the server on {} has ended", socket.display());
            assert_eq!(said.is_ok(), ends_well, "{rest:?}: {said:?}");
            assert!(said.is_ok() || said.unwrap_err().starts_with(&ended), "{rest:?}");
            assert_eq!(lines, 1, "{rest:?}");
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encode("a-b_c.d~9"), "a-b_c.d~9");
        assert_eq!(encode("a/b?c=ü"), "a%2Fb%3Fc%3D%C3%BC");
    }
}
