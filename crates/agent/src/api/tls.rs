//! Who the server is over TCP, and which clients it takes.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{PrivateKeyDer, pem::PemObject},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use crate::{config, files, http::certificates};

/// Bytes of the longest key.
const MAX_KEY: u64 = 64 << 10;

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} for TLS: {source}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Accepts clients as the configuration says.
pub(super) fn acceptor(tls: &config::Tls) -> Result<TlsAcceptor, TlsError> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError { path, source }
    };
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&tls.certificate).map_err(of(&tls.certificate))?;
    let key = key(&tls.key).map_err(of(&tls.key))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| of(&tls.certificate)(io::Error::other(e)))?;
    let builder = match &tls.client_ca {
        Some(path) => builder.with_client_cert_verifier(vouched_for(path, provider).map_err(of(path))?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|e| of(&tls.certificate)(io::Error::other(e)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other("others can read it: give it mode 0600"));
    }
    let pem = files::read_from(file, MAX_KEY)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| io::Error::other("it holds no private key in PEM"))
}

/// Takes clients with a certificate that one in the file vouches for.
fn vouched_for(path: &Path, provider: Arc<CryptoProvider>) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(io::Error::other)
}
