//! [`pack::rows`]: panels of rows, column by column.

use super::{Random, assert_same_bits, cases, each_set, on_threads, pool};
use crate::blocking::product_blocking;
use crate::elementwise;
use crate::pack::{self, Normalise};
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(60))]

    /// Every element is where the micro-kernel looks for it; missing rows are zeros. With a
    /// layer norm, the elements are those that the separate layer norm gives.
    #[test]
    fn rows_lie_in_panels(
        (rows, width) in prop_oneof![
            (1_usize..=60, 1_usize..=60),
            (1_usize..=300, 1_usize..=4),
            (1_usize..=4, 1_usize..=1500),
        ],
        norm: bool,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let x = random.fractions(rows * width);
        let (weight, bias) = (random.fractions(width), random.fractions(width));
        let normalise = Normalise { weight: &weight, bias: &bias, epsilon: 1e-5 };
        each_set(|set| {
            let mut source = x.clone();
            if norm {
                elementwise::layer_norm(set, &x, &mut source, normalise);
            }
            let height = product_blocking(set).rows;
            let panels = rows.div_ceil(height);
            let mut expected = vec![0.0; panels * height * width];
            for row in 0..rows {
                for column in 0..width {
                    let (panel, place) = (row / height, row % height);
                    expected[(panel * width + column) * height + place] =
                        source[row * width + column];
                }
            }
            let packed = on_threads(2, || {
                pack::rows(set, &pool(), &x, width, norm.then_some(normalise)).to_vec()
            });
            assert_same_bits(&format!("panels on {set:?}"), &packed, &expected);
        });
    }
}
