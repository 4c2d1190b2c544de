//! Where the API is served: a unix socket for its owner alone, TCP with a token, and the metrics on their own port.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::middleware;
use tokio::{
    net::{TcpListener, UnixListener, UnixSocket},
    sync::watch,
    task::JoinSet,
};

use super::{
    Backend,
    connections::Limits,
    metrics_router, router,
    serve::{Listener, serve},
    tls::{self, TlsError},
    token,
};
use crate::config;

/// Connections that may wait to be accepted on the socket.
const BACKLOG: u32 = 64;
/// How long answers that are under way may take once the server stops.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another server answers there.
    #[error("another server answers on {}: stop that one, or set another socket in [api]", .0.display())]
    SocketInUse(PathBuf),
    /// There is something else.
    #[error("{} is there and is no socket: remove it, or set another socket in [api]", .0.display())]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}: free it, or set another listen in [{section}]")]
    Port {
        /// Address and port.
        address: SocketAddr,
        /// The section of the configuration.
        section: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token cannot be read.
    #[error("cannot use the token file {}: {source}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All places that listen, none of which is served yet.
pub struct Listeners {
    unix: Listener,
    socket: SocketFile,
    tcp: Option<(Listener, Arc<str>)>,
    metrics: Option<Listener>,
    limits: Limits,
}

impl Listeners {
    /// Takes all places that the configuration asks for, or none.
    ///
    /// # Errors
    /// If one of them cannot be had: which, why, and what to do.
    pub async fn bind(api: &config::Api, metrics: &config::Metrics) -> Result<Self, ListenError> {
        let tcp = match (api.listen, &api.token_file) {
            (Some(address), Some(path)) => {
                let token = token::read(path).map_err(|source| ListenError::Token { path: path.clone(), source })?;
                Some((port(address, "api", api.tls.as_ref()).await?, token))
            }
            _ => None,
        };
        if metrics.are_exposed() {
            tracing::warn!(
                "anyone on the network can read the metrics: set [metrics.tls], or insecure = true in [metrics]; without \
                 either, the next version refuses to listen there"
            );
        }
        let metrics = match metrics.listen {
            Some(address) => Some(port(address, "metrics", metrics.tls.as_ref()).await?),
            None => None,
        };
        let (unix, socket) = unix(&api.socket)?;
        Ok(Self { unix: Listener::Unix(unix), socket, tcp, metrics, limits: Limits::DEFAULT })
    }

    #[cfg(test)]
    pub(super) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where the metrics are served; the port is the real one where the configuration says 0.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(Listener::local_addr)
    }

    /// Where the API is served over TCP.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr())
    }

    /// Serves them, until the server that this gives is stopped.
    pub fn serve<B: Backend>(self, backend: &Arc<B>) -> Server {
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        let api = router(Arc::clone(backend));
        tasks.spawn(serve(self.unix, api.clone(), self.limits, stopped.clone()));
        if let Some((listener, token)) = self.tcp {
            let guarded = api.layer(middleware::from_fn_with_state(token, token::require));
            tasks.spawn(serve(listener, guarded, self.limits, stopped.clone()));
        }
        if let Some(listener) = self.metrics {
            tasks.spawn(serve(listener, metrics_router(Arc::clone(backend)), self.limits, stopped));
        }
        Server { tasks, stop, _socket: self.socket }
    }
}

/// The API while it is served.
pub struct Server {
    tasks: JoinSet<()>,
    stop: watch::Sender<()>,
    _socket: SocketFile,
}

impl Server {
    /// Takes no more requests, gives those under way a moment, and removes the socket.
    pub async fn stop(mut self) {
        drop(self.stop);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Streams would go on for ever.
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
        self.tasks.shutdown().await;
    }
}

async fn port(address: SocketAddr, section: &'static str, tls: Option<&config::Tls>) -> Result<Listener, ListenError> {
    let tls = tls.map(tls::acceptor).transpose()?;
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|source| ListenError::Port { address, section, source })?;
    Ok(Listener::Tcp(listener, tls))
}

/// Listens on a socket that only its owner can use, in the place of one that a dead server left over.
fn unix(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |source| ListenError::Socket { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NoSocket(path.to_owned())),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(ListenError::SocketInUse(path.to_owned())),
        _ => {}
    }
    // It listens only once it has its mode, and is moved to its place only once it listens: no other user ever gets in,
    // and no client finds it dead.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(&new).map_err(failed)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600)).map_err(failed)?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    let inode = fs::symlink_metadata(&new).map_err(failed)?.ino();
    fs::rename(&new, path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

/// Removes the socket in the end, if it is still ours.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            // If it cannot be removed, the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
