//! Single things that happen in a world.

use std::time::Duration;

use aqueduct_core::congestion::Algorithm;
use aqueduct_core::stream::Priority;
use aqueduct_core::wire::id::Dir;

use crate::link::Machine;
use crate::net::HostId;

/// What somebody does, or what befalls somebody.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A host opens a stream to a neighbour and writes a text.
    Open {
        /// Who.
        host: HostId,
        /// Over which edge.
        edge: usize,
        /// One way or both; what goes onward goes one way.
        dir: Dir,
        /// The neighbour passes it on.
        onward: bool,
        /// Bytes.
        len: usize,
    },
    /// A host sends a whole message.
    Message(HostId, usize, usize),
    /// A host sends an unreliable datagram.
    Datagram(HostId, usize, usize),
    /// A host gives up a stream that it writes, by its number.
    Reset(HostId, usize),
    /// A host wants no more of a stream that it reads.
    Stop(HostId, usize),
    /// A relay cancels one of its pipes.
    Cancel(HostId, usize),
    /// A host closes the connection of an edge.
    Close(HostId, usize),
    /// A host dials the other end of an edge.
    Dial(usize),
    /// The other end dials too, unless it knows of a connection.
    DialBack(usize),
    /// Who dialled makes a byte stream beside the datagrams of an edge, in place of older ones.
    Join(usize),
    /// A host's port is another, and it does not know.
    Rebind(HostId),
    /// A host's address is another.
    Move(HostId),
    /// The NAT before a host forgets its mappings.
    Forget(HostId),
    /// The road from one host to another is made of these from now on.
    Road(HostId, HostId, Vec<Box<dyn Machine>>),
    /// Nothing passes from one host to another for so long.
    Dark(HostId, HostId, Duration),
    /// Nothing passes between the hosts of this set (a bit each) and all others for so long.
    Part(u64, Duration),
    /// A host's socket takes nothing for so long.
    Block(HostId, Duration),
    /// It takes bytes again.
    Unblock(HostId),
    /// A host is suspended for so long.
    Sleep(HostId, Duration),
    /// And is there again.
    Wake(HostId),
    /// A host's process stands still for so long.
    Pause(HostId, Duration),
    /// And goes on.
    Resume(HostId),
    /// A host loses all its state.
    Restart(HostId),
    /// So many sends of a host fail.
    SendsFail(HostId, u64),
    /// So many of a million sends find the socket full, for so long each.
    SendsFull(HostId, u32, Duration),
    /// The byte stream of an edge breaks.
    Break(usize),
    /// It carries nothing any more, and neither end is told.
    Swallow(usize),
    /// Somebody sends a host something that was sent before, from anywhere, perhaps changed.
    Replay(HostId, u64),
    /// Somebody sends a host something that was sent long before.
    Recall(HostId),
    /// Somebody sends a host something that nobody ever said.
    Garbage(HostId, u64),
    /// A slow host reads so much of each stream, and again in a while.
    Sip(HostId, u64),
    /// A bulk flow shares the road between two hosts, both ways, for so long.
    Cross(HostId, HostId, Duration),
    /// Such a flow ends.
    Uncross(usize),
    /// A rogue has its turn.
    Riot(usize),
    /// A host opens a stream to a neighbour and writes a text with holes.
    Scatter {
        /// Who.
        host: HostId,
        /// Over which edge.
        edge: usize,
        /// The neighbour passes it on.
        onward: bool,
        /// Where the text begins.
        start: usize,
        /// Where it ends.
        len: usize,
    },
    /// A host may send so many bytes a second in all, or as much as it can.
    Limit(HostId, Option<u64>),
    /// The same for each peer.
    PeersLimit(HostId, Option<u64>),
    /// The same for the peer at the other end of an edge.
    PeerLimit(HostId, usize, Option<u64>),
    /// A limited host is looked at: does it keep its limit?
    Weigh(HostId),
    /// A host has another controller for the connection of an edge.
    Controller(HostId, usize, Algorithm),
    /// A stream that a host writes is of another class.
    Priority(HostId, usize, Priority),
    /// A relay gives one of its pipes another leg, which begins where something is still held.
    Late(HostId, usize),
}
