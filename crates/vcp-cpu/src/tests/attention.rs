//! Both attentions against softmax(q kᵀ / √width) v with every score written down, in f64.

use super::{
    Expected, ROUNDING, Random, assert_same_bits, assert_within, cases, each_set, on_threads, pool,
};
use crate::attention;
use crate::product::HEAD;
use crate::small::Matrices;
use crate::units::{AttentionUnit, Bf16Unit, ScoreUnit};
use proptest::prelude::*;
use vcp_simd::{Supported, bf16_pair};

/// Attention of one query to some keys: rows of one width in one list. Scores are multiplied with `scale`. The kernel
/// may round weights before they are multiplied with values, with a relative error of at most `weight_error`.
pub(super) fn attend<'a>(
    query: &[f32],
    scale: f64,
    weight_error: f64,
    keys_and_values: impl Iterator<Item = (&'a [f32], &'a [f32])>,
) -> Vec<Expected> {
    let keys_and_values: Vec<_> = keys_and_values.collect();
    let width = query.len();
    let mut largest = 0.0_f64;
    let mut scores = Vec::new();
    for (key, _) in &keys_and_values {
        let terms = query.iter().zip(*key);
        let products = terms.map(|(q, k)| f64::from(*q) * f64::from(*k) * scale);
        let (mut score, mut magnitude) = (0.0, 0.0);
        for product in products {
            score += product;
            magnitude += product.abs();
        }
        largest = largest.max(magnitude);
        scores.push(score);
    }
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    // A score's error (a sum of `width` products, scaled and subtracted) is a relative one of
    // its weight; then weights and weighted values are summed.
    let score_error = (width + 8) as f64 * ROUNDING * largest;
    let sum_error = (scores.len() + 16) as f64 * ROUNDING;
    (0..width)
        .map(|channel| {
            let (mut value, mut magnitude) = (0.0, 0.0);
            for (weight, (_, row)) in weights.iter().zip(&keys_and_values) {
                let term = weight / total * f64::from(row[channel]);
                value += term;
                magnitude += term.abs();
            }
            // A weight that should be zero is 2e-38 at most.
            let allowed = (2.0 * (score_error + sum_error) + weight_error) * magnitude + 1e-34;
            Expected { value, allowed }
        })
        .collect()
}

/// Queries, keys and values of all heads, as the product before the attention lays them out.
pub(super) struct Projected {
    pub(super) values: Vec<f32>,
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) rows: usize,
}

impl Projected {
    /// Fractions; queries times `spread`, which makes scores of about a third of it.
    pub(super) fn random([batch, heads, rows]: [usize; 3], spread: f32, seed: u64) -> Self {
        let mut projected = Self {
            values: Random(seed).fractions(batch * 3 * heads * rows * HEAD),
            batch,
            heads,
            rows,
        };
        for image in 0..batch {
            for head in 0..heads {
                for row in 0..rows {
                    for value in projected.row_mut(image, 0, head, row) {
                        *value *= spread;
                    }
                }
            }
        }
        projected
    }

    fn start(&self, image: usize, part: usize, head: usize, row: usize) -> usize {
        (((image * 3 + part) * self.heads + head) * self.rows + row) * HEAD
    }

    pub(super) fn row(&self, image: usize, part: usize, head: usize, row: usize) -> &[f32] {
        &self.values[self.start(image, part, head, row)..][..HEAD]
    }

    pub(super) fn row_mut(
        &mut self,
        image: usize,
        part: usize,
        head: usize,
        row: usize,
    ) -> &mut [f32] {
        let start = self.start(image, part, head, row);
        &mut self.values[start..][..HEAD]
    }

    fn run(&self, instruction_set: Supported) -> Vec<f32> {
        self.run_with(instruction_set, None)
    }

    pub(super) fn run_with(
        &self,
        instruction_set: Supported,
        unit: Option<AttentionUnit>,
    ) -> Vec<f32> {
        let words = self.words(unit);
        let sizes = [self.batch, self.heads, self.rows];
        on_threads(2, || {
            attention::self_attention(instruction_set, unit, &pool(), &words, sizes).to_vec()
        })
    }

