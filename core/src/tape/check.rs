//! A short value over many bytes: it finds what a disk or a copy spoils, not what somebody forges.

/// Odd, so that multiplying by it loses nothing.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A running 64-bit check (spec R-TAPE-3). Each step is a bijection of the state for any word and
/// of the word for any state: two inputs that differ in one word never have the same value.
///
/// ```
/// use aqueduct_core::tape::Check;
///
/// let mut check = Check::default();
/// check.bytes(b"abc");
/// assert_eq!(check.value(), 0xb027_6c31_7496_9902);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check(u64);

impl Check {
    /// Takes in one word.
    pub const fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(FACTOR);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// Takes in bytes: eight at a time, the first of them lowest, zeros behind the last; then how
    /// many there were.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            if let Some(word) = word.first_chunk() {
                self.word(u64::from_le_bytes(*word));
            }
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(words.remainder()) {
            *to = *from;
        }
        if !words.remainder().is_empty() {
            self.word(u64::from_le_bytes(last));
        }
        self.word(bytes.len() as u64);
    }

    /// The value now.
    pub const fn value(self) -> u64 {
        self.0
    }
}
