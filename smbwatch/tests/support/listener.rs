//! A server inside the lab, by TCP or TLS, that is gone with every connection when dropped.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::agent::PATIENCE;
use super::lab::{End, Lab};

pub trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// A connection, as hyper wants it.
pub type Stream = TokioIo<Box<dyn Bytes>>;

/// The certificate of a server called `localhost`, which is its own authority.
pub struct Identity {
    /// The certificate's file, for those who shall trust it.
    pub ca: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
    config: ServerConfig,
}

impl Identity {
    pub fn make(folder: &Path, protocol: &[u8]) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let ca = folder.join("ca.pem");
        fs::write(&ca, cert.pem()).expect("write the certificate");
        let path = folder.join("key.pem");
        fs::write(&path, signing_key.serialize_pem()).expect("write the key");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("a configuration").with_no_client_auth();
        let mut config = builder.with_single_cert(vec![cert.der().clone()], key).expect("a configuration");
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { ca, key: path, config }
    }

    /// Speaks only to those who show the certificate of `client`.
    pub fn ask_for(mut self, client: &Self) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(&client.ca).expect("read the certificate");
        roots.add(certificate).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().expect("a verifier");
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("a configuration").with_client_cert_verifier(verifier);
        self.config = builder.with_cert_resolver(Arc::clone(&self.config.cert_resolver));
        self
    }
}

/// Gone, with every connection, when dropped.
pub struct Listener {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on the loopback interface of the lab's host, and hands each connection to `serve`, which spawns.
    pub fn start(
        lab: &Lab,
        port: u16,
        identity: Option<&Identity>,
        serve: impl Fn(Stream) + Send + 'static,
    ) -> Self {
        let tls = identity.map(|identity| TlsAcceptor::from(Arc::new(identity.config.clone())));
        let (stop, stopped) = oneshot::channel();
        // The thread is in the lab too.
        let thread = lab.inside(End::Host, || {
            let listener = listen(port);
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    tokio::select! {
                        () = accept(listener, tls, serve) => {}
                        _ = stopped => {}
                    }
                });
            })
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test's assertion about a request fails there.
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server has panicked");
        }
    }
}

fn listen(port: u16) -> std::net::TcpListener {
    let listen = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
        socket.listen(16)?;
        socket.set_nonblocking(true)?;
        io::Result::Ok(std::net::TcpListener::from(socket))
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listen() {
            // A process that another test is about to start has, for a moment, what was open here.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            listener => break listener.expect("listen"),
        }
    }
}

async fn accept(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, serve: impl Fn(Stream)) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let stream: Box<dyn Bytes> = match &tls {
            // Who does not trust the certificate goes away.
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => Box::new(stream),
                Err(_) => continue,
            },
            None => Box::new(stream),
        };
        serve(TokioIo::new(stream));
    }
}
