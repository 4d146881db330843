//! Attention with bf16 against its definition on rounded operands, in f64.

use super::super::attention::{Projected, attend};
use super::super::{Expected, Random, assert_same_bits, assert_within, cases};
use super::{each_bf16, in_bf16};
use crate::product::HEAD;
use crate::units::{AttentionUnit, ScoreUnit};
use half::bf16;
use proptest::prelude::*;
use vcp_simd::Supported;

/// 1/√64 of the softmax, and log₂ e since weights are powers of two: queries are multiplied with it before they are
/// rounded.
const SCALE: f32 = 0.125 * std::f32::consts::LOG2_E;

/// bf16 has 8 bits of significand: twice the largest relative error of rounding a weight, which leaves room for that of what is
/// rounded, within 1.04e-4 as is the sum of the weights. A little more, since halves of errors are not counted.
const WEIGHT_ERROR: f64 = 1.001 / 256.0;

fn rounded(values: &[f32]) -> Vec<f32> {
    let nearest = |value: &f32| bf16::from_f32(*value).to_f32();
    values.iter().map(nearest).collect()
}

/// [batch, rows, heads · 64]. Where the weights are powers of two (or nearly), rounding them changes nothing, and
/// `weight_error` is 0.
///
/// Their sum, which the result is divided by, is of weights that have not been rounded. So beside the errors of f32, each
/// term of the sum over values has a relative error of `weight_error`.
fn expected(projected: &Projected, weight_error: f64) -> Vec<Expected> {
    let mut out = Vec::with_capacity(projected.values.len() / 3);
    for image in 0..projected.batch {
        let of = |part, head| -> Vec<Vec<f32>> {
            let row = |row| rounded(projected.row(image, part, head, row));
            (0..projected.rows).map(row).collect()
        };
        let heads: Vec<_> = (0..projected.heads)
            .map(|head| (of(1, head), of(2, head)))
            .collect();
        for row in 0..projected.rows {
            for (head, (keys, values)) in heads.iter().enumerate() {
                let query = projected.row(image, 0, head, row);
                let scaled: Vec<f32> = query.iter().map(|query| query * SCALE).collect();
                let others = keys.iter().zip(values);
                out.extend(attend(
                    &rounded(&scaled),
                    std::f64::consts::LN_2,
                    weight_error,
                    others.map(|(key, value)| (key.as_slice(), value.as_slice())),
                ));
            }
        }
    }
    out
}

/// As [`expected`], with scores of whole numbers: keys less each channel's smallest value, by one scale for the head, and
/// queries by a scale of their own.
fn expected_of_whole(projected: &Projected, weight_error: f64) -> Vec<Expected> {
    let mut out = Vec::with_capacity(projected.values.len() / 3);
    let code = |value: f32, scale: f32| (value * (1.0 / scale)).round_ties_even();
    for image in 0..projected.batch {
        let of = |part, head| -> Vec<Vec<f32>> {
            let row = |row| rounded(projected.row(image, part, head, row));
            (0..projected.rows).map(row).collect()
        };
        let heads: Vec<_> = (0..projected.heads)
            .map(|head| {
                let mut keys = of(1, head);
                let mut range = 0.0_f32;
                for channel in 0..HEAD {
                    let values = keys.iter().map(|key| key[channel]);
                    let low = values.clone().fold(f32::INFINITY, f32::min);
                    range = range.max(values.fold(f32::NEG_INFINITY, f32::max) - low);
                    for key in &mut keys {
                        key[channel] -= low;
                    }
                }
                let scale = if range > 0.0 { range / 255.0 } else { 1.0 };
                for key in keys.iter_mut().flatten() {
                    *key = code(*key, scale).min(255.0);
                }
                (keys, scale, of(2, head))
            })
            .collect();
        for row in 0..projected.rows {
            for (head, (keys, key_scale, values)) in heads.iter().enumerate() {
                let query = projected.row(image, 0, head, row);
                let query: Vec<f32> = query.iter().map(|query| query * SCALE).collect();
                let query = rounded(&query);
                let largest = query
                    .iter()
                    .fold(0.0_f32, |most, value| most.max(value.abs()));
                let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
                let query: Vec<f32> = query.iter().map(|value| code(*value, scale)).collect();
                let others = keys.iter().zip(values);
                out.extend(attend(
                    &query,
                    f64::from(scale * key_scale) * std::f64::consts::LN_2,
                    weight_error,
                    others.map(|(key, value)| (key.as_slice(), value.as_slice())),
                ));
            }
        }
    }
    out
}

fn each_whole(check: impl Fn(Supported, AttentionUnit)) {
    each_bf16(|set, bf16| {
        let scores = ScoreUnit::of(bf16);
        match scores {
            Some(_) => check(set, AttentionUnit { bf16, scores }),
            None => println!("{} has no whole numbers: not run.", bf16.name()),
        }
    });
}

fn any_rows() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..=60, 120_usize..=136, 250_usize..=300]
}

