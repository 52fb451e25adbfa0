//! Where the bytes of a message come from: objects that need not exist serialised as a whole.

use std::io::{self, Read};
use std::task::{Context, Poll};

use bytes::Bytes;

/// Gives the bytes of an object piece by piece, each when it is asked for and not before.
pub trait ChunkSource: Send {
    /// The next piece; `None` behind the last. An empty piece is nothing and may come.
    ///
    /// # Errors
    /// Whatever keeps the source from going on; the message is given up.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>>;
}

/// An object that can be sent while it is being serialised.
pub trait StreamingSerialize {
    /// What makes its bytes.
    type Source: ChunkSource + Unpin;

    /// How many bytes there will be, exactly, and what makes them.
    fn start_serialize(self) -> (u64, Self::Source);

    /// BLAKE3 of all bytes, if it is known before they are made. Else it follows them.
    fn digest(&self) -> Option<[u8; 32]> {
        None
    }
}

/// Bytes that are there already.
#[derive(Debug)]
pub struct Whole(Option<Bytes>);

impl ChunkSource for Whole {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        Poll::Ready(Ok(self.0.take()))
    }
}

impl StreamingSerialize for Bytes {
    type Source = Whole;

    fn start_serialize(self) -> (u64, Whole) {
        (self.len() as u64, Whole(Some(self)))
    }
}

impl StreamingSerialize for Vec<u8> {
    type Source = Whole;

    fn start_serialize(self) -> (u64, Whole) {
        Bytes::from(self).start_serialize()
    }
}

impl StreamingSerialize for &'static [u8] {
    type Source = Whole;

    fn start_serialize(self) -> (u64, Whole) {
        Bytes::from_static(self).start_serialize()
    }
}

/// Chunks of an iterator, with the number of bytes that they have together.
#[derive(Clone, Debug)]
pub struct Chunks<I> {
    total: u64,
    chunks: I,
}

impl<I> Chunks<I> {
    /// All chunks of `chunks`, `total` bytes together. The iterator is asked for the next one when
    /// there is room for it.
    pub fn new(total: u64, chunks: impl IntoIterator<IntoIter = I>) -> Self {
        Self { total, chunks: chunks.into_iter() }
    }
}

impl<I> ChunkSource for Chunks<I>
where
    I: Iterator<Item: Into<Bytes>> + Send,
{
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        Poll::Ready(Ok(self.chunks.next().map(Into::into)))
    }
}

impl<I> StreamingSerialize for Chunks<I>
where
    I: Iterator<Item: Into<Bytes>> + Send + Unpin,
{
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (self.total, self)
    }
}

/// What a blocking [`Read`] gives, with the number of bytes that it has. It is read on the thread
/// that sends: meant for memory and fast files.
#[derive(Debug)]
pub struct Reading<R> {
    total: u64,
    reader: R,
    buf: Box<[u8]>,
}

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

impl<R: Read> Reading<R> {
    /// Everything that `reader` has, `total` bytes.
    pub fn new(total: u64, reader: R) -> Self {
        Self { total, reader, buf: vec![0; PIECE].into() }
    }
}

impl<R: Read + Send> ChunkSource for Reading<R> {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match self.reader.read(&mut self.buf) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(len) => {
                    let piece = self.buf.get(..len).unwrap_or_default();
                    return Poll::Ready(Ok(Some(Bytes::copy_from_slice(piece))));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<R: Read + Send + Unpin> StreamingSerialize for Reading<R> {
    type Source = Self;

    fn start_serialize(self) -> (u64, Self) {
        (self.total, self)
    }
}
