//! A receiver over HTTP that can be killed, and says what the test wants.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

/// A request that was answered with success.
#[derive(Debug, Clone)]
pub(in crate::sink) struct Taken {
    pub(in crate::sink) head: String,
    pub(in crate::sink) body: Vec<u8>,
}

type Answers = Box<dyn FnMut(usize) -> String + Send>;

/// The receiver. Dropping it kills it.
pub(in crate::sink) struct Web {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

struct State {
    alive: bool,
    requests: usize,
    taken: Vec<Taken>,
    answers: Answers,
    connections: Vec<TcpStream>,
}

pub(in crate::sink) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

impl Web {
    /// Takes everything.
    pub(in crate::sink) fn start() -> Self {
        Self::answering(|_| OK.to_owned())
    }

    /// Answers the requests, counted from 0, with these texts; an empty one is no answer, ever.
    pub(in crate::sink) fn answering(answers: impl FnMut(usize) -> String + Send + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), Box::new(answers))
    }

    /// The same receiver comes back after it was killed.
    pub(in crate::sink) fn back_at(address: SocketAddr) -> Self {
        Self::at(address, Box::new(|_| OK.to_owned()))
    }

    fn at(address: SocketAddr, answers: Answers) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = State { alive: true, requests: 0, taken: Vec::new(), answers, connections: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || {
            while shared.lock().unwrap().alive {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                shared.lock().unwrap().connections.push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state, accepting: Some(accepting) }
    }

    pub(in crate::sink) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::sink) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    pub(in crate::sink) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(in crate::sink) fn bodies(&self) -> Vec<Vec<u8>> {
        self.taken().into_iter().map(|t| t.body).collect()
    }

    pub(in crate::sink) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    /// As `kill -9` does. Gives what it had taken.
    pub(in crate::sink) fn kill(mut self) -> Vec<Taken> {
        self.end();
        self.taken()
    }

    fn end(&mut self) {
        {
            let mut state = self.state.lock().unwrap();
            state.alive = false;
            state.connections.drain(..).for_each(|c| drop(c.shutdown(Shutdown::Both)));
        }
        self.accepting.take().map(JoinHandle::join);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(&stream);
    while let Some((head, body)) = request(&mut reader) {
        // What was taken is answered, whenever it is killed.
        let mut state = state.lock().unwrap();
        if !state.alive {
            return;
        }
        let request = state.requests;
        state.requests += 1;
        let answer = (state.answers)(request);
        if answer.starts_with("HTTP/1.1 2") {
            state.taken.push(Taken { head, body });
        }
        let _ = (&stream).write_all(answer.as_bytes());
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
