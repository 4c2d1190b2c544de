//! A server at one URL, as the configuration has it: headers, a token, and whom it is believed from.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Uri,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};
use tokio_rustls::TlsConnector;

use super::{Connection, Connector, HttpError, Response, tls_connector};
use crate::{config, files};

const MAX_TOKEN: u64 = 4096;

/// Where requests go, and what each of them has. Redirects are not followed.
pub(crate) struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    headers: HeaderMap,
    token_file: Option<PathBuf>,
}

impl Endpoint {
    /// That of a URL. No request is made yet.
    ///
    /// # Errors
    /// If the token or the certificates cannot be read.
    pub(crate) fn new(url: &str, settings: &config::Http) -> io::Result<Self> {
        let uri = Uri::from_str(url).map_err(io::Error::other)?;
        let is_https = uri.scheme_str() == Some("https");
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
        let host = uri.authority().map_or("", |a| a.as_str());
        headers.insert(header::HOST, HeaderValue::from_str(host).map_err(io::Error::other)?);
        Ok(Self {
            host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            tls: is_https.then(|| tls_connector(settings.ca_file.as_deref())).transpose()?,
            uri,
            headers,
            token_file: settings.token_file.clone(),
        })
    }

    /// Host and port: paths and queries may be secrets.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Posts JSON, and reads the answer with at most so many bytes of body. A connection that is kept is used where it is
    /// still open, and the one that was used is kept.
    pub(crate) async fn post(
        &self,
        kept: &mut Option<Connection>,
        body: Vec<u8>,
        most: usize,
    ) -> Result<Response, HttpError> {
        let request = self.request(body).map_err(HttpError::Request)?;
        if let Some(mut connection) = kept.take()
            && connection.is_ready().await
            && let Ok(answer) = connection.ask(request.clone(), most).await
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        // A connection that was kept may have been closed by the other side at any time.
        let to = Connector::Tcp { host: &self.host, port: self.port, tls: self.tls.as_ref() };
        let mut connection = to.connect().await?;
        let answer = connection.ask(request, most).await?;
        *kept = Some(connection);
        Ok(answer)
    }

    fn request(&self, body: Vec<u8>) -> io::Result<Request<Full<Bytes>>> {
        let path = self.uri.path_and_query().map_or("/", |p| p.as_str());
        let mut request = Request::post(path).body(Full::new(body.into())).map_err(io::Error::other)?;
        request.headers_mut().clone_from(&self.headers);
        if let Some(path) = &self.token_file {
            request.headers_mut().insert(header::AUTHORIZATION, bearer(path)?);
        }
        Ok(request)
    }
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
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_one_line_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (text, fine) in [("hunter2\n", true), ("", false), ("hunter2\nhunter3", false), (&"x".repeat(5000), false)]
        {
            fs::write(&path, text).unwrap();
            match bearer(&path) {
                Ok(value) => assert!(fine && !format!("{value:?}").contains("hunter2")),
                Err(error) => assert!(!fine && !error.to_string().contains("hunter"), "{error}"),
            }
        }
    }
}
