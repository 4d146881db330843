//! Random numbers that are the same everywhere and for ever: a run can be repeated, and an interrupted
//! one goes on where it stopped, because every example has a generator of its own.

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator for each list of numbers.
    pub(crate) fn of(seed: &[u64]) -> Self {
        let mix = |state: u64, &part: &u64| Self(state ^ part).next();
        Self(seed.iter().fold(0x243f_6a88_85a3_08d3, mix))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// 0 to `count` − 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// All numbers below `count` in a random order.
    pub(crate) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_complete_and_differ() {
        let mut order = Random::of(&[1, 2]).order(100);
        assert_ne!(order, Random::of(&[1, 3]).order(100));
        assert_eq!(order, Random::of(&[1, 2]).order(100));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut random = Random::of(&[7]);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10)] += 1;
        }
        assert!(
            counts.iter().all(|count| (880..1120).contains(count)),
            "{counts:?}"
        );
    }
}
