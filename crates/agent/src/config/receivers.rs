//! Who alerts are sent to: names, URLs, addresses and headers, checked where they are read.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A receiver's name: a folder and the label of a metric have it, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receiver(String);

impl Receiver {
    const MAX_LENGTH: usize = 64;

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.chars().all(plain) {
            return Err(format!(
                "{text:?} is no name for a receiver: it has up to {} letters, digits, `-` and `_`",
                Self::MAX_LENGTH
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where requests over HTTP go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of what lies below this one; where this is it already, this one.
    pub fn below(&self, path: &str) -> String {
        let base = self.0.trim_end_matches('/');
        if base.ends_with(path) { base.to_owned() } else { format!("{base}{path}") }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What it is instead is not repeated where it may hold a password.
        let wrong =
            || "this is not a URL such as \"http://127.0.0.1:9093\" or \"https://siem.example/ingest\"".to_owned();
        let uri = Uri::from_str(text).map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        if authority.contains('@') {
            return Err("a URL must not hold a user or a password: name a file with a token in token_file".to_owned());
        }
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|h| !h.is_empty()) => Ok(Self(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

/// Where syslog messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram each, to host and port.
    Udp(String),
    /// Over a connection, to host and port.
    Tcp(String),
    /// To the socket of this machine's syslog service.
    Unix(PathBuf),
}

impl FromStr for SyslogAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not an address such as \"udp://127.0.0.1:514\", \"tcp://logs.example:601\" or \
                 \"unix:///dev/log\""
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let has_port = || {
            let host_and_port = rest.rsplit_once(':');
            host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
        };
        match scheme {
            "udp" if has_port() => Ok(Self::Udp(rest.to_owned())),
            "tcp" if has_port() => Ok(Self::Tcp(rest.to_owned())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            _ => Err(wrong()),
        }
    }
}

/// Headers of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub BTreeMap<String, String>);

impl Headers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Err` with what is wrong. Values may be secrets, and are not repeated.
    fn check(&self) -> Result<(), String> {
        for (name, value) in &self.0 {
            if HeaderName::from_str(name).is_err() {
                return Err(format!("{name:?} is no name of a header"));
            }
            if HeaderValue::from_str(value).is_err() {
                return Err(format!("the value of {name:?} has characters that a header cannot have"));
            }
            if ["content-length", "content-type", "host", "transfer-encoding"]
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n))
            {
                return Err(format!("the header {name:?} cannot be set: it follows from what is sent"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Written as text, and read by [`FromStr`].
macro_rules! as_text {
    ($($type:ident: $example:expr),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "examples": [$example] })
            }
        }
    )+};
}

as_text!(Receiver: "siem", Url: "http://127.0.0.1:9093", SyslogAddress: "udp://127.0.0.1:514");

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let headers = Self(BTreeMap::deserialize(from)?);
        headers.check().map_err(de::Error::custom)?;
        Ok(headers)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_and_hold_no_password() {
        for good in ["http://127.0.0.1:9093", "https://siem.example/ingest?x=1", "http://[::1]:8080/"] {
            assert_eq!(good.parse::<Url>().unwrap().as_str(), good);
        }
        for bad in ["", "siem", "/x", "siem.example:80", "ftp://x/", "http://", "http:///x", "http://a b/", "unix:///s"]
        {
            assert!(bad.parse::<Url>().unwrap_err().contains("not a URL such as"), "{bad}");
        }
        let error = "http://me:hunter2@host/".parse::<Url>().unwrap_err();
        assert!(error.contains("token_file") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_api_is_found_below_its_address() {
        for base in ["http://a:1", "http://a:1/", "http://a:1/v1/logs", "http://a:1/v1/logs/"] {
            assert_eq!(base.parse::<Url>().unwrap().below("/v1/logs"), "http://a:1/v1/logs");
        }
        assert_eq!("http://a/am".parse::<Url>().unwrap().below("/api/v2/alerts"), "http://a/am/api/v2/alerts");
    }

    #[test]
    fn syslog_addresses_are_of_three_kinds() {
        for good in ["udp://127.0.0.1:514", "tcp://logs.example:601", "tcp://[::1]:601", "unix:///dev/log"] {
            assert_eq!(good.parse::<SyslogAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "udp://",
            "udp://host",
            "udp://:514",
            "udp://h:0",
            "udp://h:99999",
            "unix://dev",
            "http://h:1",
            "/dev/log",
        ] {
            assert!(bad.parse::<SyslogAddress>().unwrap_err().contains("unix:///dev/log"), "{bad}");
        }
    }

    #[test]
    fn names_can_be_folders() {
        assert!("siem-2_B".parse::<Receiver>().is_ok());
        for bad in ["", "..", "a/b", "a.b", "ä", "a b"] {
            assert!(bad.parse::<Receiver>().unwrap_err().contains("no name for a receiver"), "{bad}");
        }
        assert!("x".repeat(65).parse::<Receiver>().is_err());
    }

    #[test]
    fn headers_are_checked_and_their_values_not_repeated() {
        let check = |name: &str, value: &str| Headers(BTreeMap::from([(name.to_owned(), value.to_owned())])).check();
        assert_eq!(check("X-Scope", "tenant 1"), Ok(()));
        assert!(check("X Scope", "a").unwrap_err().contains("X Scope"));
        let error = check("X-Key", "hunter2\r\nHost: x").unwrap_err();
        assert!(error.contains("X-Key") && !error.contains("hunter2"), "{error}");
        assert!(check("Content-Length", "3").is_err());
    }
}
