//! Serves connections, none of which a client can hold for nothing: heads and bodies of requests have a time, and who waits
//! makes room for others.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::connections::{Activity, Connections, Limits, Peer, Place};

/// How long to wait where the system has no descriptor or memory for another connection.
const EXHAUSTED: Duration = Duration::from_secs(1);
/// How often the log says that connections are refused.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where connections come from.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// A connection that is not greeted yet.
struct Accepted {
    stream: Box<dyn Stream>,
    peer: Peer,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(listener, _) => listener.local_addr().ok(),
        }
    }

    async fn accept(&self) -> Accepted {
        loop {
            match self.try_accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!("a connection cannot be accepted: {error}");
                    sleep(EXHAUSTED).await;
                }
            }
        }
    }

    async fn try_accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                Ok(Accepted { stream: Box::new(stream), peer: Peer::User(user), tls: None })
            }
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted { stream: Box::new(stream), peer: Peer::at(address.ip()), tls: tls.clone() })
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected)
}

/// Serves until `stopped` has no sender any more, and then answers what is under way.
pub(super) async fn serve(listener: Listener, routes: Router, limits: Limits, mut stopped: watch::Receiver<()>) {
    let connections = Connections::new(limits);
    let mut tasks = JoinSet::new();
    let mut warned: Option<Instant> = None;
    loop {
        let Accepted { stream, peer, tls } = tokio::select! {
            accepted = listener.accept() => accepted,
            // Nothing is ever sent: the change waited for is that the sender is dropped.
            _ = stopped.changed() => break,
            Some(_) = tasks.join_next() => continue,
        };
        if let Some(place) = connections.admit(peer) {
            tasks.spawn(greet(stream, tls, place, routes.clone(), limits, stopped.clone()));
        } else if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            warned = Some(Instant::now());
            tracing::warn!("too many requests are under way: connections to the API or the metrics are refused");
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Serves a connection once its client has shown what TLS asks for, which is given as long as the head of a request.
async fn greet(
    stream: Box<dyn Stream>,
    tls: Option<TlsAcceptor>,
    place: Place,
    routes: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let Some(tls) = tls else { return serve_one(stream, place, routes, limits, stopped).await };
    let secured = tokio::select! {
        secured = timeout(limits.head, tls.accept(stream)) => secured,
        () = place.activity.given_up() => return,
        _ = stopped.changed() => return,
    };
    match secured {
        Ok(Ok(stream)) => serve_one(Box::new(stream), place, routes, limits, stopped).await,
        Ok(Err(error)) => tracing::debug!("a client was refused: {error}"),
        Err(_) => {}
    }
}

async fn serve_one(
    stream: Box<dyn Stream>,
    place: Place,
    routes: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let activity = &place.activity;
    let answer = service_fn(|request: Request<Incoming>| answer(&routes, request, Arc::clone(activity), limits.body));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    // How a connection ends is its client's business.
    tokio::select! {
        _ = &mut connection => {}
        () = activity.given_up() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            _ = connection.await;
        }
    }
}

async fn answer(
    routes: &Router,
    request: Request<Incoming>,
    activity: Arc<Activity>,
    time: Duration,
) -> Result<Response<Sent>, Infallible> {
    activity.busy();
    let received = |body| Received { body, activity: Arc::clone(&activity), deadline: Box::pin(sleep(time)) };
    let request = request.map(|body| Body::new(received(body)));
    let response = routes.clone().oneshot(request).await?;
    Ok(response.map(|body| Sent { body, activity }))
}

/// The body of a request, which has to come in time.
struct Received {
    body: Incoming,
    activity: Arc<Activity>,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.activity.busy();
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the body of the request took too long");
            return Poll::Ready(Some(Err(late)));
        }
        self.activity.blocked();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. It is asked for more only once the client has taken what was there before.
struct Sent {
    body: Body,
    activity: Arc<Activity>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.busy();
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(_))) {
            self.activity.blocked();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.activity.idle();
    }
}
