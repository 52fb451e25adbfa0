//! How much moved when: a strip of shades.

use std::collections::BTreeMap;

use aqueduct_core::trace::Way;

use super::curve::slice;

/// Slices of a lane.
pub(crate) const SLICES: usize = 500;
/// Shades, the lightest of which is nothing at all.
const SHADES: u128 = 9;

/// Bytes that moved, by slice of time, there and back.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    span: u64,
    bytes: BTreeMap<usize, [u64; 2]>,
}

impl Lane {
    pub(crate) const fn new(span: u64) -> Self {
        Self { span, bytes: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, at: u64, way: Way, bytes: u64) {
        let slot = self.bytes.entry(slice(at, self.span, SLICES)).or_default();
        let side = if way == Way::Sent { &mut slot[0] } else { &mut slot[1] };
        *side = side.saturating_add(bytes);
    }

    /// Bytes of each slice.
    pub(crate) fn bytes(&self, way: Way) -> Vec<u64> {
        let of = |both: &[u64; 2]| if way == Way::Sent { both[0] } else { both[1] };
        (0..SLICES).map(|index| self.bytes.get(&index).map_or(0, of)).collect()
    }

    /// A digit for each slice, and how many bytes the darkest stands for; nothing where nothing
    /// moved at all.
    pub(crate) fn shades(&self, way: Way) -> (String, u64) {
        let of = |both: &[u64; 2]| if way == Way::Sent { both[0] } else { both[1] };
        let most = self.bytes.values().map(of).max().unwrap_or(0);
        if most == 0 {
            return (String::new(), 0);
        }
        let mut text = String::with_capacity(SLICES);
        for index in 0..SLICES {
            let bytes = self.bytes.get(&index).map_or(0, of);
            let shade = (u128::from(bytes) * SHADES).div_ceil(u128::from(most));
            text.push(char::from(b'0' + u8::try_from(shade).unwrap_or(0)));
        }
        (text, most)
    }
}
