//! Whom to believe over TLS.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

/// Where distributions keep the certificates that the system trusts.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// No such file is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Connects to whom a certificate in the file vouches for; without one, in the system's.
pub(super) fn connector(ca_file: Option<&Path>) -> io::Result<TlsConnector> {
    let mut system = SYSTEM.iter().map(Path::new).filter(|p| p.exists());
    let none = "no certificates that the system trusts are found: install ca-certificates, or name a ca_file";
    let path = ca_file.or_else(|| system.next()).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, none))?;
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut pem = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_BYTES).read_to_end(&mut pem)).map_err(at)?;
    let mut roots = RootCertStore::empty();
    // Systems trust some certificates that rustls cannot make sense of.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(at(io::Error::other("it holds no certificate in PEM")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = |p: &Path| connector(Some(p)).err().unwrap().to_string();
        assert!(error(&path).contains("ca.pem: No such file"), "{}", error(&path));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n").unwrap();
        assert!(error(&path).contains("ca.pem: it holds no certificate"), "{}", error(&path));
    }
}