    /// As the product before the attention gives them: queries scaled, and rounded where a unit multiplies bf16.
    pub(super) fn words(&self, unit: Option<AttentionUnit>) -> Vec<u32> {
        let part = self.heads * self.rows * HEAD;
        let scaled = self.values.iter().enumerate().map(|(index, value)| {
            let is_query = (index / part).is_multiple_of(3);
            if is_query {
                value * attention::SCALE
            } else {
                *value
            }
        });
        if unit.is_none() {
            return scaled.map(f32::to_bits).collect();
        }
        let scaled: Vec<f32> = scaled.collect();
        let pairs = scaled.chunks_exact(2);
        pairs.map(|pair| bf16_pair(pair[0], pair[1])).collect()
    }

    /// [batch, rows, heads · 64].
    fn expected(&self) -> Vec<Expected> {
        let mut out = Vec::with_capacity(self.values.len() / 3);
        for image in 0..self.batch {
            for row in 0..self.rows {
                for head in 0..self.heads {
                    let query = self.row(image, 0, head, row);
                    let others = (0..self.rows)
                        .map(|row| (self.row(image, 1, head, row), self.row(image, 2, head, row)));
                    out.extend(attend(query, 0.125, 0.0, others));
                }
            }
        }
        out
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// Any number of rows: none of the blocks of queries, tiles and chunks of keys divides it.
    #[test]
    fn self_attention_equals_its_definition(
        rows in prop_oneof![1_usize..=60, 120_usize..=136, 250_usize..=300],
        heads in 1_usize..=3,
        batch in 1_usize..=2,
        spread in prop_oneof![Just(0.0_f32), Just(1.0), Just(20.0), Just(600.0)],
        seed: u64,
    ) {
        let projected = Projected::random([batch, heads, rows], spread, seed);
        let expected = projected.expected();
        each_set(|set| {
            let found = projected.run(set);
            let what = format!("{batch} x {heads} x {rows}, spread {spread}, on {set:?}");
            assert_within(&what, &found, &expected);
        });
    }

    /// Scores from -200 to 200: eˣ of them would overflow, the softmax must not. The highest
    /// may come in any chunk of keys, early or late.
    #[test]
    fn large_scores_do_not_overflow(
        rows in 1_usize..=300,
        order in prop_oneof![Just("rising"), Just("falling"), Just("random")],
        seed: u64,
    ) {
        let mut random = Random(seed);
        let mut projected = Projected::random([1, 1, rows], 1.0, seed);
        for row in 0..rows {
            let place = match order {
                "rising" => row as f32 / rows as f32,
                "falling" => 1.0 - row as f32 / rows as f32,
                _ => f32::midpoint(random.fraction(), 1.0),
            };
            // The score is q₀ k₀ / 8.
            projected.row_mut(0, 0, 0, row).fill(0.0);
            projected.row_mut(0, 0, 0, row)[0] = 8.0;
            projected.row_mut(0, 1, 0, row)[0] = 400.0 * place - 200.0;
        }
        let expected = projected.expected();
        each_set(|set| {
            let found = projected.run(set);
            assert_within(&format!("{rows} {order} on {set:?}"), &found, &expected);
        });
    }

    /// One key that all queries look at, wherever it is: its value comes out.
    #[test]
    fn a_dominating_key_gives_its_value(
        rows in 1_usize..=300,
        place in any::<prop::sample::Index>(),
        seed: u64,
    ) {
        let mut projected = Projected::random([1, 2, rows], 1.0, seed);
        let place = place.index(rows);
        for row in 0..rows {
            projected.row_mut(0, 0, 1, row)[5] = 100.0;
        }
        projected.row_mut(0, 1, 1, place)[5] = 100.0;
        let winner = projected.row(0, 2, 1, place).to_vec();
        each_set(|set| {
            let found = projected.run(set);
            for (row, channels) in found.chunks_exact(2 * HEAD).enumerate() {
                assert_is_the_winner(&channels[HEAD..], &winner, row);
            }
        });
    }

    /// The attention of the text: any width, more keys than queries, a mask or none.
    #[test]
    fn plain_attention_equals_its_definition(
        (queries, before) in (1_usize..=12, 0_usize..=12),
        heads in 1_usize..=3,
        width in 1_usize..=70,
        batch in 1_usize..=3,
        spread in prop_oneof![Just(1.0_f32), Just(1500.0)],
        causal: bool,
        seed: u64,
    ) {
        let keys = queries + before;
        let channels = heads * width;
        let mut random = Random(seed);
        let query: Vec<f32> =
            random.fractions(batch * queries * channels).iter().map(|q| spread * q).collect();
        let key = random.fractions(batch * keys * channels);
        let value = random.fractions(batch * keys * channels);
        let part = |values: &'_ [f32], rows: usize, image: usize, row: usize, head: usize| {
            values[((image * rows + row) * heads + head) * width..][..width].to_vec()
        };
        let mut expected = Vec::new();
        for image in 0..batch {
            for row in 0..queries {
                for head in 0..heads {
                    let visible = if causal { before + row + 1 } else { keys };
                    let pairs: Vec<_> = (0..visible)
                        .map(|other| {
                            (
                                part(&key, keys, image, other, head),
                                part(&value, keys, image, other, head),
                            )
                        })
                        .collect();
                    let query = part(&query, queries, image, row, head);
                    expected.extend(attend(
                        &query,
                        1.0 / (width as f64).sqrt(),
                        0.0,
                        pairs.iter().map(|(key, value)| (key.as_slice(), value.as_slice())),
                    ));
                }
            }
        }
        let matrices = |values, rows| Matrices { values, batch, rows, columns: channels };
        let mut found = vec![f32::NAN; batch * queries * channels];
        attention::plain(
            matrices(&query, queries),
            matrices(&key, keys),
            matrices(&value, keys),
            heads,
            causal,
            &mut found,
        );
        assert_within("plain attention", &found, &expected);
    }
}

