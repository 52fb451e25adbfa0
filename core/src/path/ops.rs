//! The deframer beside a reader that has the whole stream before it, for explorers.

use alloc::vec::Vec;

use arbitrary::Arbitrary;

use super::deframe::{DeframeError, Deframer, frame_header};
use crate::script;

/// What comes next on the byte stream.
#[derive(Arbitrary, Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A datagram of so many bytes, read in pieces of so many.
    Frame {
        /// Its bytes.
        len: u16,
        /// Bytes of a piece.
        cut: u16,
    },
    /// Any bytes, read in one piece.
    Bytes(Vec<u8>),
}

/// The longest datagram that is allowed, and what comes.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// Longest datagram.
    pub limit: u16,
    /// What comes.
    #[arbitrary(with = script::rest)]
    pub ops: Vec<Op>,
}

/// What a stream holds, and how many of its last bytes belong to a datagram that is not whole.
fn read_whole(stream: &[u8], limit: u16) -> (Vec<&[u8]>, Result<usize, DeframeError>) {
    let (mut datagrams, mut rest) = (Vec::new(), stream);
    while let Some((header, behind)) = rest.split_first_chunk::<2>() {
        let len = u16::from_be_bytes(*header);
        if len == 0 {
            return (datagrams, Err(DeframeError::Empty));
        }
        if len > limit {
            return (datagrams, Err(DeframeError::TooLong { len, limit }));
        }
        let Some((datagram, behind)) = behind.split_at_checked(usize::from(len)) else { break };
        datagrams.push(datagram);
        rest = behind;
    }
    (datagrams, Ok(rest.len()))
}

/// Plays a script.
///
/// # Panics
///
/// If the deframer gives out anything else than is there, or holds anything else than what is not
/// whole.
pub fn run(script: &Script) {
    let mut deframer = Deframer::new(script.limit);
    let (mut stream, mut given) = (Vec::new(), Vec::new());
    let mut failed = None;
    for op in script.ops.iter().take(64) {
        let (bytes, cut) = match op {
            Op::Frame { len, cut } => {
                let len = *len % 4_000;
                let body = (0..len).map(|at| (at ^ len) as u8);
                (frame_header(len).into_iter().chain(body).collect(), usize::from(*cut).max(1))
            }
            Op::Bytes(bytes) => (bytes.clone(), usize::MAX),
        };
        for piece in bytes.chunks(cut) {
            stream.extend_from_slice(piece);
            let mut piece = piece.to_vec();
            let mut input = piece.as_mut_slice();
            loop {
                match deframer.next(&mut input) {
                    Ok(Some(datagram)) => given.push(datagram.to_vec()),
                    Ok(None) => break assert!(input.is_empty(), "bytes are left"),
                    Err(error) => break failed = Some(error),
                }
            }
        }
    }
    let (datagrams, end) = read_whole(&stream, script.limit);
    assert_eq!(given, datagrams);
    match end {
        Ok(held) => assert_eq!((deframer.held(), failed), (held, None)),
        Err(error) => {
            assert_eq!(failed, Some(error));
            assert_eq!(deframer.next(&mut &mut [0, 1, 1][..]), Err(error), "it goes on");
        }
    }
}
