//! Narrow products and attention: of bf16 and of whole numbers of 8 bits, by every unit that goes with every
//! instruction set of this machine, and by the plain statements of them.

mod attention;
mod bf16;
mod handed_on;
mod int8;
mod rows;
mod same_bits;
#[cfg(target_arch = "x86_64")]
mod tiles;

#[cfg(target_arch = "x86_64")]
pub(crate) use tiles::PlainTiles;

use super::product::{After, Arguments, Case, Values, any_case};
use super::{Random, each_set, on_threads, pool};
use crate::elementwise;
use crate::pack::narrow::Activations;
use crate::product::{self, NarrowMatrix, Rows, Storage};
use crate::units::{AttentionUnit, Bf16Unit, Int8Unit, NarrowUnit};
use proptest::prelude::*;
use std::ops::Range;
use vcp_simd::Supported;

/// A matrix [outputs, inputs], stored as numbers or as whole numbers with scales.
#[derive(Clone)]
struct Stored {
    inputs: usize,
    values: Vec<f32>,
    codes: Option<Codes>,
}

#[derive(Clone)]
struct Codes {
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Stored {
    fn numbers(values: Vec<f32>, inputs: usize) -> Self {
        Self {
            inputs,
            values,
            codes: None,
        }
    }

    /// Random whole numbers, -128 among them, and scales.
    fn random_codes([outputs, inputs]: [usize; 2], seed: u64) -> Self {
        let mut random = Random(seed);
        let codes: Vec<i8> = (0..outputs * inputs).map(|_| random.word() as i8).collect();
        let scales: Vec<f32> = (0..outputs)
            .map(|_| (random.fraction().abs() + 0.1) / 127.0)
            .collect();
        let values = codes
            .iter()
            .enumerate()
            .map(|(index, code)| f32::from(*code) * scales[index / inputs])
            .collect();
        Self {
            inputs,
            values,
            codes: Some(Codes { codes, scales }),
        }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.inputs..][..self.inputs]
    }
}

impl Rows for Stored {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(&self.values[rows.start * self.inputs..rows.end * self.inputs]);
    }

    fn storage(&self) -> Storage<'_> {
        match &self.codes {
            Some(codes) => Storage::Codes(&codes.scales),
            None => Storage::Single,
        }
    }

    fn codes(&self, rows: Range<usize>, out: &mut [i8]) {
        let codes = self.codes.as_ref().expect("asked for where there are some");
        out.copy_from_slice(&codes.codes[rows.start * self.inputs..rows.end * self.inputs]);
    }
}

/// One product with narrow numbers, all but its numbers.
#[derive(Clone, Debug)]
struct NarrowCase {
    case: Case,
    /// Weights are stored as whole numbers.
    codes: bool,
}

impl NarrowCase {
    fn values(&self) -> (Values, Stored) {
        let mut values = self.case.values();
        let sizes = [self.case.outputs, self.case.inputs];
        let stored = if self.codes {
            Stored::random_codes(sizes, self.case.seed ^ 1)
        } else {
            Stored::numbers(std::mem::take(&mut values.weight), self.case.inputs)
        };
        (values, stored)
    }

    fn pack(&self, unit: NarrowUnit, values: &Values, weights: &Stored) -> NarrowMatrix {
        let sizes = [self.case.outputs, self.case.inputs];
        NarrowMatrix::pack(unit, sizes, values.bias.as_deref(), weights)
    }

    /// The kernel on some of the images.
    fn run_with(
        &self,
        instruction_set: Supported,
        threads: usize,
        matrix: &NarrowMatrix,
        values: &Values,
        images: Range<usize>,
    ) -> Vec<f32> {
        let arguments = self.case.arguments(values, images);
        let x = Activations::F32(arguments.x);
        multiply(instruction_set, threads, matrix, x, &arguments)
    }

    fn run(
        &self,
        instruction_set: Supported,
        unit: NarrowUnit,
        values: &Values,
        weights: &Stored,
    ) -> Vec<f32> {
        let matrix = self.pack(unit, values, weights);
        let all = 0..self.case.images;
        self.run_with(instruction_set, self.case.threads, &matrix, values, all)
    }

    /// The rows that are multiplied: after the layer norm, where there is one.
    fn rows(&self, instruction_set: Supported, values: &Values) -> Vec<f32> {
        let arguments = self.case.arguments(values, 0..self.case.images);
        let mut rows = arguments.x.to_vec();
        if let Some(normalise) = arguments.normalise {
            elementwise::layer_norm(instruction_set, arguments.x, &mut rows, normalise);
        }
        rows
    }
}

/// The kernel on an `x` that takes the place of that of the arguments.
fn multiply(
    instruction_set: Supported,
    threads: usize,
    matrix: &NarrowMatrix,
    x: Activations<'_>,
    arguments: &Arguments<'_>,
) -> Vec<f32> {
    let &Arguments {
        normalise,
        finish,
        form,
        ..
    } = arguments;
    let count = x.len() / matrix.inputs * matrix.outputs;
    let mut out = vec![f32::NAN; form.numbers.words(count)];
    on_threads(threads, || {
        product::multiply_narrow(
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

fn any_narrow_case() -> impl Strategy<Value = NarrowCase> {
    (any_case(), any::<bool>()).prop_map(|(case, codes)| NarrowCase { case, codes })
}

/// Every unit for whole numbers, with the instruction set that it goes with.
fn each_int8(check: impl Fn(Supported, NarrowUnit)) {
    each_set(|set| {
        for unit in Int8Unit::all(set) {
            check(set, NarrowUnit::Int8(unit));
        }
    });
}

/// Every unit for bf16, with the instruction set that it goes with.
fn each_bf16(check: impl Fn(Supported, Bf16Unit)) {
    each_set(|set| {
        for unit in Bf16Unit::all(set) {
            check(set, unit);
        }
    });
}

/// Attention with bf16 alone.
fn in_bf16(unit: Bf16Unit) -> AttentionUnit {
    AttentionUnit {
        bf16: unit,
        scores: None,
    }
}

/// Plain statements are offered on every machine, so that tests run the generic code of groups of two and of four.
#[test]
fn there_are_units_on_every_machine() {
    let names = |set| {
        let bf16 = Bf16Unit::all(set).into_iter().map(NarrowUnit::Bf16);
        let int8 = Int8Unit::all(set).into_iter().map(NarrowUnit::Int8);
        bf16.chain(int8)
            .map(|unit| (unit.name(), unit.group()))
            .collect::<Vec<_>>()
    };
    let portable = Supported::all().pop().expect("there is always one");
    let mut names = names(portable);
    // AMX's loops are compiled for x86-64 alone.
    names.retain(|(name, _)| !name.starts_with("tiled"));
    assert_eq!(
        names,
        [
            ("portable-bf16", 2),
            ("portable-bytes", 4),
            ("portable-saturating", 4)
        ]
    );
}
