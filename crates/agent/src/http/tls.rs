//! Which servers are believed over TLS.

use std::{io, path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

use crate::files;

/// Bytes of the longest `ca_file`.
const MAX_BYTES: u64 = 16 << 20;

/// Connects to servers that a certificate in the file vouches for; without one, a certificate that the system trusts.
pub(crate) fn connector(ca_file: Option<&Path>) -> io::Result<TlsConnector> {
    let certificates = match ca_file {
        Some(path) => certificates(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?,
        None => of_system()?,
    };
    let mut roots = RootCertStore::empty();
    // Systems trust some certificates that rustls cannot make sense of.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        let place = ca_file.map_or_else(|| "the system's".to_owned(), |path| path.display().to_string());
        return Err(io::Error::other(format!("{place}: it holds no certificate that can be used")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificates in a file.
///
/// # Errors
/// The system's, or that there are none.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = files::read(path, MAX_BYTES)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if certificates.is_empty() {
        return Err(io::Error::other("it holds no certificate in PEM"));
    }
    Ok(certificates)
}

/// From where the distribution keeps them, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say.
fn of_system() -> io::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        let none = "no certificates that the system trusts are found";
        let text = format!("{none}{why}: install ca-certificates, or name a ca_file");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(found.certs)
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
