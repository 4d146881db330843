//! Random numbers whose stream never changes: what was made from a seed is made from it again.
//!
//! [`Random`] is `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014): a counter, mixed. It is good enough for pictures, shuffling and weights, not for
//! cryptography, and a few lines that no dependency's next version changes.
//!
//! # Example
//!
//! ```
//! use vcp_random::Random;
//!
//! // A stream for every list of numbers: here example 7 of epoch 3 of a run with seed 1.
//! let mut random = Random::of(&[1, 3, 7]);
//! assert_eq!(random.next_u64(), Random::of(&[1, 3, 7]).next_u64());
//! assert!((0.0..1.0).contains(&random.unit()));
//! assert!(random.below(6) < 6);
//!
//! let mut order = random.order(5);
//! order.sort_unstable();
//! assert_eq!(order, [0, 1, 2, 3, 4]);
//! ```
#![forbid(unsafe_code)]

/// What the state advances by: 2⁶⁴ divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers. Streams of neighbouring seeds look independent; seeds that differ by a
/// multiple of the counter's step give one stream at two places. For many streams of one purpose, take
/// [`Random::of`] or [`Random::fork`].
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of the reference implementation with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for every list of numbers; their order counts.
    #[must_use]
    pub fn of(seed: &[u64]) -> Self {
        // The first digits of π, so that the stream of no number is none of `new`'s first ones.
        let state = seed
            .iter()
            .fold(0x243f_6a88_85a3_08d3, |state, part| mix(state ^ part));
        Self { state }
    }

    /// Another stream, which depends on this one's state and advances it by one number.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(finalise(self.next_u64() ^ 0x5851_f42d_4c95_7f2d))
    }

    /// The next number: all 64 bits are random.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        finalise(self.state)
    }

    /// A number from 0 inclusive to 1 exclusive, in steps of 2⁻²⁴.
    #[inline]
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A number from 0 inclusive to 1 exclusive, in steps of 2⁻⁵³.
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number from 0 to `count` exclusive; 0 if `count` is 0.
    #[inline]
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }

    /// A whole number from `low` to `high`, both included.
    pub fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// A number from `low` to `high`, evenly distributed.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A number from `low` to `high`, both above zero, as often in each octave. The power is the system's, so its
    /// last bit may differ between systems.
    pub fn log_between(&mut self, low: f32, high: f32) -> f32 {
        low * (high / low).powf(self.unit())
    }

    /// Whether something happens that has this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// −1 or 1, each as often.
    pub fn sign(&mut self) -> f32 {
        if self.next_u64() >> 63 == 0 {
            -1.0
        } else {
            1.0
        }
    }

    /// An angle from 0 to 2π.
    pub fn angle(&mut self) -> f32 {
        self.unit() * std::f32::consts::TAU
    }

    /// A number of mean 0 and standard deviation 1, nearly Gaussian: the sum of eight uniform numbers. It ends
    /// at ±4.9, and costs neither a logarithm nor differences between systems' libraries.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = [self.next_u64(), self.next_u64()]
            .iter()
            .flat_map(|bits| [0, 16, 32, 48].map(|shift| (bits >> shift) & 0xffff))
            .sum();
        // Eight numbers of variance 1/12 have a standard deviation of √(2/3).
        (sum as f32 / 65_535.0 - 4.0) * 1.224_744_9
    }

    /// One of the values in `of`, each as often.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// All numbers below `count` in a random order (Fisher and Yates), each order as often.
    #[must_use]
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

/// The first number of the stream with this seed: a bijection that spreads every bit over the word, for
/// random access to numbers by their places.
#[inline]
#[must_use]
pub fn mix(seed: u64) -> u64 {
    finalise(seed.wrapping_add(STEP))
}

#[inline]
fn finalise(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // The first numbers of the reference implementation from seed 1234567.
        let mut random = Random::new(1_234_567);
        let stream = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(
            stream,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        assert_eq!(mix(1_234_567), stream[0]);
    }

    /// What is made from a seed has to stay what it is: weights, pictures, the order of examples. The
    /// numbers are those of the same definitions in Python.
    #[test]
    fn no_stream_ever_changes() {
        assert_eq!(Random::of(&[]).next_u64(), 3_220_344_897_584_144_929);
        assert_eq!(Random::of(&[1, 2]).next_u64(), 17_142_201_214_321_375_090);
        assert_eq!(Random::new(7).fork().next_u64(), 14_147_167_779_572_343_211);
        let mut random = Random::new(9);
        let drawn = (
            random.unit().to_bits(),
            random.unit_f64().to_bits(),
            random.below(1000),
            random.normal().to_bits(),
            random.order(6),
        );
        let expected = (
            1_060_024_146,
            4_604_936_878_025_668_093,
            265,
            3_167_009_312,
            vec![2, 1, 5, 4, 3, 0],
        );
        assert_eq!(drawn, expected);
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

    #[test]
    fn normal_numbers_have_their_mean_and_deviation() {
        let mut random = Random::new(1);
        let numbers: Vec<f32> = (0..100_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f32>() / 1e5;
        let variance = numbers.iter().map(|it| it * it).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn counts_reach_both_ends() {
        let mut random = Random::new(2);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.count(1, 4)] = true;
        }
        assert_eq!(seen, [false, true, true, true, true]);
    }

    #[test]
    fn orders_are_complete_and_differ() {
        let mut order = Random::of(&[1, 2]).order(100);
        assert_ne!(order, Random::of(&[1, 3]).order(100));
        assert_eq!(order, Random::of(&[1, 2]).order(100));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
    }
}

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
