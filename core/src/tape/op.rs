//! What a record says happened: the number that it begins with.

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a record says (spec R-TAPE-8). In a record the upper bit of the number says that
        /// time went on since the record before.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Op {
            $($(#[$doc])* $name = $code,)*
        }

        impl Op {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The one with this number.
            pub const fn of(number: u8) -> Option<Self> {
                match number {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

ops! {
    /// The tape ends here, and why.
    End = 0x00,
    /// `carrier_opened`.
    CarrierOpened = 0x01,
    /// `carrier_closed`.
    CarrierClosed = 0x02,
    /// `carrier_blocked`.
    CarrierBlocked = 0x03,
    /// `carrier_writable`.
    CarrierWritable = 0x04,
    /// `connect`.
    Connect = 0x05,
    /// `accept` of a stranger.
    Accept = 0x06,
    /// `refuse` of a stranger.
    Refuse = 0x07,
    /// `handle_datagram`.
    Datagram = 0x08,
    /// The same from where the one before came from, by the same way.
    DatagramAgain = 0x09,
    /// `set_limit`.
    Limit = 0x0a,
    /// `set_peer_limit`: of one peer, or of each.
    PeerLimit = 0x0b,
    /// `poll` gave news of a connection.
    Event = 0x10,
    /// `poll` gave news of a pipe.
    PipeEvent = 0x11,
    /// `poll` gave a stranger.
    Incoming = 0x12,
    /// `poll` gave something to send.
    Transmit = 0x13,
    /// The same, to where the one before went, by the same way.
    TransmitAgain = 0x14,
    /// `poll` waits until then.
    Wait = 0x15,
    /// `poll` waits for an input.
    WaitForever = 0x16,
    /// `poll` never came back.
    Unfinished = 0x17,
    /// `poll` waits until the same instant as before.
    WaitAgain = 0x18,
    /// `poll` gave news of the connection that was looked at last.
    EventHere = 0x19,
    /// A connection was looked at; the calls that follow are its.
    Connection = 0x20,
    /// The same connection was looked at again, and nothing called.
    Touch = 0x21,
    /// `open`.
    Open = 0x22,
    /// `accept` of a stream.
    AcceptStream = 0x23,
    /// `send_datagram`.
    SendDatagram = 0x24,
    /// `has_datagram_room`, `has_datagram_room_of`.
    DatagramRoom = 0x25,
    /// `recv_datagram`.
    RecvDatagram = 0x26,
    /// `send_message`.
    SendMessage = 0x27,
    /// `recv_message`.
    RecvMessage = 0x28,
    /// `close`.
    Close = 0x29,
    /// `abort`.
    Abort = 0x2a,
    /// `add_path`.
    AddPath = 0x2b,
    /// `set_controller`.
    Controller = 0x2c,
    /// How what is given next is to be delivered: `send_datagram_with`, `send_message_with`; or the
    /// class of `has_datagram_room_of`.
    Delivery = 0x2d,
    /// The calls on sending halves that follow are this stream's.
    Send = 0x30,
    /// `write`.
    Write = 0x31,
    /// `write_at`.
    WriteAt = 0x32,
    /// `forward`.
    Forward = 0x33,
    /// `report_acked`.
    ReportAcked = 0x34,
    /// `skip`.
    Skip = 0x35,
    /// `finish`.
    Finish = 0x36,
    /// `finish_at`.
    FinishAt = 0x37,
    /// `reset` and `reset_after`.
    Reset = 0x38,
    /// `set_priority`.
    Priority = 0x39,
    /// A receiving half was looked at, until the next record that is no call on one.
    Recv = 0x40,
    /// The same half was looked at again.
    RecvAgain = 0x41,
    /// `read_chunk`, `take_any`, `take_arrival`, `take_lowest`, or the first half of `read`.
    Take = 0x42,
    /// The same, in the same way.
    TakeAgain = 0x43,
    /// `release`, or the second half of `read`.
    Release = 0x44,
    /// `release` of what was taken last.
    ReleaseTaken = 0x45,
    /// `stop` and `stop_after`.
    Stop = 0x46,
    /// `set_window`.
    Window = 0x47,
    /// `request`.
    Request = 0x48,
    /// `covered`.
    Covered = 0x49,
    /// `pipe` and `pipe_given`.
    Pipe = 0x50,
    /// A pipe was looked at; the calls that follow are its.
    Piped = 0x51,
    /// `PipeRef::read`.
    PipeRead = 0x52,
    /// `PipeRef::release`.
    PipeRelease = 0x53,
    /// `PipeRef::add_leg`.
    AddLeg = 0x54,
    /// `PipeRef::set_rate`.
    PipeRate = 0x55,
    /// `PipeRef::cancel`.
    PipeCancel = 0x56,
    /// `PipeRef::gather`.
    PipeGather = 0x57,
}

impl Op {
    /// Whether it belongs to the receiving half that was looked at last.
    pub fn is_of_recv(self) -> bool {
        (Self::Take..=Self::Covered).contains(&self)
    }

    /// Whether it says what `poll` gave.
    pub fn is_output(self) -> bool {
        (Self::Event..=Self::EventHere).contains(&self)
    }
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It did this much, or made what has this number.
    Done(u64),
    /// It was refused, for the reason that its error's table gives this number.
    Refused(u8),
}
