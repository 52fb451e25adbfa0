//! Aqueduct for tokio: encrypted streams, messages and datagrams between peers
