//! [`product::multiply`] against three nested loops.

use super::rows::normalised;
use super::{
    Expected, Numbers, ROUNDING, Random, any_numbers, assert_same_bits, assert_within, cases,
    each_set, functions, on_threads, pool, sum_of_products,
};
use crate::finish::Finish;
use crate::pack::Normalise;
use crate::product::{self, Form, HEAD, Layout, PackedMatrix, Rows, Storage};
use half::f16;
use proptest::prelude::*;
use std::ops::Range;
use vcp_model::Activation;
use vcp_simd::Supported;

/// What follows the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    Activate(Activation),
    Relu6,
    Residual,
}

/// One product, all but its numbers.
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) images: usize,
    pub(super) rows_per_image: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) heads: bool,
    pub(super) half: bool,
    pub(super) bias: bool,
    pub(super) norm: bool,
    pub(super) after: After,
    pub(super) numbers: Numbers,
    pub(super) threads: usize,
    pub(super) seed: u64,
}

/// Random values for a case.
pub(super) struct Values {
    pub(super) x: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) residual: Vec<f32>,
    pub(super) norm: Option<(Vec<f32>, Vec<f32>)>,
}

/// What a kernel is given beside the matrix.
pub(super) struct Arguments<'a> {
    pub(super) x: &'a [f32],
    pub(super) normalise: Option<Normalise<'a>>,
    pub(super) finish: Finish<'a>,
    pub(super) form: Form,
}

const EPSILON: f32 = 1e-5;

/// A matrix [outputs, inputs].
pub(super) struct Weights<'a> {
    pub(super) values: &'a [f32],
    pub(super) inputs: usize,
    pub(super) half: bool,
}

impl Rows for Weights<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(&self.values[rows.start * self.inputs..rows.end * self.inputs]);
    }

    fn storage(&self) -> Storage<'_> {
        if self.half {
            Storage::Half
        } else {
            Storage::Single
        }
    }

    fn codes(&self, _: Range<usize>, _: &mut [i8]) {
        unreachable!("there are none");
    }
}

/// The kernel.
pub(super) fn multiply(
    instruction_set: Supported,
    threads: usize,
    matrix: &PackedMatrix,
    arguments: &Arguments<'_>,
) -> Vec<f32> {
    let &Arguments {
        x,
        normalise,
        finish,
        form,
    } = arguments;
    let mut out = vec![f32::NAN; x.len() / matrix.inputs * matrix.outputs];
    on_threads(threads, || {
        product::multiply(
            instruction_set,
            &pool(),
            threads,
            x,
            normalise,
            matrix,
            finish,
            form,
            &mut out,
        );
    });
    out
}

impl Case {
    pub(super) fn rows(&self) -> usize {
        self.images * self.rows_per_image
    }

    pub(super) fn values(&self) -> Values {
        let mut random = Random(self.seed);
        let mut numbers = |count| random.numbers(count, self.numbers);
        let mut weight = numbers(self.inputs * self.outputs);
        if self.half {
            for value in &mut weight {
                *value = f16::from_f32(*value).to_f32();
            }
        }
        Values {
            x: numbers(self.rows() * self.inputs),
            weight,
            bias: self.bias.then(|| numbers(self.outputs)),
            residual: numbers(self.rows() * self.outputs),
            norm: self
                .norm
                .then(|| (numbers(self.inputs), numbers(self.inputs))),
        }
    }

    pub(super) fn pack(&self, instruction_set: Supported, values: &Values) -> PackedMatrix {
        PackedMatrix::pack(
            instruction_set,
            [self.outputs, self.inputs],
            values.bias.as_deref(),
            &Weights {
                values: &values.weight,
                inputs: self.inputs,
                half: self.half,
            },
        )
    }

