//! The API, asked with curl: what a user would do.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// Where the API listens.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) socket: PathBuf,
}

impl Http {
    /// Status and body as JSON (or as a text, where it is none); nothing if nobody answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let mut curl = self.curl();
        curl.args(["--request", method, "--write-out", "\n%{http_code}"]);
        if let Some(body) = body {
            curl.args(["--header", "content-type: application/json", "--data", &body.to_string()]);
        }
        let Output { status, stdout, .. } = curl.arg(format!("http://ethogram{path}")).output().unwrap();
        if !status.success() {
            return None;
        }
        let text = String::from_utf8(stdout).unwrap();
        let (body, code) = text.rsplit_once('\n').unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        Some((code.parse().unwrap(), body))
    }

    /// What GET gives, which must succeed.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.expect("GET", path, None, 200)
    }

    /// What a request gives, which must have that status.
    pub(crate) fn expect(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let (got, body) = self.ask(method, path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"));
        assert_eq!(got, status, "{method} {path}: {body}");
        body
    }

    /// A curl that speaks to the socket.
    pub(crate) fn curl(&self) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"]).arg(&self.socket);
        curl
    }
}
