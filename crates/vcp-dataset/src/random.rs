//! Random numbers whose stream never changes: what is made from a seed stays what it was.

/// `SplitMix64` (Steele, Lea, Flood 2014): a counter, mixed. Good enough for pictures, and a few lines
/// that no dependency's next version changes.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// Another stream, which depends on this one's state and advances it by one step.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(mix(self.next() ^ 0x5851_f42d_4c95_7f2d))
    }

    /// From 0 inclusive to 1 exclusive, in steps of 2⁻²⁴.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// From `low` to `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// From `low` to `high`, both above zero, as often in each octave.
    pub(crate) fn log_between(&mut self, low: f32, high: f32) -> f32 {
        low * (high / low).powf(self.unit())
    }

    /// From 0 to `count` exclusive; 0 if `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// From `low` to `high`, both included.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// −1 or 1.
    pub(crate) fn sign(&mut self) -> f32 {
        if self.next() >> 63 == 0 { -1.0 } else { 1.0 }
    }

    /// An angle from 0 to 2π.
    pub(crate) fn angle(&mut self) -> f32 {
        self.unit() * std::f32::consts::TAU
    }

    /// An angle at which things are put: straight or upright as often as at any other.
    pub(crate) fn turn(&mut self) -> f32 {
        let any = self.angle();
        self.pick(&[0.0, std::f32::consts::FRAC_PI_2, any])
    }

    /// Of mean 0 and standard deviation 1, nearly Gaussian: the sum of eight uniform numbers. It ends
    /// at ±4.9, and costs neither a logarithm nor differences between systems' libraries.
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: u64 = [self.next(), self.next()]
            .iter()
            .flat_map(|bits| [0, 16, 32, 48].map(|shift| (bits >> shift) & 0xffff))
            .sum();
        // Eight numbers of variance 1/12 have a standard deviation of √(2/3).
        (sum as f32 / 65_535.0 - 4.0) * 1.224_744_9
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn mix(mut bits: u64) -> u64 {
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
        let stream = [random.next(), random.next(), random.next()];
        assert_eq!(
            stream,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
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
}
