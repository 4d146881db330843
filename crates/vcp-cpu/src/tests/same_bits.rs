//! Results do not depend on the number of threads or on the size of a batch, bit by bit.

use super::attention::Projected;
use super::depthwise;
use super::product::any_case;
use super::{Random, assert_same_bits, cases, each_set, on_threads, pool};
use crate::attention;
use crate::elementwise;
use crate::small::{self, Matrices};
use crate::standardise;
use proptest::prelude::*;

const THREADS: [usize; 3] = [2, 3, 7];

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn products(case in any_case()) {
        let values = case.values();
        each_set(|set| {
            let matrix = case.pack(set, &values);
            let all = 0..case.images;
            let alone = case.run_with(set, 1, &matrix, &values, all.clone());
            for threads in THREADS {
                let many = case.run_with(set, threads, &matrix, &values, all.clone());
                assert_same_bits(&format!("{case:?}, {threads} threads, {set:?}"), &many, &alone);
            }
            let singles: Vec<f32> = all
                .flat_map(|image| case.run_with(set, 2, &matrix, &values, image..image + 1))
                .collect();
            assert_same_bits(&format!("{case:?}, one by one, {set:?}"), &singles, &alone);
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
        each_set(|set| {
            let projected = projected.words(None);
            let image = projected.len() / batch;
            let run = |threads, projected: &[u32], batch| {
                on_threads(threads, || {
                    attention::self_attention(set, None, &pool(), projected, [batch, heads, rows])
                        .to_vec()
                })
            };
            let alone = run(1, &projected, batch);
            for threads in THREADS {
                let many = run(threads, &projected, batch);
                assert_same_bits(&format!("{threads} threads, {set:?}"), &many, &alone);
            }
            let singles: Vec<f32> =
                projected.chunks_exact(image).flat_map(|image| run(2, image, 1)).collect();
            assert_same_bits(&format!("one by one, {set:?}"), &singles, &alone);
        });
    }

    #[test]
    fn small_products_and_rows(
        (m, n, depth) in prop_oneof![
            (1_usize..=40, 1_usize..=100, 1_usize..=100),
            (5_usize..=20, 500_usize..=700, 1_usize..=20),
        ],
        batch in 1_usize..=3,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let left = random.fractions(batch * m * depth);
        let right = random.fractions(batch * depth * n);
        each_set(|set| {
            // Products both ways, then each row normalised and made a softmax of.
            let run = |threads, left: &[f32], right: &[f32], batch| {
                let a = Matrices { values: left, batch, rows: m, columns: depth };
                let b = Matrices { values: right, batch, rows: depth, columns: n };
                let turned = Matrices { rows: n, columns: depth, ..b };
                on_threads(threads, || {
                    let mut sums = small::plain(set, &pool(), a, b).to_vec();
                    sums.extend_from_slice(&small::transposed(set, &pool(), a, turned));
                    let mut out = vec![0.0; sums.len()];
                    elementwise::l2_normalise(set, &sums, &mut out, n);
                    elementwise::softmax(set, &mut sums, n);
                    out.append(&mut sums);
                    out
                })
            };
            let alone = run(1, &left, &right, batch);
            for threads in THREADS {
                let many = run(threads, &left, &right, batch);
                assert_same_bits(&format!("{threads} threads, {set:?}"), &many, &alone);
            }
            // Four results one after the other, each [batch, m, n].
            let parts: Vec<&[f32]> = alone.chunks_exact(batch * m * n).collect();
            for image in 0..batch {
                let left = &left[image * m * depth..][..m * depth];
                let right = &right[image * depth * n..][..depth * n];
                let single = run(2, left, right, 1);
                for (single, all) in single.chunks_exact(m * n).zip(&parts) {
                    let expected = &all[image * m * n..][..m * n];
                    assert_same_bits(&format!("image {image}, {set:?}"), single, expected);
                }
            }
        });
    }

    #[test]
    fn depthwise_convolutions(case in depthwise::any_case()) {
        let values = case.values();
        each_set(|set| {
            let all = 0..case.batch;
            let alone = case.run(set, 1, &values, all.clone());
            for threads in THREADS {
                let many = case.run(set, threads, &values, all.clone());
                assert_same_bits(&format!("{case:?}, {threads} threads, {set:?}"), &many, &alone);
            }
            let singles: Vec<f32> =
                all.flat_map(|image| case.run(set, 2, &values, image..image + 1)).collect();
            assert_same_bits(&format!("{case:?}, one by one, {set:?}"), &singles, &alone);
        });
    }

    #[test]
    fn channels_standardised(
        sizes in (1_usize..=400, 1_usize..=40),
        batch in 1_usize..=3,
        seed: u64,
    ) {
        let (rows, channels) = sizes;
        let image = rows * channels;
        let x = Random(seed).fractions(batch * image);
        let run = |set, threads, x: &[f32]| {
            let mut out = vec![f32::NAN; x.len()];
            on_threads(threads, || {
                standardise::standardise(set, x, &mut out, [rows, channels], 1e-5);
            });
            out
        };
        each_set(|set| {
            let alone = run(set, 1, &x);
            for threads in THREADS {
                let many = run(set, threads, &x);
                assert_same_bits(&format!("{sizes:?}, {threads} threads, {set:?}"), &many, &alone);
            }
            let singles: Vec<f32> =
                x.chunks_exact(image).flat_map(|image| run(set, 2, image)).collect();
            assert_same_bits(&format!("{sizes:?}, one by one, {set:?}"), &singles, &alone);
        });
    }
}
