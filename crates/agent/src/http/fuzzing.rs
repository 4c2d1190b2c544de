//! The client against a server that is only bytes.

use std::sync::LazyLock;

use http_body_util::Full;
use hyper::{Request, body::Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    runtime::{Builder, Runtime},
};

use super::{Connection, HttpError, Lines, Response};

/// What the client read.
pub struct Read {
    /// The body, where it took the answer.
    pub body: Option<Bytes>,
    /// The answer's lines, up to its end or what is wrong with it.
    pub lines: Vec<Vec<u8>>,
}

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().ok());

pub(crate) fn read_any(answer: &[u8], piece: usize, most: usize) -> Read {
    let nothing = Read { body: None, lines: Vec::new() };
    let Some(runtime) = &*RUNTIME else { return nothing };
    runtime.block_on(async {
        let body = whole(serve(answer, piece), most).await.ok().map(|response| response.body);
        let mut read = Read { body, lines: Vec::new() };
        _ = lines(serve(answer, piece), &mut read.lines).await;
        read
    })
}

/// A server that gives these bytes and ends.
fn serve(answer: &[u8], piece: usize) -> DuplexStream {
    let (client, server) = duplex(piece);
    let answer = answer.to_vec();
    tokio::spawn(async move {
        let (mut requests, mut answers) = split(server);
        // A client that was asked nothing takes no answer.
        _ = requests.read(&mut [0; 1]).await;
        // The client may be slow to read only because it is still writing.
        let drain = async {
            let mut sink = [0; 256];
            while requests.read(&mut sink).await.is_ok_and(|n| n > 0) {}
        };
        let give = async {
            _ = answers.write_all(&answer).await;
            _ = answers.shutdown().await;
        };
        tokio::join!(drain, give);
    });
    client
}

fn request() -> Request<Full<Bytes>> {
    Request::new(Full::new(Bytes::new()))
}

async fn whole(stream: DuplexStream, most: usize) -> Result<Response, HttpError> {
    Connection::over(stream).await?.ask(request(), most).await
}

async fn lines(stream: DuplexStream, into: &mut Vec<Vec<u8>>) -> Result<(), HttpError> {
    let mut connection = Connection::over(stream).await?;
    let body = connection.begin(request()).await?.into_body();
    let mut lines = Lines::new(connection, body);
    while let Some(line) = lines.next().await? {
        into.push(line);
    }
    Ok(())
}
