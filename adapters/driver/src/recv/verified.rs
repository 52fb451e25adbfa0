//! A body that is checked against the digest that its introduction names (spec R-PIPE-25).

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::RecvHalf;
use crate::error::StreamError;

/// A stream whose end is only given if the BLAKE3 digest of the whole body is the one that its
/// introduction names. What is given before is unverified.
pub struct Verified {
    half: RecvHalf,
    expected: [u8; 32],
    hasher: blake3::Hasher,
    end: Option<Result<(), StreamError>>,
}

impl RecvHalf {
    /// Has the body verified while it is read.
    ///
    /// # Errors
    /// Gives the half back if it cannot be verified: its introduction names no digest, or it does
    /// not stand at the beginning of the body.
    pub fn verified(self) -> Result<Verified, Box<Self>> {
        let untouched = self.reader.as_ref().is_some_and(|reader| reader.position() == 0);
        let digest = self.info().filter(|info| info.start == 0).and_then(|info| info.digest);
        match digest.filter(|_| untouched && self.collected.is_empty()) {
            Some(expected) => {
                let hasher = blake3::Hasher::new();
                Ok(Verified { half: self, expected, hasher, end: None })
            }
            None => Err(Box::new(self)),
        }
    }
}

impl Verified {
    /// The stream.
    pub fn half(&self) -> &RecvHalf {
        &self.half
    }

    /// The next bytes in order, at most `max` of them and never none; `None` behind the end, if the
    /// digest was right.
    ///
    /// # Errors
    /// [`StreamError::VerificationFailed`] in place of the end, with both digests; else how the
    /// stream ended, with the bytes that came before.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        if let Some(end) = &self.end {
            return Poll::Ready(end.clone().map(|()| None));
        }
        let end = match ready!(self.half.poll_chunk(cx, max)) {
            Ok(Some(bytes)) => {
                self.hasher.update(&bytes);
                return Poll::Ready(Ok(Some(bytes)));
            }
            Ok(None) => self.verdict(),
            Err(error) => {
                let total = self.half.info().and_then(|info| info.size);
                Err(StreamError::from(error).counted(self.hasher.count(), total))
            }
        };
        self.end = Some(end.clone());
        Poll::Ready(end.map(|()| None))
    }

    fn verdict(&self) -> Result<(), StreamError> {
        let actual = self.hasher.finalize();
        if actual == self.expected {
            return Ok(());
        }
        self.half.shared.found_damaged();
        let (expected, actual) = (Some(self.expected), Some(*actual.as_bytes()));
        Err(StreamError::VerificationFailed { expected, actual, hop: None })
    }
}

impl std::fmt::Debug for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Verified").field(&self.half).finish()
    }
}
