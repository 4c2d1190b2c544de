//! A runtime's socket that can be taken away and brought back, as by a restart of the runtime.

use std::{
    fs, io,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A socket that passes everything on to another one, until it is dropped: then its connections break and it is gone.
pub(crate) struct Proxy {
    socket: PathBuf,
    ended: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<UnixStream>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(socket: &Path, target: &'static str) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let (ended, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_ended, opened) = (Arc::clone(&ended), Arc::clone(&open));
        let acceptor = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = UnixStream::connect(target) else { continue };
                opened.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
                pass_on(server, client);
            }
        });
        Self { socket: socket.to_owned(), ended, open, acceptor: Some(acceptor) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        _ = UnixStream::connect(&self.socket);
        _ = self.acceptor.take().map(JoinHandle::join);
        _ = fs::remove_file(&self.socket);
        for stream in self.open.lock().unwrap().drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream) {
    thread::spawn(move || {
        _ = io::copy(&mut from, &mut to);
        _ = to.shutdown(Shutdown::Both);
    });
}