    /// For some of the images.
    pub(super) fn arguments<'a>(&self, values: &'a Values, images: Range<usize>) -> Arguments<'a> {
        let part = |width| {
            let image = self.rows_per_image * width;
            images.start * image..images.end * image
        };
        let x = &values.x[part(self.inputs)];
        let finish = match self.after {
            After::Nothing => Finish::Bias,
            After::Activate(activation) => Finish::Activate(activation),
            After::Relu6 => Finish::Relu6,
            After::Residual => Finish::Add(&values.residual[part(self.outputs)]),
        };
        let layout = if self.heads {
            Layout::Heads {
                rows_per_image: self.rows_per_image,
                query_scale: 1.0,
            }
        } else {
            Layout::Rows
        };
        let normalise = values.norm.as_ref().map(|(weight, bias)| Normalise {
            weight,
            bias,
            epsilon: EPSILON,
        });
        Arguments {
            x,
            normalise,
            finish,
            form: Form {
                layout,
                ..Form::ROWS
            },
        }
    }

    /// The kernel on some of the images.
    pub(super) fn run_with(
        &self,
        instruction_set: Supported,
        threads: usize,
        matrix: &PackedMatrix,
        values: &Values,
        images: Range<usize>,
    ) -> Vec<f32> {
        let arguments = self.arguments(values, images);
        multiply(instruction_set, threads, matrix, &arguments)
    }

    pub(super) fn run(&self, instruction_set: Supported, values: &Values) -> Vec<f32> {
        let matrix = self.pack(instruction_set, values);
        self.run_with(
            instruction_set,
            self.threads,
            &matrix,
            values,
            0..self.images,
        )
    }

    /// Bias plus sum for one element, with layer norm where asked.
    fn sum(&self, values: &Values, row: usize, output: usize) -> Expected {
        let x = &values.x[row * self.inputs..][..self.inputs];
        let weight = &values.weight[output * self.inputs..][..self.inputs];
        let bias = values.bias.as_ref().map_or(0.0, |bias| bias[output]);
        let Some((norm_weight, norm_bias)) = &values.norm else {
            let terms = x.iter().zip(weight).map(|(x, w)| (*x, *w));
            return sum_of_products(self.numbers, terms.chain([(bias, 1.0)]));
        };
        let mut sum = Expected {
            value: f64::from(bias),
            allowed: 0.0,
        };
        let mut magnitude = f64::from(bias.abs());
        for (x, w) in normalised(x, norm_weight, norm_bias, EPSILON)
            .iter()
            .zip(weight)
        {
            let w = f64::from(*w);
            sum.value += x.value * w;
            sum.allowed += x.allowed * w.abs();
            magnitude += (x.value * w).abs();
        }
        sum.allowed += magnitude * (self.inputs + 2) as f64 * ROUNDING;
        sum
    }

    pub(super) fn place(&self, row: usize, output: usize) -> usize {
        if self.heads {
            let (image, row) = (row / self.rows_per_image, row % self.rows_per_image);
            let (head, channel) = (output / HEAD, output % HEAD);
            ((image * (self.outputs / HEAD) + head) * self.rows_per_image + row) * HEAD + channel
        } else {
            row * self.outputs + output
        }
    }

    /// What is to come out where sums with their bias, by row and output, are these.
    pub(super) fn finished(
        &self,
        values: &Values,
        sum: impl Fn(usize, usize) -> Expected,
    ) -> Vec<Expected> {
        let mut out = vec![Expected::exactly(f64::NAN); self.rows() * self.outputs];
        for row in 0..self.rows() {
            for output in 0..self.outputs {
                let place = self.place(row, output);
                let sum = sum(row, output);
                out[place] = match self.after {
                    After::Nothing => sum,
                    After::Activate(activation) => functions::activated(activation, sum),
                    After::Relu6 => Expected {
                        value: sum.value.clamp(0.0, 6.0),
                        ..sum
                    },
                    After::Residual => {
                        let value = sum.value + f64::from(values.residual[place]);
                        let rounding = if sum.allowed == 0.0 { 0.0 } else { ROUNDING };
                        Expected {
                            value,
                            allowed: sum.allowed + value.abs() * rounding,
                        }
                    }
                };
            }
        }
        out
    }
}

impl Case {
    fn expected(&self, values: &Values) -> Vec<Expected> {
        self.finished(values, |row, output| self.sum(values, row, output))
    }
}

/// Rows, inputs and outputs: deep sums, many rows, many outputs.
fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
    let deep = prop_oneof![
        1_usize..2100,
        255_usize..=257,
        511_usize..=513,
        1023_usize..=1025,
    ];
    prop_oneof![
        (1_usize..=20, deep, 1_usize..=40),
        (1_usize..=1500, 1_usize..=16, 1_usize..=20),
        (1_usize..=60, 1_usize..=60, 1_usize..=300),
    ]
}

fn any_after() -> impl Strategy<Value = After> {
    prop_oneof![
        Just(After::Nothing),
        Just(After::Activate(Activation::Gelu)),
        Just(After::Activate(Activation::QuickGelu)),
        Just(After::Relu6),
        Just(After::Residual),
    ]
}

