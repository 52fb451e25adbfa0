//! What frames mean for the packet that carries them (RFC 9000 section 13.2, RFC 9002 section 2).
//!
//! | frame | elicits an ACK | counts as in flight | needs |
//! |---|---|---|---|
//! | CLOSE | no | no | `CloseOnly` |
//! | ACK | no | no | `AcksOnly` |
//! | PADDING | no | yes | `Everything` |
//! | all others, unknown ones too | yes | yes | `Everything` |

use super::frame::Frame;
use super::packet::Allowance;

impl Frame<'_> {
    /// Whether a packet with this frame is acknowledged.
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Frame::Ack(_) | Frame::Padding { .. } | Frame::Close(_))
    }

    /// Whether a packet with this frame counts against the congestion window.
    pub const fn counts_as_in_flight(&self) -> bool {
        !matches!(self, Frame::Ack(_) | Frame::Close(_))
    }

    /// The least allowance under which this frame may be sent.
    pub const fn needs(&self) -> Allowance {
        match self {
            Frame::Close(_) => Allowance::CloseOnly,
            Frame::Ack(_) => Allowance::AcksOnly,
            _ => Allowance::Everything,
        }
    }
}