/// All other weights are below 1e-30 but not zero.
#[track_caller]
fn assert_is_the_winner(found: &[f32], expected: &[f32], row: usize) {
    let expected: Vec<_> = expected
        .iter()
        .map(|&value| Expected {
            value: f64::from(value),
            allowed: 2.0 * ROUNDING * f64::from(value.abs()) + 1e-30,
        })
        .collect();
    assert_within(&format!("row {row}"), found, &expected);
}

/// What is not a number in one head of one image stays there. A bad key spoils every row of
/// its head, a bad query its own, a bad value its own channel.
#[test]
fn nan_stays_in_its_head() {
    /// Whether this row and channel is spoiled.
    type Spoiled = fn(usize, usize) -> bool;
    let [batch, heads, rows] = [2, 2, 150];
    // With far larger scores the reference would rise for some queries, and the last bits of those beside them change.
    let clean = Projected::random([batch, heads, rows], 1.0, 3);
    let spoils: [(usize, Spoiled); 3] = [
        (0, |row, _| row == 140),
        (1, |_, _| true),
        (2, |_, channel| channel == 7),
    ];
    each_set(|set| {
        let units = Bf16Unit::all(set).into_iter().flat_map(|bf16| {
            [None, ScoreUnit::of(bf16)].map(|scores| Some(AttentionUnit { bf16, scores }))
        });
        let units = units.chain([None]);
        for (unit, (part, spoiled)) in units.flat_map(|unit| spoils.map(|spoil| (unit, spoil))) {
            let expected = clean.run_with(set, unit);
            let mut projected = Projected {
                values: clean.values.clone(),
                ..clean
            };
            projected.row_mut(1, part, 0, 140)[7] = f32::NAN;
            let found = projected.run_with(set, unit);
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let (channel, head) = (index % HEAD, index / HEAD % heads);
                let (row, image) = (index / HEAD / heads % rows, index / HEAD / heads / rows);
                if image == 1 && head == 0 && spoiled(row, channel) {
                    assert!(
                        found.is_nan(),
                        "part {part}, value {index} on {set:?}, {unit:?}"
                    );
                } else {
                    assert_same_bits("elsewhere", &[*found], &[*expected]);
                }
            }
        }
    });
}
