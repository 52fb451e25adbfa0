//! One certificate for those who need one, made anew for each run.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) const NAME: &str = "localhost";

static MADE: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    (made.cert.der().clone(), made.signing_key.serialize_der())
});

/// A TLS 1.3 server that does not ask for the client's certificate and resumes nothing.
pub(crate) fn server(protocol: &[u8]) -> ServerConfig {
    let (cert, key) = &*MADE;
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
    roots.add(MADE.0.clone()).expect("a root");
    let config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let mut config = config.with_root_certificates(Arc::new(roots)).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config
}
