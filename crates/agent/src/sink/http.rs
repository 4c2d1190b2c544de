//! Requests to one receiver over HTTP/1.1 or HTTPS, from a thread: one connection that is kept, everything bounded.

use std::{io, time::Duration};

use hyper::{HeaderMap, StatusCode, body::Bytes, header};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use tokio::runtime::{Builder, Runtime};

use super::queue::Delivery;
use crate::{
    config,
    http::{self, Connection, Endpoint},
};

/// How long a request may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 1 << 16;

/// Sends requests to one URL.
pub(super) struct Client {
    runtime: Runtime,
    to: Endpoint,
    connection: Option<Connection>,
    timeout: Duration,
}

impl Client {
    /// A client for the URL. No request is made yet.
    ///
    /// # Errors
    /// If the token or the certificates cannot be read.
    pub(super) fn new(url: &str, settings: &config::Http) -> io::Result<Self> {
        let to = Endpoint::new(url, settings)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { runtime, to, connection: None, timeout: TIMEOUT })
    }

    /// The same client, with less patience.
    #[cfg(test)]
    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Posts JSON. Gives the answer's body where the receiver took it.
    pub(super) fn post(&mut self, body: Vec<u8>) -> Result<Bytes, Delivery> {
        let who = self.to.name();
        let Self { runtime, to, connection, timeout: limit } = self;
        // The connection goes on only while a request is made, which is enough.
        let answer = runtime.block_on(async { http::within(*limit, to.post(connection, body, MAX_ANSWER)).await });
        let answer = answer.map_err(|e| Delivery::failed(format!("{who}: {e}")))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let why = format!("{who} answered {}{}", answer.status, answer.first_words());
        let is_passing = answer.status.is_server_error()
            || matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let after = retry_after(&answer.headers, Timestamp::now());
        Err(if is_passing { Delivery::Failed { why, after } } else { Delivery::Refused(why) })
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
