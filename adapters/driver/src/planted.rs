//! Bugs on purpose, as the core has them: what looks for differences must find these.
//!
//! Only with the feature `planted`, which no build but that of the tests has, can an endpoint have
//! one ([`TransportConfig::with_fault`]). Without it nothing of them is in the program.

use aqueduct_core::config::TransportConfig;
use bytes::Bytes;

/// The bug that an endpoint has, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "planted")]
    blurs: bool,
}

impl Planted {
    #[cfg(feature = "planted")]
    pub(crate) fn of(transport: &TransportConfig) -> Self {
        use aqueduct_core::planted::Fault;
        Self { blurs: transport.has_fault(Fault::BlurredHandOver) }
    }

    /// None.
    #[cfg(not(feature = "planted"))]
    pub(crate) fn of(_: &TransportConfig) -> Self {
        Self::default()
    }

    /// What readers are given in place of `bytes`, which begin at offset `at`.
    #[cfg(feature = "planted")]
    pub(crate) fn handed_over(self, at: u64, bytes: Bytes) -> Bytes {
        const BLURRED: u64 = 100_000;
        let place = BLURRED.checked_sub(at).and_then(|from| usize::try_from(from).ok());
        match place.filter(|place| self.blurs && *place < bytes.len()) {
            Some(place) => {
                let mut blurred = bytes.to_vec();
                blurred.iter_mut().skip(place).take(1).for_each(|byte| *byte = !*byte);
                blurred.into()
            }
            None => bytes,
        }
    }

    /// The same.
    #[cfg(not(feature = "planted"))]
    pub(crate) fn handed_over(self, _: u64, bytes: Bytes) -> Bytes {
        bytes
    }
}
