//! Bugs on purpose: a checker that does not find these finds nothing.
//!
//! Only with the feature `planted`, which no build but that of the tests has, can a configuration
//! name one ([`TransportConfig::with_fault`](crate::config::TransportConfig)). Without it
//! `Planted::has` is constantly `false`, and nothing of them is in the program.

/// A bug that a node may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[cfg_attr(feature = "planted", expect(clippy::exhaustive_enums, reason = "for tests only"))]
#[cfg_attr(not(feature = "planted"), expect(unreachable_pub, reason = "public with the feature"))]
pub enum Fault {
    /// A responder takes the peer for connected when it has answered, before any proof.
    HastyConfirmation,
    /// A polite close does not wait for what was written.
    HastyClose,
    /// CLOSE is said once.
    SingleClose,
    /// What is sent again of a stream lacks its end.
    ForgottenEnd,
    /// RESET is not sent again.
    ForgottenReset,
    /// MAX_DATA is believed to say one byte more than it does.
    GenerousCredit,
    /// MAX_STREAM_DATA is not sent again.
    ForgottenCredit,
    /// CLOSE has the number of the packet before it.
    #[cfg(feature = "planted")]
    RepeatedNumber,
    /// A pipe is not told that its source's connection is gone.
    DeafPipe,
    /// A peer that speaks from another address is not followed.
    RootedPath,
    /// A packet is lost when four later ones arrived, not three: no breach of any rule, but another
    /// core than the one that was recorded.
    PatientLedger,
    /// A stray is not answered with a reset.
    MuteStray,
    /// A connection's share of the budget is not given back when it is over.
    KeptShare,
    /// What is closed stays for three seconds more, each time that they have passed.
    EndlessClose,
    /// A reader is told of a body's end when FIN came, whatever is missing before it.
    HastyEnd,
    /// Once a connection has ended, what is to be done in the future is to be done now.
    StaleDeadline,
    /// A packet that came after a later one makes it panic.
    BrittleOrder,
    /// Readers of streams are given another byte at offset 100,000 than came. A fault of adapters:
    /// the core only carries its name.
    #[cfg(feature = "planted")]
    BlurredHandOver,
    /// From the sixteenth packet on keys change with each, whether the peer has followed or not.
    #[cfg(feature = "planted")]
    HastyKeys,
}

/// The bug that a node has, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "planted")]
    pub(crate) fault: Option<Fault>,
}

impl Planted {
    /// Whether it is this one.
    #[cfg(feature = "planted")]
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// A limit as [`Fault::GenerousCredit`] reads it, or as it is.
    pub(crate) fn over(self, limit: u64) -> u64 {
        limit.saturating_add(u64::from(self.has(Fault::GenerousCredit)))
    }

    /// How many packets came before one that is missing, as [`Fault::PatientLedger`] counts them,
    /// or as it is.
    pub(crate) fn behind(self, packets: u64) -> u64 {
        packets.saturating_sub(u64::from(self.has(Fault::PatientLedger)))
    }

    /// Never.
    #[cfg(not(feature = "planted"))]
    pub(crate) const fn has(self, _: Fault) -> bool {
        false
    }
}

/// Who has none has the same fingerprint in every build.
#[cfg(any(test, feature = "fingerprint"))]
impl core::hash::Hash for Planted {
    fn hash<H: core::hash::Hasher>(&self, _state: &mut H) {
        #[cfg(feature = "planted")]
        self.fault.iter().for_each(|fault| fault.hash(_state));
    }
}
