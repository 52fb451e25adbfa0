//! The two state tables of a stream: one for the half that sends, one for the half that receives.
//!
//! Every event in every state has a written outcome, and the tables are the only place that knows
//! it; the halves ask here first and then move their bytes.
//!
//! ```text
//!  sending                                        receiving
//!
//!      Ready ───reset──────────┐                  Unannounced ──────────reset────────┐
//!        │ write / finish      │                      │ open                         │
//!        ▼                     │                      ▼                              │
//!      Send ────reset────┐     │                     Recv ─────────reset──────┐      │
//!        │ fin sent      │     │                      │ fin (final size)      │      │
//!        ▼               ▼     ▼                      ▼                       ▼      │
//!     DataSent ─reset─▶ ResetSent                 SizeKnown ─────reset──▶ ResetRecvd │
//!        │ all acked     │ reset and what           │ all here              │ told   │
//!        ▼               ▼ it promised acked        ▼                       ▼        ▼
//!    DataRecvd        ResetRecvd                 DataRecvd ─all read─▶   ResetRead (end)
//!      (end)            (end)                       DataRead (end)
//! ```

/// The half that sends (RFC 9000 section 3.1; spec R-STR-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SendState {
    /// Nothing was sent yet.
    Ready,
    /// Something was sent; the end is not known to the peer.
    Send,
    /// All bytes and the end were sent.
    DataSent,
    /// The application gave up; RESET, and the bytes it promised, are on their way.
    ResetSent,
    /// The peer has everything. An end state.
    DataRecvd,
    /// The peer has the RESET and what it promised. An end state.
    ResetRecvd,
}

/// What happens to the half that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendEvent {
    /// OPEN or STREAM without the end went into a packet.
    DataSent,
    /// All of the body and its end went into packets.
    EndSent,
    /// The peer acknowledged all of the body and its end.
    AllAcked,
    /// The application, or a STOP from the peer, abandons the body.
    Reset,
    /// The peer acknowledged RESET and all bytes that it promised.
    ResetAcked,
}

impl SendState {
    /// All states, for tables.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Send,
        Self::DataSent,
        Self::ResetSent,
        Self::DataRecvd,
        Self::ResetRecvd,
    ];

    /// The state behind `event`; the same one if the event means nothing here.
    #[must_use]
    pub const fn after(self, event: SendEvent) -> Self {
        use SendEvent as E;
        match (self, event) {
            (Self::Ready, E::DataSent) => Self::Send,
            (Self::Ready | Self::Send, E::EndSent) => Self::DataSent,
            (Self::DataSent, E::AllAcked) => Self::DataRecvd,
            (Self::Ready | Self::Send | Self::DataSent, E::Reset) => Self::ResetSent,
            (Self::ResetSent, E::ResetAcked) => Self::ResetRecvd,
            (state, _) => state,
        }
    }

    /// Whether the application may still add to the body or end it otherwise.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Ready | Self::Send)
    }

    /// Whether nothing will happen any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::DataRecvd | Self::ResetRecvd)
    }
}

/// The half that receives (RFC 9000 section 3.2; spec R-STR-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecvState {
    /// Frames came before OPEN: bytes are kept, nobody is told.
    Unannounced,
    /// Bytes come; the end is not known.
    Recv,
    /// The end is known; bytes are missing.
    SizeKnown,
    /// Everything is here, some of it not given out.
    DataRecvd,
    /// Everything was given out. An end state.
    DataRead,
    /// The sender gave up; what it promised, and the error, are not given out yet.
    ResetRecvd,
    /// The error was given out, or there was nobody to tell. An end state.
    ResetRead,
}

/// What happens to the half that receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecvEvent {
    /// OPEN arrived.
    Open,
    /// The final size became known.
    FinalSize,
    /// The last missing byte arrived.
    AllReceived,
    /// The application took the last byte and knows the end, or wants nothing more (STOP).
    AllRead,
    /// RESET arrived.
    Reset,
    /// The application learned of the reset, or wants nothing more (STOP).
    ResetRead,
}

impl RecvState {
    /// All states, for tables.
    pub const ALL: [Self; 7] = [
        Self::Unannounced,
        Self::Recv,
        Self::SizeKnown,
        Self::DataRecvd,
        Self::DataRead,
        Self::ResetRecvd,
        Self::ResetRead,
    ];

    /// The state behind `event`; the same one if the event means nothing here.
    #[must_use]
    pub const fn after(self, event: RecvEvent) -> Self {
        use RecvEvent as E;
        match (self, event) {
            (Self::Unannounced, E::Open) => Self::Recv,
            (Self::Unannounced, E::Reset) => Self::ResetRead,
            (Self::Recv, E::FinalSize) => Self::SizeKnown,
            (Self::SizeKnown, E::AllReceived) => Self::DataRecvd,
            (Self::DataRecvd, E::AllRead) => Self::DataRead,
            (Self::Recv | Self::SizeKnown, E::Reset) => Self::ResetRecvd,
            (Self::ResetRecvd, E::ResetRead) => Self::ResetRead,
            (state, _) => state,
        }
    }

    /// Whether frames may still bring something new.
    pub const fn is_receiving(self) -> bool {
        matches!(self, Self::Unannounced | Self::Recv | Self::SizeKnown)
    }

    /// Whether nothing will happen any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::DataRead | Self::ResetRead)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
