//! Linear layers with what comes after them.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_model::Orientation;
use vcp_simd::{Supported, kernel};

use super::curve::{Curve, bend, bend_in_place};
use super::product::{Matrix, MatrixMut, Threads, product};
use super::{Fused, dimensions, like, tensor, values};

/// Rows that one piece of work has: enough that packing the weights for each hardly counts. How rows are
/// cut does not depend on the number of threads, and so neither do results.
const ROWS: usize = 512;

/// Who computes a product with so many rows: a single piece of work is shared by all.
fn threads(rows: usize) -> Threads {
    if rows <= ROWS {
        Threads::All
    } else {
        Threads::One
    }
}

/// x·W + b, then a function of each element or a residual. Inputs: x [batch, rows, inputs], W as stored, b [outputs]
/// if there is one, and the residual [batch, rows, outputs] if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearLayer {
    pub(crate) orientation: Orientation,
    pub(crate) has_bias: bool,
    pub(crate) curve: Option<Curve>,
    pub(crate) has_residual: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    x: FlexTensor,
    weight: FlexTensor,
    /// What tells the slopes of the function.
    of_curve: Option<FlexTensor>,
}

kernel! {
    /// Every row is set to the bias, or it is added.
    pub(super) fn start_with<S: Simd>(_simd: S, bias: &[f32], rows: &mut [f32], add: bool) {
        for row in rows.chunks_exact_mut(bias.len().max(1)) {
            if add {
                for (value, bias) in row.iter_mut().zip(bias) {
                    *value += bias;
                }
            } else {
                row.copy_from_slice(bias);
            }
        }
    }
}

kernel! {
    /// Every row is added to `sum`.
    fn add_rows<S: Simd>(_simd: S, rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// The sum of all rows.
fn sum_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let parts = rows.par_chunks(ROWS * width.max(1)).map(|rows| {
        let mut sum = vec![0.0; width];
        add_rows(Supported::detect(), rows, &mut sum);
        sum
    });
    add_in_order(parts.collect(), width)
}

/// The sum of all parts.
pub(super) fn add_in_order(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    for part in parts {
        for (total, value) in total.iter_mut().zip(part) {
            *total += value;
        }
    }
    total
}

impl LinearLayer {
    /// The stored matrix as [inputs, outputs].
    fn matrix(self, weight: &FlexTensor) -> Matrix<'_> {
        let stored = Matrix::all(values(weight), dimensions(weight));
        match self.orientation {
            Orientation::OutputsInputs => stored.transposed(),
            Orientation::InputsOutputs => stored,
        }
    }

    fn outputs(self, weight: &FlexTensor) -> usize {
        let [first, second] = dimensions(weight);
        match self.orientation {
            Orientation::OutputsInputs => first,
            Orientation::InputsOutputs => second,
        }
    }

    /// The gradient of the matrix, as it is stored.
    fn of_weight(self, kept: &Kept, of_sum: &[f32], count: usize) -> FlexTensor {
        let [_, _, width] = dimensions(&kept.x);
        let outputs = self.outputs(&kept.weight);
        let of_sum = Matrix::all(of_sum, [count, outputs]);
        let x = Matrix::all(values(&kept.x), [count, width]);
        let mut of_weight = vec![0.0; width * outputs];
        let (shape, a, b) = match self.orientation {
            Orientation::OutputsInputs => ([outputs, width], of_sum, x),
            Orientation::InputsOutputs => ([width, outputs], x, of_sum),
        };
        let mut out = MatrixMut::all(&mut of_weight, shape);
        product(&mut out, false, a.transposed(), b, 1.0, Threads::All);
        like(&kept.weight, of_weight)
    }
}

impl Fused for LinearLayer {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let mut inputs = inputs.into_iter().map(|input| input.to_contiguous());
        let mut next = || inputs.next().expect("as many inputs as are described");
        let (x, weight) = (next(), next());
        let bias = self.has_bias.then(&mut next);
        let residual = self.has_residual.then(&mut next);
        let [batch, rows, width] = dimensions(&x);
        let outputs = self.outputs(&weight);
        let matrix = self.matrix(&weight);
        // The product is added to what stands there already: residual and bias.
        let is_started = bias.is_some() || residual.is_some();
        let mut result = residual.as_ref().map_or_else(
            || vec![0.0; batch * rows * outputs],
            |residual| values(residual).to_vec(),
        );
        let piece = |x: &[f32], to: &mut [f32]| {
            if let Some(bias) = &bias {
                start_with(Supported::detect(), values(bias), to, residual.is_some());
            }
            let count = x.len() / width.max(1);
            let mut out = MatrixMut::all(to, [count, outputs]);
            let x = Matrix::all(x, [count, width]);
            product(&mut out, is_started, x, matrix, 1.0, threads(batch * rows));
        };
        let keeps_sums = keep && self.curve.is_some_and(|it| !it.is_told_by_results());
        let mut sums = vec![0.0; if keeps_sums { result.len() } else { 0 }];
        let (of_x, of_result) = (ROWS * width.max(1), ROWS * outputs.max(1));
        let pieces = values(&x)
            .par_chunks(of_x)
            .zip(result.par_chunks_mut(of_result));
        match self.curve {
            None => pieces.for_each(|(x, to)| piece(x, to)),
            Some(curve) if keeps_sums => {
                let pieces = pieces.zip(sums.par_chunks_mut(of_result));
                pieces.for_each(|((x, to), sums)| {
                    piece(x, sums);
                    bend(Supported::detect(), curve, sums, to);
                });
            }
            Some(curve) => pieces.for_each(|(x, to)| {
                piece(x, to);
                bend_in_place(Supported::detect(), curve, to);
            }),
        }
        let shape = [batch, rows, outputs];
        let result = tensor(result, shape);
        let kept = keep.then(|| Kept {
            of_curve: self.curve.map(|_| {
                if keeps_sums {
                    tensor(sums, shape)
                } else {
                    result.clone()
                }
            }),
            x,
            weight,
        });
        (result, kept)
    }

    fn backward(
        &self,
        kept: Kept,
        gradient: FlexTensor,
        wanted: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let gradient = gradient.to_contiguous();
        let [batch, rows, width] = dimensions(&kept.x);
        let outputs = self.outputs(&kept.weight);
        let (count, of_result) = (batch * rows, ROWS * outputs.max(1));
        // With respect to what the function is given.
        let curve = self.curve.zip(kept.of_curve.as_ref());
        let of_sum = curve.map(|(curve, kept)| curve.gradient(kept, &gradient));
        let of_sum = of_sum.as_deref().unwrap_or_else(|| values(&gradient));

        let of_x = wanted[0].then(|| {
            let weight = self.matrix(&kept.weight).transposed();
            let mut of_x = vec![0.0; count * width];
            of_sum
                .par_chunks(of_result)
                .zip(of_x.par_chunks_mut(ROWS * width.max(1)))
                .for_each(|(of_sum, to)| {
                    let count = to.len() / width.max(1);
                    let mut out = MatrixMut::all(to, [count, width]);
                    let of_sum = Matrix::all(of_sum, [count, outputs]);
                    product(&mut out, false, of_sum, weight, 1.0, threads(batch * rows));
                });
            like(&kept.x, of_x)
        });
        let of_weight = wanted[1].then(|| self.of_weight(&kept, of_sum, count));
        let mut found = vec![of_x, of_weight];
        if self.has_bias {
            let of_bias = || tensor(sum_of_rows(of_sum, outputs), [outputs]);
            found.push(wanted[2].then(of_bias));
        }
        if self.has_residual {
            found.push(Some(gradient.clone()));
        }
        found
    }
}
