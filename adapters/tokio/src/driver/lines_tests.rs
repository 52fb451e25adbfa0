//! What becomes of bytes for a socket whose other end is gone.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::*;

/// A process that does not ignore SIGPIPE must not die of a peer that closes. Here the signal is
/// listened to instead.
#[tokio::test]
async fn a_write_to_who_is_gone_raises_no_signal() {
    let mut raised = signal(SignalKind::pipe()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    drop(listener.accept().unwrap());
    let (mut lines, id) = (Lines::new(None).unwrap(), CarrierId(1));
    lines.adopt(id, socket).unwrap();
    for last in [false, true] {
        let mut broken = 0;
        for _ in 0..100 {
            let wrote =
                if last { lines.write_last(id, b"hello") } else { lines.write(id, b"hello") };
            broken +=
                u32::from(wrote.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe));
            if broken > 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(broken > 1, "the system says that nobody is there");
    }
    assert!(timeout(Duration::from_millis(200), raised.recv()).await.is_err(), "a signal");
}
