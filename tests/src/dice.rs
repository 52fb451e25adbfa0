//! Chance that costs next to nothing, for what draws at every datagram.
//!
//! No secret hangs on it, so it need not be the core's generator: a counter, mixed (SplitMix64). A
//! throw is named by its number, and so the n-th datagram's fate does not hang on how many draws
//! the ones before it took.

use std::time::Duration;

/// A generator of chance.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Dice {
    /// From a seed, and for the purpose that `label` names.
    pub fn new(seed: u64, label: &str) -> Self {
        label.bytes().fold(Self(mix(seed ^ STEP)), |dice, byte| {
            Self(mix(dice.0.wrapping_mul(STEP) ^ u64::from(byte)))
        })
    }

    /// The dice of throw number `n`: they have nothing to do with those of other throws.
    pub const fn throw(&self, n: u64) -> Self {
        Self(mix(self.0 ^ mix(n.wrapping_add(STEP))))
    }

    /// Dice of their own, for a purpose.
    pub fn fork(&mut self, label: &str) -> Self {
        Self::new(self.next(), label)
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that happens so many times in a million.
    pub fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// Once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A time between the two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_nanos() as u64;
        least + Duration::from_nanos(self.below(width + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn throws_are_even_and_have_nothing_to_do_with_each_other() {
        let dice = Dice::new(7, "a purpose");
        let ones = (0..10_000).filter(|n| dice.throw(*n).happens(250_000)).count();
        assert!((2_300..2_700).contains(&ones), "{ones}");
        let pairs = (0..10_000)
            .filter(|n| dice.throw(*n).happens(250_000) && dice.throw(n + 1).happens(250_000));
        let pairs = pairs.count();
        assert!((500..750).contains(&pairs), "{pairs}");
        assert_ne!(Dice::new(7, "a").next(), Dice::new(7, "b").next());
        assert_ne!(Dice::new(7, "a").next(), Dice::new(8, "a").next());
    }
}
