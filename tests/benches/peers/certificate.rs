//! One certificate for those who need one, made anew for each run.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) const NAME: &str = "localhost";

static MADE: OnceLock<Pair> = OnceLock::new();

/// A certificate, and its key as PKCS #8.
type Pair = (CertificateDer<'static>, Vec<u8>);

fn pair() -> &'static Pair {
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        (made.cert.der().clone(), made.signing_key.serialize_der())
    })
}

/// Gives it to another process of this run.
pub(crate) fn hand_over(to: &mut impl Write) {
    let (cert, key) = pair();
    for part in [&cert[..], key] {
        to.write_all(&(part.len() as u32).to_be_bytes()).expect("it listens");
        to.write_all(part).expect("it listens");
    }
    to.flush().expect("it listens");
}

/// Takes it from the process that began this one.
pub(crate) fn take_over(from: &mut impl Read) {
    let mut part = || {
        let mut len = [0; 4];
        from.read_exact(&mut len).expect("a length");
        let mut part = vec![0; u32::from_be_bytes(len) as usize];
        from.read_exact(&mut part).expect("all of it");
        part
    };
    let (cert, key) = (part(), part());
    assert!(MADE.set((cert.into(), key)).is_ok(), "one was made here before");
}

/// A TLS 1.3 server that does not ask for the client's certificate and resumes nothing.
pub(crate) fn server(protocol: &[u8]) -> ServerConfig {
    let (cert, key) = pair();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone()));
    let config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.with_no_client_auth().with_single_cert(vec![cert.clone()], key);
    let mut config = config.expect("a server");
    config.alpn_protocols = vec![protocol.to_vec()];
    config.send_tls13_tickets = 0;
    config
}

/// A client that trusts that server alone.
pub(crate) fn client(protocol: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(pair().0.clone()).expect("a root");
    let config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let mut config = config.with_root_certificates(Arc::new(roots)).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config
}