pub(super) fn any_case() -> impl Strategy<Value = Case> {
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (
        sizes(),
        1_usize..=3,
        switches,
        any_after(),
        any_numbers(),
        1_usize..=3,
        any::<u64>(),
    )
        .prop_map(
            |((rows, inputs, outputs), images, switches, after, numbers, threads, seed)| {
                let (heads, half, bias, norm) = switches;
                Case {
                    images,
                    rows_per_image: rows.div_ceil(images),
                    inputs,
                    outputs: if heads {
                        outputs.next_multiple_of(HEAD)
                    } else {
                        outputs
                    },
                    heads,
                    half,
                    bias,
                    norm,
                    after,
                    numbers,
                    threads,
                    seed,
                }
            },
        )
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn equals_three_loops(case in any_case()) {
        let values = case.values();
        let expected = case.expected(&values);
        each_set(|set| {
            let found = case.run(set, &values);
            assert_within(&format!("{case:?} on {set:?}"), &found, &expected);
        });
    }
}

/// The case that the others start from: several tiles and remainders in every direction.
pub(super) fn plain_case() -> Case {
    Case {
        images: 1,
        rows_per_image: 31,
        inputs: 70,
        outputs: 75,
        heads: false,
        half: false,
        bias: true,
        norm: false,
        after: After::Nothing,
        numbers: Numbers::Fractions,
        threads: 2,
        seed: 1,
    }
}

/// What is not a number in one row stays in that row, and in one column in that column: the
/// padding of tiles touches nothing.
#[test]
fn nan_stays_where_it_is() {
    let case = plain_case();
    let mut values = case.values();
    let (bad_row, bad_output) = (case.rows() - 1, case.outputs - 1);
    values.x[bad_row * case.inputs + 3] = f32::NAN;
    values.weight[bad_output * case.inputs + 5] = f32::NAN;
    each_set(|set| {
        let found = case.run(set, &values);
        for (index, value) in found.iter().enumerate() {
            let bad = index / case.outputs == bad_row || index % case.outputs == bad_output;
            assert_eq!(value.is_nan(), bad, "value {index} on {set:?}");
        }
    });
}

/// Weights that another device has packed: its panels may be of the same width, or they are refused.
#[test]
fn weights_of_another_set_are_read_right_or_refused() {
    let case = plain_case();
    let values = case.values();
    each_set(|packer| {
        let matrix = case.pack(packer, &values);
        each_set(|set| {
            let run = || case.run_with(set, 1, &matrix, &values, 0..case.images);
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            assert!(found.is_ok() || set != packer, "{set:?}");
            if let Ok(found) = found {
                let expected = case.run(set, &values);
                assert_same_bits(&format!("{packer:?} for {set:?}"), &found, &expected);
            }
        });
    });
}

/// A product with a single input of 1 gives back the weights: every finite f16, zeros and
/// subnormals included, comes out exactly.
#[test]
fn every_half_precision_weight_is_read_exactly() {
    let weights: Vec<f32> = (0..=u16::MAX)
        .map(|bits| f16::from_bits(bits).to_f32())
        .filter(|value| value.is_finite())
        .collect();
    let case = Case {
        rows_per_image: 1,
        inputs: 1,
        outputs: weights.len(),
        half: true,
        bias: false,
        ..plain_case()
    };
    let expected: Vec<Expected> = weights
        .iter()
        .map(|&value| Expected::exactly(f64::from(value)))
        .collect();
    let values = Values {
        x: vec![1.0],
        weight: weights,
        ..case.values()
    };
    let values = Values {
        bias: None,
        ..values
    };
    each_set(|set| {
        let found = case.run(set, &values);
        assert_within(&format!("weights on {set:?}"), &found, &expected);
    });
}

/// Deeper than two blocks of every instruction set, exactly: each of 2500 terms counts once.
#[test]
fn deep_sums_are_complete() {
    for half in [false, true] {
        let case = Case {
            rows_per_image: 16,
            inputs: 2500,
            outputs: 33,
            numbers: Numbers::Whole,
            half,
            ..plain_case()
        };
        let values = case.values();
        let expected = case.expected(&values);
        each_set(|set| {
            let found = case.run(set, &values);
            assert_within(&format!("{case:?} on {set:?}"), &found, &expected);
        });
    }
}