#[track_caller]
fn check(what: &str, projected: &Projected, weight_error: f64) {
    let expected = expected(projected, weight_error);
    each_bf16(|set, unit| {
        let found = projected.run_with(set, Some(in_bf16(unit)));
        assert_within(&format!("{what}, {}", unit.name()), &found, &expected);
    });
}

proptest! {
    #![proptest_config(cases(30))]

    /// Any number of rows, odd ones too. With queries of zero all weights are 1, and nothing is rounded.
    #[test]
    fn equals_its_definition(
        rows in any_rows(),
        heads in 1_usize..=3,
        batch in 1_usize..=2,
        spread in prop_oneof![Just(0.0_f32), Just(1.0), Just(20.0), Just(600.0)],
        seed: u64,
    ) {
        let projected = Projected::random([batch, heads, rows], spread, seed);
        let weight_error = if spread == 0.0 { 0.0 } else { WEIGHT_ERROR };
        let what = format!("{batch} x {heads} x {rows}, spread {spread}");
        check(&what, &projected, weight_error);
    }

    /// Scores that are whole numbers, so that weights are powers of two: each weight meets its own value, as exactly as
    /// in f32. The highest may come in any chunk of keys.
    #[test]
    fn weights_that_are_powers_of_two_are_exact(
        rows in any_rows(),
        most in prop_oneof![Just(3_usize), Just(100)],
        seed: u64,
    ) {
        let mut random = Random(seed);
        let mut projected = Projected::random([1, 2, rows], 1.0, seed);
        for head in 0..2 {
            for row in 0..rows {
                let query = projected.row_mut(0, 0, head, row);
                query.fill(0.0);
                query[7] = 1.0 / SCALE;
                projected.row_mut(0, 1, head, row)[7] = random.below(most) as f32;
            }
        }
        check(&format!("{rows} rows, scores below {most}"), &projected, 0.0);
    }

    /// One key that all queries look at, wherever it is: its value comes out, rounded.
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
        let winner: Vec<_> = rounded(projected.row(0, 2, 1, place))
            .iter()
            .map(|value| Expected { value: f64::from(*value), allowed: 1e-6 })
            .collect();
        each_bf16(|set, unit| {
            let found = projected.run_with(set, Some(in_bf16(unit)));
            for (row, channels) in found.chunks_exact(2 * HEAD).enumerate() {
                let what = format!("row {row} of {rows}, {}", unit.name());
                assert_within(&what, &channels[HEAD..], &winner);
            }
        });
    }

    /// Scores of whole numbers: any number of rows, small and large scores.
    #[test]
    fn whole_scores_equal_their_definition(
        rows in any_rows(),
        heads in 1_usize..=3,
        batch in 1_usize..=2,
        spread in prop_oneof![Just(0.0_f32), Just(1.0), Just(20.0), Just(600.0)],
        seed: u64,
    ) {
        let projected = Projected::random([batch, heads, rows], spread, seed);
        let weight_error = if spread == 0.0 { 0.0 } else { WEIGHT_ERROR };
        let expected = expected_of_whole(&projected, weight_error);
        each_whole(|set, unit| {
            let found = projected.run_with(set, Some(unit));
            let what = format!("{batch} x {heads} x {rows}, spread {spread}, {}", unit.name());
            assert_within(&what, &found, &expected);
        });
    }

    /// What all keys have in common, however large, changes nothing: as in trained towers.
    #[test]
    fn what_all_keys_have_in_common_changes_nothing(rows in 1_usize..=300, seed: u64) {
        let mut projected = Projected::random([1, 1, rows], 4.0, seed);
        for row in 0..rows {
            for value in projected.row_mut(0, 1, 0, row) {
                *value = (*value * 32.0).round() / 32.0;
            }
        }
        let plain = projected.values.clone();
        for row in 0..rows {
            projected.row_mut(0, 1, 0, row)[9] += 3.0;
            projected.row_mut(0, 1, 0, row)[40] -= 2.0;
        }
        each_whole(|set, unit| {
            let found = projected.run_with(set, Some(unit));
            let plain = Projected { values: plain.clone(), ..projected }.run_with(set, Some(unit));
            assert_same_bits(unit.name(), &found, &plain);
        });
    }
}

/// A key that is no number, or not finite, makes no numbers of its head, and of no other.
#[test]
fn keys_and_queries_that_are_not_finite_show() {
    for value in [f32::NAN, f32::INFINITY] {
        for part in 0..2 {
            let mut projected = Projected::random([1, 2, 20], 1.0, 5);
            projected.row_mut(0, part, 1, 7)[3] = value;
            each_whole(|set, unit| {
                let found = projected.run_with(set, Some(unit));
                for (row, channels) in found.chunks_exact(2 * HEAD).enumerate() {
                    let is_affected = part == 1 || row == 7;
                    let what = format!("{value} in part {part}, row {row}, {}", unit.name());
                    assert!(
                        channels[..HEAD].iter().all(|value| value.is_finite()),
                        "{what}"
                    );
                    let is_none = channels[HEAD..].iter().all(|value| value.is_nan());
                    assert_eq!(is_none, is_affected, "{what}");
                }
            });
        }
    }
}
