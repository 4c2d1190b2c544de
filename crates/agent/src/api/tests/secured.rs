use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

use super::Fake;
use crate::{
    api::{Listeners, connections::Limits},
    config::{self, Tls},
};

type Key = CertifiedKey<rcgen::KeyPair>;

fn key() -> Key {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// The files of a server of that key, which takes clients of the other.
fn files(folder: &Path, server: &Key, client: Option<&Key>) -> Tls {
    let at = |name: &str| folder.join(name);
    fs::write(at("server.pem"), server.cert.pem()).unwrap();
    fs::write(at("server.key"), server.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(at("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let client_ca = client.map(|key| {
        fs::write(at("client.pem"), key.cert.pem()).unwrap();
        at("client.pem")
    });
    Tls { certificate: at("server.pem"), key: at("server.key"), client_ca }
}

fn metrics(tls: Option<Tls>) -> config::Metrics {
    config::Metrics { listen: "127.0.0.1:0".parse().ok(), tls, insecure: false }
}

fn api(folder: &Path) -> config::Api {
    config::Api { socket: folder.join("api.sock"), ..config::Api::default() }
}

/// GETs the metrics over TLS, believing `server`, as `client`.
async fn get(at: std::net::SocketAddr, server: &Key, client: Option<&Key>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(server.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match client {
        Some(key) => {
            let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
            config.with_client_auth_cert(vec![key.cert.der().clone()], secret).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let mut io = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(at).await?).await?;
    io.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    match io.read_to_end(&mut answer).await {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8(answer).unwrap()),
    }
}

#[tokio::test]
async fn over_tls_the_server_shows_who_it_is_and_so_do_clients_where_asked() {
    let (server, client, other) = (key(), key(), key());
    for takes in [None, Some(&client)] {
        let folder = tempfile::tempdir().unwrap();
        let tls = files(folder.path(), &server, takes);
        let listeners = Listeners::bind(&api(folder.path()), &metrics(Some(tls))).await.unwrap();
        let at = listeners.metrics_address().unwrap();
        let running = listeners.serve(&Arc::new(Fake::default()));
        let is_served = |answer: std::io::Result<String>| answer.is_ok_and(|text| text.starts_with("HTTP/1.1 200 OK"));
        assert!(is_served(get(at, &server, Some(&client)).await));
        assert_eq!(is_served(get(at, &server, None).await), takes.is_none());
        assert_eq!(is_served(get(at, &server, Some(&other)).await), takes.is_none());
        assert!(get(at, &other, Some(&client)).await.is_err(), "it is not the server that is believed");
        let mut clear = TcpStream::connect(at).await.unwrap();
        clear.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        _ = clear.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
        running.stop().await;
    }
}

#[tokio::test]
async fn who_does_not_greet_is_not_waited_for() {
    let (server, folder) = (key(), tempfile::tempdir().unwrap());
    let tls = files(folder.path(), &server, None);
    let listeners = Listeners::bind(&api(folder.path()), &metrics(Some(tls))).await.unwrap();
    let at = listeners.metrics_address().unwrap();
    let limits = Limits { head: Duration::from_millis(100), ..Limits::DEFAULT };
    let running = listeners.with_limits(limits).serve(&Arc::new(Fake::default()));
    let mut silent = TcpStream::connect(at).await.unwrap();
    let ended = timeout(Duration::from_secs(10), silent.read_u8()).await;
    assert!(ended.unwrap().is_err());
    assert!(get(at, &server, None).await.unwrap().starts_with("HTTP/1.1 200 OK"));
    running.stop().await;
}

#[tokio::test]
async fn files_that_do_not_do_are_named() {
    let (server, folder) = (key(), tempfile::tempdir().unwrap());
    let tls = files(folder.path(), &server, None);
    let refused = async |tls: &Tls| {
        let bound = Listeners::bind(&api(folder.path()), &metrics(Some(tls.clone()))).await;
        bound.err().unwrap().to_string()
    };
    fs::set_permissions(&tls.key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&tls).await;
    assert!(error.contains("server.key for TLS: others can read it"), "{error}");
    fs::set_permissions(&tls.key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&tls.key, "nothing").unwrap();
    let error = refused(&tls).await;
    assert!(error.contains("it holds no private key in PEM"), "{error}");
    fs::write(&tls.key, key().signing_key.serialize_pem()).unwrap();
    let error = refused(&tls).await;
    assert!(error.contains("server.pem for TLS"), "{error}");
    let nowhere = Tls { certificate: folder.path().join("none.pem"), ..tls };
    assert!(refused(&nowhere).await.contains("none.pem for TLS: No such file"));
}
