//! [`depthwise::convolve`] against plain loops.

use super::{
    Expected, Numbers, ROUNDING, Random, any_numbers, assert_same_bits, assert_within, cases,
    each_set, functions, on_threads, pool, sum_of_products,
};
use crate::depthwise::{self, Kernels};
use crate::finish::Finish;
use proptest::prelude::*;
use std::ops::Range;
use vcp_model::{Activation, Windows};
use vcp_simd::Supported;

/// What follows the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    Gelu,
    Relu6,
    Residual,
}

/// One convolution, all but its numbers.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) batch: usize,
    map: [usize; 2],
    channels: usize,
    windows: Windows,
    after: After,
    numbers: Numbers,
    seed: u64,
}

/// Random values for a case.
pub(super) struct Values {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

impl Case {
    /// Height and width of the result.
    fn result(&self) -> [usize; 2] {
        self.map.map(|length| length / self.windows.stride)
    }

    pub(super) fn values(&self) -> Values {
        let mut random = Random(self.seed);
        let mut numbers = |count| random.numbers(count, self.numbers);
        let pixels = |map: [usize; 2]| self.batch * map[0] * map[1] * self.channels;
        Values {
            x: numbers(pixels(self.map)),
            weight: numbers(self.channels * self.windows.side.pow(2)),
            bias: numbers(self.channels),
            residual: numbers(pixels(self.result())),
        }
    }

    /// The kernel on some of the images.
    pub(super) fn run(
        &self,
        instruction_set: Supported,
        threads: usize,
        values: &Values,
        images: Range<usize>,
    ) -> Vec<f32> {
        let part = |map: [usize; 2]| {
            let image = map[0] * map[1] * self.channels;
            images.start * image..images.end * image
        };
        let kernels = Kernels::pack(&values.weight, &values.bias, self.windows);
        let finish = match self.after {
            After::Nothing => Finish::Bias,
            After::Gelu => Finish::Activate(Activation::Gelu),
            After::Relu6 => Finish::Relu6,
            After::Residual => Finish::Add(&values.residual[part(self.result())]),
        };
        let x = &values.x[part(self.map)];
        on_threads(threads, || {
            depthwise::convolve(instruction_set, &pool(), x, self.map, &kernels, finish).to_vec()
        })
    }

    fn sum(&self, values: &Values, image: usize, window: [usize; 2], channel: usize) -> Expected {
        let Windows { side, stride } = self.windows;
        let before = (side - stride) / 2;
        let [height, width] = self.map;
        let terms = (0..side * side).filter_map(|tap| {
            let y = (window[0] * stride + tap / side).checked_sub(before)?;
            let x = (window[1] * stride + tap % side).checked_sub(before)?;
            let at = ((image * height + y) * width + x) * self.channels + channel;
            let weight = values.weight[channel * side * side + tap];
            (y < height && x < width).then(|| (values.x[at], weight))
        });
        sum_of_products(self.numbers, terms.chain([(values.bias[channel], 1.0)]))
    }

    fn expected(&self, values: &Values) -> Vec<Expected> {
        let [down, across] = self.result();
        let places = (0..self.batch * down * across * self.channels).map(|place| {
            let (window, channel) = (place / self.channels, place % self.channels);
            let (image, window) = (window / (down * across), window % (down * across));
            let sum = self.sum(values, image, [window / across, window % across], channel);
            match self.after {
                After::Nothing => sum,
                After::Gelu => functions::activated(Activation::Gelu, sum),
                After::Relu6 => Expected {
                    value: sum.value.clamp(0.0, 6.0),
                    ..sum
                },
                After::Residual => {
                    let value = sum.value + f64::from(values.residual[place]);
                    let rounding = if sum.allowed == 0.0 { 0.0 } else { ROUNDING };
                    let allowed = sum.allowed + value.abs() * rounding;
                    Expected { value, allowed }
                }
            }
        });
        places.collect()
    }
}

pub(super) fn any_case() -> impl Strategy<Value = Case> {
    let side = 1_usize..=7;
    let windows = side.prop_flat_map(|side| (Just(side), 1..=side));
    let after = prop_oneof![
        Just(After::Nothing),
        Just(After::Gelu),
        Just(After::Relu6),
        Just(After::Residual),
    ];
    // Less than a register, a few, more than a block.
    let channels = prop_oneof![1_usize..=40, 90_usize..=140, 250_usize..=400];
    (
        windows,
        (1_usize..=3, 0_usize..=9, 0_usize..=30),
        channels,
        after,
        any_numbers(),
        any::<u64>(),
    )
        .prop_map(
            |((side, stride), (batch, more, wider), channels, after, numbers, seed)| Case {
                batch,
                map: [stride + more, stride + wider],
                channels,
                windows: Windows { side, stride },
                after,
                numbers,
                seed,
            },
        )
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn equals_plain_loops(case in any_case()) {
        let values = case.values();
        let expected = case.expected(&values);
        each_set(|set| {
            let found = case.run(set, 2, &values, 0..case.batch);
            assert_within(&format!("{case:?} on {set:?}"), &found, &expected);
        });
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// The bits of a channel do not depend on how many there are beside it, and so not on the tile or strip
    /// that it falls in.
    #[test]
    fn channels_alone_give_the_same_bits(case in any_case(), most in 1_usize..=400) {
        let few = Case { channels: most.min(case.channels), after: After::Nothing, ..case.clone() };
        let case = Case { after: After::Nothing, ..case };
        let values = case.values();
        let cut = |all: &[f32]| -> Vec<f32> {
            let pixels = all.chunks_exact(case.channels);
            pixels.flat_map(|pixel| pixel[..few.channels].to_vec()).collect()
        };
        let cut_values = Values {
            x: cut(&values.x),
            weight: values.weight[..few.channels * case.windows.side.pow(2)].to_vec(),
            bias: values.bias[..few.channels].to_vec(),
            residual: Vec::new(),
        };
        each_set(|set| {
            let all = case.run(set, 2, &values, 0..case.batch);
            let found = few.run(set, 2, &cut_values, 0..case.batch);
            assert_same_bits(&format!("{case:?} on {set:?}"), &found, &cut(&all));
        });
    }
}

/// What is not a number spreads to the windows that it is in, in its own channel, and `ReLU6` lets it through.
#[test]
fn nan_stays_where_it_is() {
    for after in [After::Nothing, After::Relu6] {
        let case = Case {
            batch: 1,
            map: [9, 20],
            channels: 37,
            windows: Windows { side: 3, stride: 1 },
            after,
            numbers: Numbers::Fractions,
            seed: 1,
        };
        for (row, column, channel) in [(0, 0, 0), (4, 10, 9), (8, 19, 36)] {
            let mut values = case.values();
            values.x[(row * 20 + column) * 37 + channel] = f32::NAN;
            each_set(|set| {
                let found = case.run(set, 2, &values, 0..1);
                for (index, value) in found.iter().enumerate() {
                    let (pixel, own) = (index / 37, index % 37);
                    let is_near =
                        (pixel / 20).abs_diff(row) <= 1 && (pixel % 20).abs_diff(column) <= 1;
                    let is_bad = own == channel && is_near;
                    assert_eq!(value.is_nan(), is_bad, "value {index} on {set:?}");
                }
            });
        }
    }
}
