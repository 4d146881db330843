//! A threshold that few normal images reach, from normal images alone.
//!
//! Let n images be drawn independently from one population, and let the threshold lie just above
//! the k-th largest of their values. The share R of the population that reaches it is a random
//! quantity, because the images are. Whatever the population's distribution, if it is continuous, R
//! follows the Beta distribution with parameters k and n − k + 1; if values can be equal, R is
//! smaller. So
//!
//! P(R ≤ r) ≥ P(Binomial(n, r) ≥ k), and the mean of R is at most k / (n + 1).
//!
//! This is the distribution-free tolerance limit of Wilks (*Determination of sample sizes for
//! setting tolerance limits*, Annals of Mathematical Statistics 12, 1941).

use super::{CalibrationError, check_share, check_values};

/// With fewer images the mean rate of false alarms would be 10 % or more.
pub const FEWEST_IMAGES: usize = 10;

/// How many false alarms are wanted, and how surely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FalseAlarmTarget {
    /// Largest share of normal images to reach the threshold; above 0 and below 1.
    pub rate: f64,
    /// Probability that the threshold holds this, over all the sets of images that could have been
    /// taken for calibration; above 0 and below 1.
    pub confidence: f64,
}

impl Default for FalseAlarmTarget {
    fn default() -> Self {
        Self {
            rate: 0.05,
            confidence: 0.95,
        }
    }
}

/// A threshold and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalThreshold {
    /// The next `f32` above one of the values: no value that equals that one reaches it.
    pub threshold: f32,
    /// Number of images it comes from.
    pub images: usize,
    /// Which of the values it lies above, counted from the largest, which is 1.
    pub rank: usize,
    /// With the confidence asked for, at most this share of new normal images reaches the
    /// threshold.
    pub guaranteed_rate: f64,
    /// The share of new normal images that reaches it, on average over all the sets of images that
    /// could have been taken.
    pub expected_rate: f64,
    /// What was asked for.
    pub target: FalseAlarmTarget,
    /// Fewest images with which the target can be guaranteed.
    pub images_needed: usize,
}

impl NormalThreshold {
    /// The smallest threshold that guarantees the target, one value for each image; where there are
    /// too few images for that, the threshold above all of them.
    ///
    /// # Errors
    /// With fewer than [`FEWEST_IMAGES`] values, values that are not finite, or a rate or
    /// confidence outside 0 to 1.
    pub fn new(values: &[f32], target: FalseAlarmTarget) -> Result<Self, CalibrationError> {
        check_share("rate of false alarms", target.rate)?;
        check_share("confidence", target.confidence)?;
        check_values(values)?;
        let images = values.len();
        if images < FEWEST_IMAGES {
            return Err(CalibrationError::TooFewImages {
                found: images,
                needed: FEWEST_IMAGES,
            });
        }
        let rank = largest_rank(images, target).max(1);
        let mut values = values.to_vec();
        let (_, value, _) = values.select_nth_unstable_by(rank - 1, |a, b| b.total_cmp(a));
        Ok(Self {
            threshold: value.next_up(),
            images,
            rank,
            guaranteed_rate: guaranteed_rate(images, rank, target.confidence),
            expected_rate: rank as f64 / (images + 1) as f64,
            target,
            images_needed: images_needed(target),
        })
    }

    /// Whether the target is guaranteed.
    #[must_use]
    pub fn meets_target(&self) -> bool {
        self.images >= self.images_needed
    }
}

/// The largest k with P(Binomial(n, rate) ≥ k) ≥ confidence; 0 if there is none.
fn largest_rank(images: usize, target: FalseAlarmTarget) -> usize {
    let doubt = 1.0 - target.confidence;
    let mut rank = 0;
    for at_most in Cumulative::new(images, target.rate) {
        // Now P(Binomial ≤ rank) is known, that is 1 − P(Binomial ≥ rank + 1). Equality is given
        // away to rounding.
        if at_most > doubt || rank == images {
            break;
        }
        rank += 1;
    }
    rank
}

