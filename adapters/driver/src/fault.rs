//! A socket that fails when told to, for tests: the faults happen at the system-call seam, below
//! everything that has to survive them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::SockRef;

use crate::socket::{Outgoing, RecvBatch, SocketIo};

/// Which calls a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Sends of any size.
    Send,
    /// Sends of more than one datagram.
    SendBatch,
    /// Receives.
    Recv,
}

#[derive(Debug)]
struct Fault {
    call: Call,
    /// The system's number; `None`: the call panics.
    error: Option<i32>,
    left: u64,
}

/// The faults of one socket, shared between the test and the socket.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    planned: Arc<Mutex<Vec<Fault>>>,
}

impl Faults {
    /// None planned.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next `times` calls of kind `call` fail with the system's error number `error`.
    pub fn plan(&self, call: Call, error: i32, times: u64) {
        self.add(call, Some(error), times);
    }

    /// Makes every call of kind `call` panic from now on: the worst that can happen to a driver.
    pub fn plan_panics(&self, call: Call) {
        self.add(call, None, u64::MAX);
    }

    fn add(&self, call: Call, error: Option<i32>, left: u64) {
        if left > 0 {
            let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
            planned.push(Fault { call, error, left });
        }
    }

    /// Faults planned that have not struck.
    pub fn left(&self) -> u64 {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.iter().map(|fault| fault.left).sum()
    }

    /// Forgets all that is planned.
    pub fn clear(&self) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn strike(&self, calls: &[Call]) -> io::Result<()> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = planned.iter().position(|fault| calls.contains(&fault.call)) else {
            return Ok(());
        };
        let Some(fault) = planned.get_mut(at) else { return Ok(()) };
        let error = fault.error;
        fault.left = fault.left.saturating_sub(1);
        if fault.left == 0 {
            planned.remove(at);
        }
        drop(planned);
        #[expect(clippy::panic, reason = "a test has asked for it")]
        let Some(error) = error else { panic!("this panic is part of the test") };
        Err(io::Error::from_raw_os_error(error))
    }
}

/// A [`SocketIo`] with planned faults in front of a real one.
#[derive(Debug)]
pub struct FaultyIo<T> {
    inner: T,
    faults: Faults,
}

impl<T: SocketIo> FaultyIo<T> {
    /// `inner`, failing as `faults` says.
    pub fn new(inner: T, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl<T: SocketIo> SocketIo for FaultyIo<T> {
    fn recv(&self, socket: SockRef<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.clear();
        self.faults.strike(&[Call::Recv])?;
        self.inner.recv(socket, batch)
    }

    fn send(&self, socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()> {
        if outgoing.count() > 1 {
            self.faults.strike(&[Call::SendBatch, Call::Send])?;
        } else {
            self.faults.strike(&[Call::Send])?;
        }
        self.inner.send(socket, outgoing)
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn gro_segments(&self) -> usize {
        self.inner.gro_segments()
    }
}
