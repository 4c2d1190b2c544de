use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use hyper::header::HeaderValue;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::*;
use crate::sink::tests::{OK, Web};

fn client(url: &str) -> Client {
    Client::new(url, &config::Http::default()).unwrap().with_timeout(Duration::from_secs(5))
}

fn why(outcome: Delivery) -> String {
    match outcome {
        Delivery::Delivered => String::new(),
        Delivery::Refused(why) | Delivery::Failed { why, .. } => why,
    }
}

#[test]
fn a_connection_is_kept_and_made_anew_once_it_has_gone() {
    let web = Web::start();
    let address = web.address();
    let mut client = client(&web.url());
    for _ in 0..3 {
        assert_eq!(client.post(b"{}".to_vec()), Ok(Bytes::new()));
    }
    assert_eq!(web.kill().len(), 3);
    assert!(matches!(client.post(b"{}".to_vec()), Err(Delivery::Failed { .. })));
    let web = Web::back_at(address);
    assert_eq!(client.post(b"{}".to_vec()), Ok(Bytes::new()));
    // It is closed while it is not in use.
    web.kill();
    let web = Web::back_at(address);
    assert_eq!(client.post(b"{}".to_vec()), Ok(Bytes::new()));
    assert_eq!(web.requests(), 1);
}

#[test]
fn statuses_are_distinguished() {
    for (status, passes) in
        [(500, true), (503, true), (408, true), (429, true), (400, false), (401, false), (301, false)]
    {
        let web = Web::answering(move |_| format!("HTTP/1.1 {status} X\r\ncontent-length: 9\r\n\r\nw\u{1b}[2Jhy?\n"));
        let outcome = client(&web.url()).post(Vec::new()).unwrap_err();
        assert_eq!(matches!(outcome, Delivery::Failed { .. }), passes, "{status}");
        let why = why(outcome);
        assert!(why.contains(&status.to_string()) && why.contains("w\\u{1b}[2Jhy?"), "{why}");
        assert!(!why.contains("/in"), "a path may be a secret: {why}");
    }
}

#[test]
fn who_is_not_there_or_speaks_otherwise_is_a_failure() {
    let web = Web::start();
    let url = web.url();
    web.kill();
    let text = why(client(&url).post(Vec::new()).unwrap_err());
    assert!(text.contains("cannot connect: Connection refused"), "{text}");
    let web = Web::answering(|_| "SSH-2.0-OpenSSH_9.2\r\n".to_owned());
    let text = why(client(&web.url()).post(Vec::new()).unwrap_err());
    assert!(text.contains("not HTTP/1.1"), "{text}");
    let text = why(client("http://name.invalid/").post(Vec::new()).unwrap_err());
    assert!(text.contains("name.invalid:80: cannot connect"), "{text}");
    // More than is read: the status counts all the same.
    let web =
        Web::answering(|_| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", 1 << 20, " ".repeat(1 << 20)));
    assert_eq!(client(&web.url()).post(Vec::new()), Ok(Bytes::new()));
}

#[test]
fn a_receiver_says_when_to_come_again() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let after = |text: &str| {
        retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap())]), now)
    };
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after("Thu, 01 Jan 2026 00:01:00 GMT"), Some(Duration::from_secs(60)));
    for useless in ["Wed, 31 Dec 2025 00:01:00 GMT", "soon", "-1", ""] {
        assert_eq!(after(useless), None, "{useless}");
    }
}

/// A receiver over TLS that takes everything; gives its port.
fn secure_receiver(key: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![key.cert.der().clone()], secret).unwrap()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                        stream.write_all(OK.as_bytes()).await.unwrap();
                    }
                }
            }
        });
    });
    port
}

#[test]
fn a_certificate_is_believed_only_where_the_file_vouches_for_it() {
    let key = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = secure_receiver(&key);
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.pem"), folder.path().join("bad.pem"));
    fs::write(&good, key.cert.pem()).unwrap();
    fs::write(&bad, other.cert.pem()).unwrap();
    let post = |host: &str, ca_file: &Path| {
        let settings = config::Http {
            ca_file: Some(ca_file.to_owned()),
            headers: config::Headers(BTreeMap::new()),
            token_file: None,
        };
        let mut client = Client::new(&format!("https://{host}:{port}/"), &settings).unwrap();
        client.post(b"{}".to_vec()).map_err(why)
    };
    assert_eq!(post("localhost", &good), Ok(Bytes::new()));
    let error = post("localhost", &bad).unwrap_err();
    assert!(error.contains("no secure connection: invalid peer certificate"), "{error}");
    let error = post("127.0.0.1", &good).unwrap_err();
    assert!(error.contains("no secure connection"), "{error}");
}
