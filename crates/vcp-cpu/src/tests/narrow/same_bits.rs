//! Results do not depend on the number of threads or on the size of a batch, bit by bit.

use super::super::attention::Projected;
use super::super::{assert_same_bits, cases, each_set, on_threads, pool};
use super::{Bf16Unit, Int8Unit, NarrowUnit, any_narrow_case, each_bf16};
use crate::attention;
use crate::units::{AttentionUnit, ScoreUnit};
use proptest::prelude::*;

const THREADS: [usize; 3] = [2, 3, 7];

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn products(case in any_narrow_case()) {
        let (values, weights) = case.values();
        each_set(|set| {
            let bf16 = Bf16Unit::all(set).into_iter().map(NarrowUnit::Bf16);
            for unit in Int8Unit::all(set).into_iter().map(NarrowUnit::Int8).chain(bf16) {
                let matrix = case.pack(unit, &values, &weights);
                let name = unit.name();
                let all = 0..case.case.images;
                let alone = case.run_with(set, 1, &matrix, &values, all.clone());
                for threads in THREADS {
                    let many = case.run_with(set, threads, &matrix, &values, all.clone());
                    assert_same_bits(&format!("{case:?}, {threads} threads, {name}"), &many, &alone);
                }
                let singles: Vec<f32> = all
                    .flat_map(|image| case.run_with(set, 2, &matrix, &values, image..image + 1))
                    .collect();
                assert_same_bits(&format!("{case:?}, one by one, {name}"), &singles, &alone);
            }
        });
    }

    #[test]
    fn self_attention(
        rows in 1_usize..=200,
        heads in 1_usize..=3,
        batch in 1_usize..=3,
        // With the larger one, the softmax's reference rises on the way.
        spread in prop_oneof![Just(4.0_f32), Just(1000.0)],
        seed: u64,
    ) {
        let projected = Projected::random([batch, heads, rows], spread, seed);
        each_bf16(|set, bf16| for scores in [None, ScoreUnit::of(bf16)] {
            let unit = AttentionUnit { bf16, scores };
            let projected = projected.words(Some(unit));
            let image = projected.len() / batch;
            let run = |threads, projected: &[u32], batch| {
                on_threads(threads, || {
                    let sizes = [batch, heads, rows];
                    attention::self_attention(set, Some(unit), &pool(), projected, sizes).to_vec()
                })
            };
            let name = unit.name();
            let alone = run(1, &projected, batch);
            for threads in THREADS {
                let many = run(threads, &projected, batch);
                assert_same_bits(&format!("{threads} threads, {name}"), &many, &alone);
            }
            let singles: Vec<f32> =
                projected.chunks_exact(image).flat_map(|image| run(2, image, 1)).collect();
            assert_same_bits(&format!("one by one, {name}"), &singles, &alone);
        });
    }
}