/// Fewest images with which the threshold of the looser target lies below that of the stricter one, if no two
/// values are equal; `None` where that takes more than ten thousand, or never happens.
#[must_use]
pub fn images_between(strict: FalseAlarmTarget, loose: FalseAlarmTarget) -> Option<usize> {
    const MOST: usize = 10_000;
    if loose.rate <= strict.rate && loose.confidence >= strict.confidence {
        return None;
    }
    let rank = |images, target| largest_rank(images, target).max(1);
    (FEWEST_IMAGES..=MOST).find(|&images| rank(images, loose) > rank(images, strict))
}

/// The rate r with P(Binomial(n, r) ≥ rank) = confidence, from above.
fn guaranteed_rate(images: usize, rank: usize, confidence: f64) -> f64 {
    let doubt = 1.0 - confidence;
    let (mut low, mut high) = (0.0, 1.0);
    // Until neighbouring numbers are reached.
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        let below = Cumulative::new(images, middle).nth(rank - 1);
        if below.is_some_and(|at_most| at_most > doubt) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The smallest n with 1 − (1 − rate)^n ≥ confidence.
fn images_needed(target: FalseAlarmTarget) -> usize {
    let estimate = (-target.confidence).ln_1p() / (-target.rate).ln_1p();
    let mut images = (estimate.ceil() as usize).saturating_sub(1).max(1);
    // The same test as for the threshold itself, so that rounding cannot make them differ.
    while images < estimate as usize + 2 && largest_rank(images, target) == 0 {
        images += 1;
    }
    images
}

/// P(Binomial(n, p) ≤ 0), P(Binomial(n, p) ≤ 1), …, to P(… ≤ n).
struct Cumulative {
    images: usize,
    next: usize,
    /// Logarithm of p / (1 − p).
    odds: f64,
    /// Logarithm of P(Binomial = next): the first ones are too small for a number.
    term: f64,
    sum: f64,
}

impl Cumulative {
    fn new(images: usize, p: f64) -> Self {
        let complement = (-p).ln_1p();
        Self {
            images,
            next: 0,
            odds: p.ln() - complement,
            term: images as f64 * complement,
            sum: 0.0,
        }
    }
}

impl Iterator for Cumulative {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        if self.next > self.images {
            return None;
        }
        self.sum += self.term.exp();
        let left = (self.images - self.next) as f64;
        self.next += 1;
        self.term += (left / self.next as f64).ln() + self.odds;
        Some(self.sum.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use vcp_random::Random;

    use super::*;
    use proptest::prelude::*;

    fn target(rate: f64, confidence: f64) -> FalseAlarmTarget {
        FalseAlarmTarget { rate, confidence }
    }

    fn rising(count: usize) -> Vec<f32> {
        (0..count).map(|index| index as f32 / 1024.0).collect()
    }

    #[test]
    fn ranks_and_rates_of_the_textbook() {
        // (images, rate, confidence) → (rank, guaranteed rate, images needed). The rates with rank
        // 1 are 1 − (1 − confidence)^(1/n); the sample sizes 59, 93, 124, 153 and 181 for 95 % are
        // in every table of tolerance limits.
        let one = |n: f64, confidence: f64| 1.0 - (1.0 - confidence).powf(1.0 / n);
        let cases = [
            (20, 0.05, 0.95, 1, one(20.0, 0.95), 59),
            (58, 0.05, 0.95, 1, one(58.0, 0.95), 59),
            (59, 0.05, 0.95, 1, one(59.0, 0.95), 59),
            (92, 0.05, 0.95, 1, one(92.0, 0.95), 59),
            (93, 0.05, 0.95, 2, 0.05, 59),
            (124, 0.05, 0.95, 3, 0.05, 59),
            (153, 0.05, 0.95, 4, 0.05, 59),
            (181, 0.05, 0.95, 5, 0.05, 59),
            (10, 0.5, 0.5, 5, 0.4517, 1),
            (22, 0.1, 0.9, 1, one(22.0, 0.9), 22),
        ];
        for (images, rate, confidence, rank, guaranteed, needed) in cases {
            let found = NormalThreshold::new(&rising(images), target(rate, confidence)).unwrap();
            let case = format!("{images} {rate} {confidence}: {found:?}");
            assert_eq!((found.rank, found.images_needed), (rank, needed), "{case}");
            assert!((found.guaranteed_rate - guaranteed).abs() < 4e-4, "{case}");
            assert_eq!(found.meets_target(), images >= needed, "{case}");
            assert_eq!(
                found.meets_target(),
                found.guaranteed_rate <= rate,
                "{case}"
            );
        }
        let twenty = NormalThreshold::new(&rising(20), FalseAlarmTarget::default()).unwrap();
        assert!((twenty.guaranteed_rate - 0.1391).abs() < 1e-4);
        assert!((twenty.expected_rate - 1.0 / 21.0).abs() < 1e-12);
    }

    #[test]
    fn a_looser_target_takes_some_images_to_lie_below() {
        let usual = FalseAlarmTarget::default();
        // P(Binomial(21, 0.2) ≥ 2) = 0.942 and P(Binomial(22, 0.2) ≥ 2) = 0.952.
        for (strict, loose, images) in [
            (usual, target(0.2, 0.95), Some(22)),
            (usual, target(0.5, 0.95), Some(10)),
            (target(0.0001, 0.95), target(0.0002, 0.95), None),
            (usual, usual, None),
            (target(0.2, 0.95), usual, None),
        ] {
            assert_eq!(images_between(strict, loose), images, "{loose:?}");
        }
        for (images, is_below) in [(21, false), (22, true)] {
            let threshold = |target| {
                NormalThreshold::new(&rising(images), target)
                    .unwrap()
                    .threshold
            };
            assert_eq!(
                threshold(target(0.2, 0.95)) < threshold(usual),
                is_below,
                "{images}"
            );
        }
    }

    #[test]
    fn many_images_stay_exact() {
        // The normal approximation: rank ≈ n·p − 1.645·√(n·p·(1−p)).
        let found = NormalThreshold::new(&rising(100_000), FalseAlarmTarget::default()).unwrap();
        assert!((4884..=4890).contains(&found.rank), "{found:?}");
        assert!(found.guaranteed_rate <= 0.05 && found.guaranteed_rate > 0.0499);
    }

    #[test]
    fn the_threshold_is_the_very_next_number() {
        for value in [0.0_f32, -0.0, 0.25, 0.999_999_94, 1.0, -3.0] {
            let found = NormalThreshold::new(&[value; 12], FalseAlarmTarget::default()).unwrap();
            assert!(value < found.threshold, "{value} does not reach it");
            assert!(
                found.threshold.next_down() <= value,
                "nothing in between: {value}"
            );
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let usual = FalseAlarmTarget::default();
        let error = NormalThreshold::new(&rising(7), usual).unwrap_err();
        assert_eq!(
            error,
            CalibrationError::TooFewImages {
                found: 7,
                needed: 10
            }
        );
        assert!(error.to_string().contains("add 3 more"), "{error}");
        for (at, value) in [(3, f32::NAN), (0, f32::INFINITY), (11, f32::MAX)] {
            let mut values = rising(12);
            values[at] = value;
            let error = NormalThreshold::new(&values, usual).unwrap_err();
            assert!(
                matches!(error, CalibrationError::NotFinite { position, .. } if position == at)
            );
        }
        for (rate, confidence) in [
            (0.0, 0.9),
            (1.0, 0.9),
            (f64::NAN, 0.9),
            (0.1, 0.0),
            (0.1, 1.0),
        ] {
            let error = NormalThreshold::new(&rising(12), target(rate, confidence)).unwrap_err();
            assert!(matches!(error, CalibrationError::InvalidShare { .. }));
        }
    }

    /// Draws many sets of images and looks how often the real rate of false alarms stays within
    /// what was promised. The real rate is known because the values are uniform (or that, raised
    /// to a power, which orders them alike).
    #[test]
    fn the_guarantee_holds_as_often_as_promised() {
        const DRAWS: usize = 4000;
        let mut random = Random::new(7);
        for (images, rate, confidence) in [
            (10, 0.05, 0.95),
            (20, 0.05, 0.95),
            (59, 0.05, 0.95),
            (93, 0.05, 0.95),
            (200, 0.05, 0.9),
            (40, 0.2, 0.5),
        ] {
            let target = target(rate, confidence);
            let (mut kept_guarantee, mut kept_target, mut sum) = (0, 0, 0.0);
            let mut meets = false;
            for _ in 0..DRAWS {
                let values: Vec<f32> = (0..images)
                    .map(|_| random.unit_f64().powi(3) as f32)
                    .collect();
                let found = NormalThreshold::new(&values, target).unwrap();
                let real = 1.0 - f64::from(found.threshold).cbrt();
                kept_guarantee += usize::from(real <= found.guaranteed_rate);
                kept_target += usize::from(real <= rate);
                sum += real;
                meets = found.meets_target();
                let reported = values.iter().filter(|&&v| v >= found.threshold).count();
                assert_eq!(reported, found.rank - 1);
            }
            let share = |count: usize| count as f64 / DRAWS as f64;
            let deviation = (confidence * (1.0 - confidence) / DRAWS as f64).sqrt();
            let case = format!("{images} images, {rate}, {confidence}");
            // Of a continuous distribution the guarantee is no better than promised, either.
            assert!(
                (share(kept_guarantee) - confidence).abs() < 4.0 * deviation,
                "{case}: {}",
                share(kept_guarantee)
            );
            assert_eq!(
                meets,
                share(kept_target) > confidence - 4.0 * deviation,
                "{case}"
            );
            let rank = NormalThreshold::new(&rising(images), target).unwrap().rank;
            let mean = rank as f64 / (images + 1) as f64;
            assert!(
                (sum / DRAWS as f64 - mean).abs() < 0.05 * mean,
                "{case}: mean rate {}",
                sum / DRAWS as f64
            );
        }
    }

    /// Where many images have the same value, fewer false alarms come than promised, never more.
    #[test]
    fn equal_values_make_the_guarantee_safer() {
        const DRAWS: usize = 4000;
        let mut random = Random::new(11);
        let target = target(0.3, 0.9);
        let mut kept = 0;
        for _ in 0..DRAWS {
            let values: Vec<f32> = (0..15)
                .map(|_| (random.unit_f64() * 5.0).floor() as f32)
                .collect();
            let found = NormalThreshold::new(&values, target).unwrap();
            let real = (0..5).filter(|&v| v as f32 >= found.threshold).count() as f64 / 5.0;
            kept += usize::from(real <= found.guaranteed_rate);
        }
        assert!(kept as f64 / DRAWS as f64 > 0.9, "{kept}");
    }

    /// P(Binomial(n, p) ≤ k) from its definition.
    fn plainly(n: usize, p: f64, k: usize) -> f64 {
        (0..=k)
            .map(|i| {
                let ways: f64 = (0..i).map(|j| (n - j) as f64 / (j + 1) as f64).product();
                ways * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)
            })
            .sum()
    }

    proptest! {
        #[test]
        fn the_rank_is_the_largest_that_holds(
            images in 10_usize..150, rate in 0.01_f64..0.6, confidence in 0.3_f64..0.995
        ) {
            let found = NormalThreshold::new(&rising(images), target(rate, confidence)).unwrap();
            let holds = |rank: usize| 1.0 - plainly(images, rate, rank - 1) >= confidence;
            if found.meets_target() {
                prop_assert!(holds(found.rank));
                prop_assert!(found.guaranteed_rate <= rate * (1.0 + 1e-9));
                prop_assert!(found.rank == images || !holds(found.rank + 1));
            } else {
                prop_assert!(!holds(1));
                prop_assert_eq!(found.rank, 1);
                prop_assert!(found.guaranteed_rate > rate);
            }
            let at_bound = 1.0 - plainly(images, found.guaranteed_rate, found.rank - 1);
            prop_assert!((at_bound - confidence).abs() < 1e-9, "{}", at_bound);
        }
    }
}
