//! A link that loses, for tests and demonstrations: datagrams vanish at the system-call seam, so
//! that everything above it has to live with it.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use aqueduct_core::rng::{Rng, Seed};
use socket2::SockRef;

use crate::socket::{Outgoing, RecvBatch, SocketIo};

const MILLION: u64 = 1_000_000;

/// A [`SocketIo`] that does not send some of what it is given, and says that it did.
pub struct LossyIo<T> {
    inner: T,
    per_million: u64,
    rng: Mutex<Rng>,
}

impl<T: SocketIo> LossyIo<T> {
    /// `inner`, losing of a million datagrams so many, each by itself. Equal seeds lose equally.
    pub fn new(inner: T, per_million: u32, seed: u64) -> Self {
        let rng = Mutex::new(Rng::new(&Seed::from_u64(seed)));
        Self { inner, per_million: per_million.into(), rng }
    }

    /// The datagrams that get through.
    fn spared<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        datagrams.filter(|_| rng.below(MILLION) >= self.per_million).collect()
    }
}

impl<T: SocketIo> SocketIo for LossyIo<T> {
    fn recv(&self, socket: SockRef<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
        self.inner.recv(socket, batch)
    }

    fn send(&self, socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()> {
        let segment = outgoing.segment.unwrap_or(outgoing.bytes.len()).max(1);
        let spared = self.spared(outgoing.bytes.chunks(segment));
        if spared.is_empty() {
            return Ok(());
        }
        // All but the last are of one length still, whichever are missing.
        let bytes = spared.concat();
        let segment = (spared.len() > 1).then_some(segment);
        self.inner.send(socket, &Outgoing { segment, bytes: &bytes, ..*outgoing })
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn gro_segments(&self) -> usize {
        self.inner.gro_segments()
    }
}

impl<T: fmt::Debug> fmt::Debug for LossyIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, per_million, .. } = self;
        f.debug_struct("LossyIo").field("inner", inner).field("per_million", per_million).finish()
    }
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;
