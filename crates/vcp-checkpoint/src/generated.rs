//! Pseudo-random weights, made when rows are read and never stored, so that a benchmark of a large
//! model needs no file and no memory for one.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use vcp_random::mix;

use crate::ElementType;

/// How the values of a generated tensor are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distribution {
    /// All the same.
    Constant(f32),
    /// Uniform around `centre`, up to `bound` away.
    Uniform { centre: f32, bound: f32 },
    /// Normal with mean 0, redrawn beyond two standard deviations if `truncated`.
    Normal { deviation: f32, truncated: bool },
}

impl Distribution {
    /// Uniform around zero with this standard deviation: as good as a normal distribution for
    /// measuring speed, and several times faster to make.
    pub(crate) fn spread(deviation: f32) -> Self {
        Self::Uniform {
            centre: 0.0,
            bound: deviation * 3f32.sqrt(),
        }
    }
}

/// Makes the rows of one tensor. The same seed, name and row always give the same values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generator {
    key: u64,
    distribution: Distribution,
    /// Values are rounded to this type.
    element_type: ElementType,
}

impl Generator {
    pub(crate) fn new(
        seed: u64,
        name: &str,
        distribution: Distribution,
        element_type: ElementType,
    ) -> Self {
        // FNV-1a, then mixed: only has to keep the tensors apart.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            key: mix(seed ^ mix(hash)),
            distribution,
            element_type,
        }
    }

    pub(crate) fn rows(&self, rows: Range<usize>, row_length: usize, out: &mut [f32]) {
        if row_length == 0 {
            return;
        }
        for (row, out) in rows.zip(out.chunks_exact_mut(row_length)) {
            let key = mix(self.key.wrapping_add(row as u64));
            match self.distribution {
                Distribution::Constant(value) => out.fill(value),
                Distribution::Uniform { centre, bound } => {
                    uniform(key, out);
                    for value in &mut *out {
                        *value = centre + bound * *value;
                    }
                }
                Distribution::Normal {
                    deviation,
                    truncated,
                } => {
                    normal(key, truncated, out);
                    for value in &mut *out {
                        *value *= deviation;
                    }
                }
            }
            if self.element_type == ElementType::F16 {
                round_to_f16(out);
            }
        }
    }
}

/// Values in (−1, 1), two to a word.
fn uniform(key: u64, out: &mut [f32]) {
    const SCALE: f32 = 1.0 / (1u32 << 31) as f32;
    let signed = |half: u32| {
        (f32::from((half >> 16) as u16) * 65536.0 + f32::from(half as u16)) * SCALE - 1.0
    };
    for (counter, pair) in out.chunks_mut(2).enumerate() {
        let word = mix(key ^ (counter as u64));
        pair[0] = signed(word as u32);
        if let Some(second) = pair.get_mut(1) {
            *second = signed((word >> 32) as u32);
        }
    }
}

/// Standard normal values by the Box–Muller transform.
fn normal(key: u64, truncated: bool, out: &mut [f32]) {
    let mut counter = key;
    for value in out {
        *value = loop {
            counter = counter.wrapping_add(1);
            let word = mix(counter);
            let radius = f64::from((word as u32).max(1)) / f64::from(u32::MAX);
            let angle =
                f64::from((word >> 32) as u32) / f64::from(u32::MAX) * std::f64::consts::TAU;
            let drawn = ((-2.0 * radius.ln()).sqrt() * angle.cos()) as f32;
            if !truncated || drawn.abs() <= 2.0 {
                break drawn;
            }
        };
    }
}

fn round_to_f16(values: &mut [f32]) {
    let mut halves = [f16::ZERO; 512];
    for values in values.chunks_mut(512) {
        let halves = &mut halves[..values.len()];
        halves.convert_from_f32_slice(values);
        halves.convert_to_f32_slice(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let square = values
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>();
        (mean, (square / values.len() as f64).sqrt())
    }

    #[test]
    fn distributions_have_the_moments_they_claim() {
        let cases = [
            (Distribution::spread(0.5), 0.0, 0.5),
            (
                Distribution::Uniform {
                    centre: 1.0,
                    bound: 0.25,
                },
                1.0,
                0.25 / 3f64.sqrt(),
            ),
            (
                Distribution::Normal {
                    deviation: 2.0,
                    truncated: false,
                },
                0.0,
                2.0,
            ),
            // Standard deviation of a normal distribution cut at two standard deviations.
            (
                Distribution::Normal {
                    deviation: 1.0,
                    truncated: true,
                },
                0.0,
                0.8796,
            ),
            (Distribution::Constant(3.0), 3.0, 0.0),
        ];
        for (distribution, mean, deviation) in cases {
            let generator = Generator::new(7, "a", distribution, ElementType::F32);
            let mut values = vec![0.0; 100_000];
            generator.rows(0..100, 1000, &mut values);
            let (found_mean, found_deviation) = moments(&values);
            assert!(
                (found_mean - mean).abs() < 0.02,
                "{distribution:?}: mean {found_mean}"
            );
            assert!(
                (found_deviation - deviation).abs() < 0.02,
                "{distribution:?}: deviation {found_deviation}"
            );
        }
    }

    #[test]
    fn rows_do_not_depend_on_how_they_are_read_and_names_and_seeds_differ() {
        let read = |seed, name| {
            let generator = Generator::new(seed, name, Distribution::spread(1.0), ElementType::F16);
            let mut all = vec![0.0; 7 * 33];
            generator.rows(0..7, 33, &mut all);
            let mut one = vec![0.0; 33];
            generator.rows(5..6, 33, &mut one);
            assert_eq!(one, all[5 * 33..6 * 33]);
            assert!(
                all.iter()
                    .all(|v| f16::from_f32(*v).to_f32().to_bits() == v.to_bits())
            );
            all
        };
        let first = read(1, "a");
        assert_eq!(first, read(1, "a"));
        assert_ne!(first, read(2, "a"));
        assert_ne!(first, read(1, "b"));
    }
}
