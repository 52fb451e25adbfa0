//! The guard: no panic passes it.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::node::Node;
use crate::status::{Failure, Status};

/// What a caller's opaque pointer points to.
pub struct Handle {
    node: Node,
    /// Why the last call failed.
    error: CString,
    /// A call panicked: what the node holds may be half done, and nobody looks at it again but for
    /// its tape.
    panicked: bool,
}

impl Handle {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, error: CString::default(), panicked: false }
    }

    /// Why the last call failed; empty if it did not.
    pub(crate) fn error(&self) -> &CString {
        &self.error
    }

    /// Calls the node. A panic is a status, for this call and for every later one.
    ///
    /// Compiled for WebAssembly nothing unwinds: there a panic is a trap of the module, which the
    /// host sees as an exception, and the module is to be thrown away.
    pub(crate) fn call(
        &mut self,
        work: impl FnOnce(&mut Node) -> Result<Status, Failure>,
    ) -> Status {
        if self.panicked {
            return Status::Panicked;
        }
        self.rescue(work)
    }

    /// The same, after a panic too: for what was written down before it, and for nothing else.
    pub(crate) fn rescue(
        &mut self,
        work: impl FnOnce(&mut Node) -> Result<Status, Failure>,
    ) -> Status {
        // Who is inside sees the node again only if it did not panic: nothing half done is seen.
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut self.node)));
        let (status, words) = match done {
            Ok(Ok(status)) => (status, String::new()),
            Ok(Err(Failure { status, words })) => (status, words),
            Err(payload) => {
                // A payload may panic when it is dropped.
                std::mem::forget(payload);
                self.panicked = true;
                (Status::Panicked, "the library panicked; free the handle".to_owned())
            }
        };
        self.error = CString::new(words.replace('\0', " ")).unwrap_or_default();
        status
    }
}

/// Does something that has no handle to fail by. `None` if it panicked.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(payload) => {
            std::mem::forget(payload);
            None
        }
    }
}
