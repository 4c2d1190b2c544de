//! Messages to a syslog server. None of its transports says whether a message arrived: what is written counts as delivered.

use std::{
    io::{self, Write},
    net::{TcpStream, ToSocketAddrs, UdpSocket},
    os::{
        fd::AsFd,
        unix::net::{UnixDatagram, UnixStream},
    },
    path::Path,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use super::queue::{Delivery, Receiver};
use crate::config::SyslogAddress;

/// How long connecting, and writing, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A syslog server, connected to when there is something to say.
pub(super) struct SyslogServer {
    address: SyslogAddress,
    socket: Option<Socket>,
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Datagram(UnixDatagram),
    Stream(UnixStream),
}

impl SyslogServer {
    pub(super) fn new(address: SyslogAddress) -> Self {
        Self { address, socket: None }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut socket = match self.socket.take().filter(Socket::is_open) {
            Some(socket) => socket,
            None => Socket::connect(&self.address)?,
        };
        socket.send(message)?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Receiver for SyslogServer {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        match self.send(alert) {
            Ok(()) => Delivery::Delivered,
            Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => {
                Delivery::Refused(format!("{}: {error}", self.address))
            }
            Err(error) => Delivery::failed(format!("{}: {error}", self.address)),
        }
    }
}

impl Socket {
    fn connect(to: &SyslogAddress) -> io::Result<Self> {
        match to {
            SyslogAddress::Udp(to) => first_of(to, |address| {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_write_timeout(Some(TIMEOUT))?;
                Ok(Self::Udp(socket))
            }),
            SyslogAddress::Tcp(to) => first_of(to, |address| {
                let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }),
            SyslogAddress::Unix(path) => Self::connect_unix(path),
        }
    }

    /// Most services take datagrams, some a stream.
    fn connect_unix(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            Ok(()) => {
                socket.set_write_timeout(Some(TIMEOUT))?;
                Ok(Self::Datagram(socket))
            }
            Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                Ok(Self::Stream(stream))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the other side of a stream is there, as far as is known: writing to one that has gone succeeds once.
    fn is_open(&self) -> bool {
        let peek = |fd| {
            let mut byte = [0_u8];
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            matches!(recv(fd, &mut byte, flags), Ok((1.., _)) | Err(Errno::AGAIN))
        };
        match self {
            Self::Tcp(stream) => peek(stream.as_fd()),
            Self::Stream(stream) => peek(stream.as_fd()),
            Self::Udp(_) | Self::Datagram(_) => true,
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(message).map(drop),
            Self::Datagram(socket) => socket.send(message).map(drop),
            // RFC 6587: the length comes first.
            Self::Tcp(stream) => stream.write_all(&[format!("{} ", message.len()).as_bytes(), message].concat()),
            Self::Stream(stream) => stream.write_all(&[message, b"\n"].concat()),
        }
    }
}

/// Tries all addresses of a host and port.
fn first_of<T>(to: &str, connect: impl Fn(std::net::SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in to.to_socket_addrs()? {
        match connect(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        net::TcpListener,
        os::unix::net::UnixListener,
    };

    use super::*;

    fn to(address: &str) -> SyslogServer {
        SyslogServer::new(address.parse().unwrap())
    }

    #[test]
    fn a_datagram_is_a_message() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut client = to(&format!("udp://{}", server.local_addr().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let unix = UnixDatagram::bind(&path).unwrap();
        let mut unix_client = to(&format!("unix://{}", path.display()));
        let mut buffer = [0; 100];
        for message in [&b"<1>1 one"[..], b"<1>1 two"] {
            assert_eq!(client.deliver(message), Delivery::Delivered);
            assert_eq!(unix_client.deliver(message), Delivery::Delivered);
            let n = server.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..n], message);
            let n = unix.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..n], message);
        }
        assert!(matches!(client.deliver(&[b'x'; 1 << 17]), Delivery::Refused(_)), "no datagram is that long");
        drop(unix);
        assert!(matches!(unix_client.deliver(b"three"), Delivery::Failed { .. }));
        std::fs::remove_file(&path).unwrap();
        let again = UnixDatagram::bind(&path).unwrap();
        assert_eq!(unix_client.deliver(b"three"), Delivery::Delivered);
        assert_eq!(again.recv(&mut buffer).unwrap(), 5);
    }

    #[test]
    fn a_stream_counts_octets_and_is_opened_again() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut client = to(&format!("tcp://{address}"));
        assert_eq!(client.deliver("<1>1 é".as_bytes()), Delivery::Delivered);
        assert_eq!(client.deliver(b"<1>1 b"), Delivery::Delivered);
        let (mut stream, _) = server.accept().unwrap();
        let mut got = [0; 17];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(&got, "7 <1>1 é6 <1>1 b".as_bytes());
        drop((stream, server));
        assert!(matches!(client.deliver(b"c"), Delivery::Failed { .. }), "who has gone is not written to");
        let server = TcpListener::bind(address).unwrap();
        assert_eq!(client.deliver(b"c"), Delivery::Delivered);
        drop(client);
        let mut rest = String::new();
        server.accept().unwrap().0.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "1 c");
    }

    #[test]
    fn a_local_stream_has_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let server = UnixListener::bind(&path).unwrap();
        let mut client = to(&format!("unix://{}", path.display()));
        assert_eq!(client.deliver(b"one"), Delivery::Delivered);
        assert_eq!(client.deliver(b"two"), Delivery::Delivered);
        let lines = BufReader::new(server.accept().unwrap().0).lines().take(2);
        assert_eq!(lines.map(Result::unwrap).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn who_is_not_there_is_named() {
        let Delivery::Failed { why, .. } = to("unix:///nonexistent/log").deliver(b"x") else {
            unreachable!("no attempt succeeds")
        };
        assert!(why.starts_with("unix:///nonexistent/log: No such file"), "{why}");
    }
}
