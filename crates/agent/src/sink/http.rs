//! Requests to one receiver over HTTP/1.1 or HTTPS, from a thread: one connection that is kept, everything bounded.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ethogram_model::render::escape;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{queue::Outcome, tls};
use crate::config;

/// How long a request may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 1 << 16;
/// Characters of an answer that are told where it is a refusal.
const MAX_TOLD: usize = 200;
const MAX_TOKEN: u64 = 4096;

type Connection = SendRequest<Full<Bytes>>;

/// Sends requests to one URL.
pub(super) struct Client {
    runtime: Runtime,
    to: Target,
    headers: HeaderMap,
    token_file: Option<PathBuf>,
    connection: Option<Connection>,
    timeout: Duration,
}

/// Where requests go.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// What a receiver answered.
struct Answer {
    status: StatusCode,
    after: Option<Duration>,
    body: Bytes,
}

impl Client {
    /// A client for the URL. Nobody is asked yet.
    ///
    /// # Errors
    /// If the token or the certificates cannot be read.
    pub(super) fn new(url: &str, settings: &config::Http) -> io::Result<Self> {
        let uri = Uri::from_str(url).map_err(io::Error::other)?;
        let is_https = uri.scheme_str() == Some("https");
        let to = Target {
            host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            tls: is_https.then(|| tls::connector(settings.ca_file.as_deref())).transpose()?,
            uri,
        };
        if let Some(path) = &settings.token_file {
            bearer(path)?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("ethogram/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &settings.headers.0 {
            let name = HeaderName::from_str(name).map_err(io::Error::other)?;
            headers.insert(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
        let host = to.uri.authority().map_or("", |a| a.as_str());
        headers.insert(header::HOST, HeaderValue::from_str(host).map_err(io::Error::other)?);
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { runtime, to, headers, token_file: settings.token_file.clone(), connection: None, timeout: TIMEOUT })
    }

    /// The same client, with less patience.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Posts JSON. Gives the answer's body where the receiver took it.
    pub(super) fn post(&mut self, body: Vec<u8>) -> Result<Bytes, Outcome> {
        // Paths and queries may be secrets.
        let who = format!("{}:{}", self.to.host, self.to.port);
        let failed = |why: String| Outcome::failed(format!("{who}: {why}"));
        let request = self.request(body).map_err(|e| failed(e.to_string()))?;
        let Self { runtime, to, connection, timeout: limit, .. } = self;
        let answer = runtime.block_on(async { timeout(*limit, exchange(to, connection, request)).await });
        match answer {
            Err(_) => Err(failed(format!("no answer within {} s", limit.as_secs_f32()))),
            Ok(Err(why)) => Err(failed(why)),
            Ok(Ok(Answer { status, body, .. })) if status.is_success() => Ok(body),
            Ok(Ok(answer)) => {
                let why = format!("{who} answered {}{}", answer.status, told(&answer.body));
                let is_passing = answer.status.is_server_error()
                    || matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
                Err(if is_passing { Outcome::Failed { why, after: answer.after } } else { Outcome::Refused(why) })
            }
        }
    }

    fn request(&self, body: Vec<u8>) -> io::Result<Request<Full<Bytes>>> {
        let path = self.to.uri.path_and_query().map_or("/", |p| p.as_str());
        let mut request = Request::post(path).body(Full::new(body.into())).map_err(io::Error::other)?;
        request.headers_mut().clone_from(&self.headers);
        if let Some(path) = &self.token_file {
            request.headers_mut().insert(header::AUTHORIZATION, bearer(path)?);
        }
        Ok(request)
    }
}

async fn exchange(to: &Target, kept: &mut Option<Connection>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    if let Some(mut connection) = kept.take()
        && connection.ready().await.is_ok()
        && let Ok(answer) = ask(&mut connection, request.clone()).await
    {
        *kept = Some(connection);
        return Ok(answer);
    }
    // A connection that was kept may have been closed by the other side at any time.
    let mut connection = to.connect().await?;
    let answer =
        ask(&mut connection, request).await.map_err(|e| format!("the answer is not HTTP/1.1, or broke off: {e}"))?;
    *kept = Some(connection);
    Ok(answer)
}

async fn ask(connection: &mut Connection, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
    let response = connection.send_request(request).await?;
    let (status, after) = (response.status(), retry_after(&response, Timestamp::now()));
    let body = match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => match error.downcast() {
            Ok(broken) => return Err(*broken),
            // Longer than anybody wants to know. The status has come all the same.
            Err(_) => Bytes::new(),
        },
    };
    Ok(Answer { status, after, body })
}

impl Target {
    async fn connect(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream =
            stream.and_then(|s| s.set_nodelay(true).map(|()| s)).map_err(|e| format!("cannot connect: {e}"))?;
        match &self.tls {
            None => handshake(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|e| e.to_string())?;
                handshake(tls.connect(name, stream).await.map_err(|e| format!("no secure connection: {e}"))?).await
            }
        }
    }
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Its errors reach the request, too. It goes on only while a request is made, which is enough.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}

/// What a receiver asks for: seconds, or a date.
fn retry_after<B>(response: &Response<B>, now: Timestamp) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Duration::try_from(date.duration_since(now)).ok()
}

/// The first words of a refusal.
fn told(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(MAX_TOLD).collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", escape(text.trim())) }
}

/// The header that bears the token in a file.
fn bearer(path: &Path) -> io::Result<HeaderValue> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("token_file {}: {error}", path.display()));
    let mut token = String::new();
    File::open(path).and_then(|f| f.take(MAX_TOKEN + 1).read_to_string(&mut token)).map_err(at)?;
    let usable = Some(token.trim()).filter(|t| !t.is_empty() && token.len() as u64 <= MAX_TOKEN);
    let value = usable.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    let mut value = value.ok_or_else(|| at(io::Error::other("it holds no token: one line, at most 4096 bytes")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
