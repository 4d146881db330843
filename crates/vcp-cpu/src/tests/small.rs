//! [`small::plain`] and [`small::transposed`] against three nested loops.

use super::{
    Expected, Numbers, Random, any_numbers, assert_within, cases, each_set, on_threads, pool,
    sum_of_products,
};
use crate::small::{self, Matrices};
use proptest::prelude::*;

/// Batches of both sides: the same, or 1 on one side.
fn batches() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        (1_usize..=4).prop_map(|batch| (batch, batch)),
        (1_usize..=4).prop_map(|batch| (1, batch)),
        (1_usize..=4).prop_map(|batch| (batch, 1)),
    ]
}

/// Rows of a, rows (or columns) of b, terms of the sums.
fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        (1_usize..=12, 1_usize..=150, 1_usize..=150),
        (1_usize..=70, 1_usize..=20, 1_usize..=70),
        (1_usize..=3, 1_usize..=5, 1_usize..=2000),
        // Columns that are far from each other.
        (5_usize..=20, 500_usize..=1100, 1_usize..=30),
    ]
}

#[derive(Debug)]
struct Case {
    batches: (usize, usize),
    sizes: (usize, usize, usize),
    transposed: bool,
    numbers: Numbers,
    seed: u64,
}

fn check(case: &Case) {
    let (m, n, depth) = case.sizes;
    let mut random = Random(case.seed);
    let left = random.numbers(case.batches.0 * m * depth, case.numbers);
    let right = random.numbers(case.batches.1 * n * depth, case.numbers);
    let a = Matrices {
        values: &left,
        batch: case.batches.0,
        rows: m,
        columns: depth,
    };
    let (rows, columns) = if case.transposed {
        (n, depth)
    } else {
        (depth, n)
    };
    let b = Matrices {
        values: &right,
        batch: case.batches.1,
        rows,
        columns,
    };
    let batch = a.batch.max(b.batch);
    let mut expected: Vec<Expected> = Vec::with_capacity(batch * m * n);
    for image in 0..batch {
        let (a_image, b_image) = (image.min(a.batch - 1), image.min(b.batch - 1));
        for i in 0..m {
            for j in 0..n {
                let terms = (0..depth).map(|k| {
                    let (row, column) = if case.transposed { (j, k) } else { (k, j) };
                    (
                        left[(a_image * m + i) * depth + k],
                        right[(b_image * rows + row) * columns + column],
                    )
                });
                expected.push(sum_of_products(case.numbers, terms));
            }
        }
    }
    each_set(|set| {
        let found = on_threads(2, || {
            if case.transposed {
                small::transposed(set, &pool(), a, b).to_vec()
            } else {
                small::plain(set, &pool(), a, b).to_vec()
            }
        });
        assert_within(&format!("{case:?} on {set:?}"), &found, &expected);
    });
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn equals_three_loops(
        batches in batches(),
        sizes in sizes(),
        transposed: bool,
        numbers in any_numbers(),
        seed: u64,
    ) {
        check(&Case { batches, sizes, transposed, numbers, seed });
    }
}
