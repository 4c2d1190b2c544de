//! Requests to one receiver over HTTP/1.1 or HTTPS, from a thread: one connection that is kept, everything bounded.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ethogram_model::render::escape;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::queue::Delivery;
use crate::{
    config, files,
    http::{self, Connection, Connector, HttpError, Response},
};

/// How long a request may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 16;
/// Characters of an answer that are shown where it is a refusal.
const MAX_SHOWN: usize = 200;
const MAX_TOKEN: u64 = 4096;

/// Sends requests to one URL.
pub(super) struct Client {
    runtime: Runtime,
    to: Endpoint,
    headers: HeaderMap,
    token_file: Option<PathBuf>,
    connection: Option<Connection>,
    timeout: Duration,
}

/// Where requests go.
struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl Client {
    /// A client for the URL. No request is made yet.
    ///
    /// # Errors
    /// If the token or the certificates cannot be read.
    pub(super) fn new(url: &str, settings: &config::Http) -> io::Result<Self> {
        let uri = Uri::from_str(url).map_err(io::Error::other)?;
        let is_https = uri.scheme_str() == Some("https");
        let to = Endpoint {
            host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            tls: is_https.then(|| http::tls_connector(settings.ca_file.as_deref())).transpose()?,
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
    pub(super) fn post(&mut self, body: Vec<u8>) -> Result<Bytes, Delivery> {
        // Paths and queries may be secrets.
        let who = format!("{}:{}", self.to.host, self.to.port);
        let failed = |why: String| Delivery::failed(format!("{who}: {why}"));
        let request = self.request(body).map_err(|e| failed(e.to_string()))?;
        let Self { runtime, to, connection, timeout: limit, .. } = self;
        // The connection goes on only while a request is made, which is enough.
        let answer = runtime.block_on(async { http::within(*limit, to.exchange(connection, request)).await });
        let answer = answer.map_err(|e| failed(e.to_string()))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let why = format!("{who} answered {}{}", answer.status, first_words(&answer.body));
        let is_passing = answer.status.is_server_error()
            || matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let after = retry_after(&answer.headers, Timestamp::now());
        Err(if is_passing { Delivery::Failed { why, after } } else { Delivery::Refused(why) })
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

impl Endpoint {
    async fn exchange(
        &self,
        kept: &mut Option<Connection>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, HttpError> {
        if let Some(mut connection) = kept.take()
            && connection.is_ready().await
            && let Ok(answer) = connection.ask(request.clone(), MAX_ANSWER).await
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        // A connection that was kept may have been closed by the other side at any time.
        let to = Connector::Tcp { host: &self.host, port: self.port, tls: self.tls.as_ref() };
        let mut connection = to.connect().await?;
        let answer = connection.ask(request, MAX_ANSWER).await?;
        *kept = Some(connection);
        Ok(answer)
    }
}

/// What a receiver asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Duration::try_from(date.duration_since(now)).ok()
}

/// The first words of a refusal.
fn first_words(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(MAX_SHOWN).collect();
    if text.trim().is_empty() { String::new() } else { format!(": {}", escape(text.trim())) }
}

/// The header that bears the token in a file.
fn bearer(path: &Path) -> io::Result<HeaderValue> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("token_file {}: {error}", path.display()));
    let token = files::read_text(path, MAX_TOKEN).map_err(at)?;
    let usable = Some(token.trim()).filter(|t| !t.is_empty());
    let value = usable.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    let mut value = value.ok_or_else(|| at(io::Error::other("it holds no token: write it into one line")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
