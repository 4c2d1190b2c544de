//! `[api.tls]` and `[metrics.tls]`: how a server shows over TCP who it is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS for what listens on TCP. The files are read when the server starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tls {
    /// A file with the server's certificate in PEM, followed by those between it and its root.
    pub certificate: PathBuf,
    /// A file with the certificate's private key in PEM, which only its owner can read.
    pub key: PathBuf,
    /// A file with certificates in PEM: clients must have one that these vouch for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}
