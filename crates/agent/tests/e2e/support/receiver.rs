//! A receiver of JSON over HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// Takes everything, one request a connection, as long as the test runs.
pub(crate) struct Receiver(Arc<Mutex<Vec<Value>>>);

impl Receiver {
    pub(crate) fn listen(port: u16) -> Self {
        Self::answering(port, |_| "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned())
    }

    /// One that answers each with what is made of it.
    pub(crate) fn answering(port: u16, answer: impl Fn(&Value) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let taken = Arc::<Mutex<Vec<Value>>>::default();
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Some(json) = take(&stream) {
                    let answer = answer(&json);
                    shared.lock().unwrap().push(json);
                    // Who asked may not have waited for it.
                    _ = (&stream).write_all(answer.as_bytes());
                }
            }
        });
        Self(taken)
    }

    pub(crate) fn taken(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}

fn take(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim() {
            "" => break,
            header => length = header.strip_prefix("content-length: ").map_or(length, |l| l.parse().unwrap()),
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
