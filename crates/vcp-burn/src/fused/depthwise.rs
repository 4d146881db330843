//! Depthwise convolutions with what comes after them.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_model::Windows;
use vcp_simd::{Supported, kernel};

use super::curve::{Curve, bend_in_place};
use super::linear::{add_in_order, start_with};
use super::{Fused, PIECE, dimensions, like, tensor, values};

/// Rows of windows whose terms one piece of the kernels' gradient adds up.
const ROWS: usize = 8;

/// Every channel convolved with its own kernel, then a function of each element or a residual. Inputs: x
/// [batch, height·width, channels], kernels [channels, side²], bias [channels], and the residual [batch,
/// windows, channels] if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthwiseLayer {
    /// Height and width of the maps.
    pub(crate) map: [usize; 2],
    pub(crate) windows: Windows,
    pub(crate) curve: Option<Curve>,
    pub(crate) has_residual: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    x: FlexTensor,
    kernels: FlexTensor,
    /// What tells the slopes of the function.
    of_curve: Option<FlexTensor>,
}

/// A term of a sum along a side of a map: the place in the map that is read, and the row or column of the
/// kernel.
#[derive(Clone, Copy)]
struct Term {
    source: usize,
    tap: usize,
}

/// For each window along a side: its pixels that lie within the map.
fn pixels_of_windows(windows: Windows, length: usize) -> Vec<Vec<Term>> {
    let terms = |window: usize| {
        let terms = (0..windows.side).filter_map(move |tap| {
            let source = (window * windows.stride + tap).checked_sub(windows.margin())?;
            (source < length).then_some(Term { source, tap })
        });
        terms.collect()
    };
    (0..windows.along(length)).map(terms).collect()
}

/// For each pixel along a side: the windows that it lies in.
fn windows_of_pixels(windows: Windows, length: usize) -> Vec<Vec<Term>> {
    let terms = |pixel: usize| {
        let terms = (0..windows.side).filter_map(move |tap| {
            let first = (pixel + windows.margin()).checked_sub(tap)?;
            let source = first / windows.stride;
            let is_window = first.is_multiple_of(windows.stride) && source < windows.along(length);
            is_window.then_some(Term { source, tap })
        });
        terms.collect()
    };
    (0..length).map(terms).collect()
}

/// Calls `work` with the first channel of groups of 32, then of 8, then of 1. The number of channels in a
/// group is a constant for the compiler, and sums of them stay in registers.
macro_rules! by_group {
    ($channels:expr, $work:ident($($argument:expr),*)) => {
        let (channels, mut first) = ($channels, 0);
        while first + 32 <= channels {
            $work::<32>($($argument,)* first);
            first += 32;
        }
        while first + 8 <= channels {
            $work::<8>($($argument,)* first);
            first += 8;
        }
        while first < channels {
            $work::<1>($($argument,)* first);
            first += 1;
        }
    };
}

/// Maps in memory: one image's, their pixels row by row, and how many channels a pixel has.
#[derive(Clone, Copy)]
struct Map<'a> {
    values: &'a [f32],
    width: usize,
    channels: usize,
}

impl<'a> Map<'a> {
    #[inline(always)]
    fn at<const N: usize>(self, row: usize, column: usize, channel: usize) -> &'a [f32] {
        &self.values[(row * self.width + column) * self.channels + channel..][..N]
    }
}

/// Adds products of sources and weights to some channels of one place.
#[inline(always)]
fn add_terms<const N: usize>(
    rows: &[Term],
    columns: &[Term],
    from: Map<'_>,
    weight: Map<'_>,
    to: &mut [f32],
    first: usize,
) {
    let to = &mut to[first..first + N];
    let mut sums = [0.0; N];
    sums.copy_from_slice(to);
    for row in rows {
        for column in columns {
            let x = from.at::<N>(row.source, column.source, first);
            let weight = weight.at::<N>(row.tap, column.tap, first);
            for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weight) {
                *sum += x * weight;
            }
        }
    }
    to.copy_from_slice(&sums);
}

kernel! {
    /// Adds to every place of a line what its terms are. The kernel is a map [side, side, channels].
    fn add_to_line<S: Simd>(
        _simd: S,
        rows: &[Term],
        columns: &[Vec<Term>],
        from: Map<'_>,
        weight: Map<'_>,
        line: &mut [f32],
    ) {
        for (columns, to) in columns.iter().zip(line.chunks_exact_mut(from.channels)) {
            by_group!(from.channels, add_terms(rows, columns, from, weight, to));
        }
    }
}

/// Adds to some channels of the kernels' gradient, and of the bias's that is behind it, what a line of
/// windows gives.
#[inline(always)]
fn add_products<const N: usize>(
    rows: &[Term],
    by_tap: &[Vec<[usize; 2]>],
    from: Map<'_>,
    gradient: &[f32],
    sums: &mut [f32],
    first: usize,
) {
    let channels = from.channels;
    for row in rows {
        for (tap, places) in by_tap.iter().enumerate() {
            let at = (row.tap * by_tap.len() + tap) * channels + first;
            let mut sum = [0.0; N];
            for [window, column] in places {
                let x = from.at::<N>(row.source, *column, first);
                let gradient = &gradient[window * channels + first..][..N];
                for ((sum, x), gradient) in sum.iter_mut().zip(x).zip(gradient) {
                    *sum += x * gradient;
                }
            }
            for (total, sum) in sums[at..at + N].iter_mut().zip(sum) {
                *total += sum;
            }
        }
    }
    let mut sum = [0.0; N];
    for gradient in gradient.chunks_exact(channels) {
        for (sum, gradient) in sum.iter_mut().zip(&gradient[first..first + N]) {
            *sum += gradient;
        }
    }
    let of_bias = by_tap.len() * by_tap.len() * channels + first;
    for (total, sum) in sums[of_bias..of_bias + N].iter_mut().zip(sum) {
        *total += sum;
    }
}

kernel! {
    /// What a line of windows adds to the gradients of the kernels [side, side, channels] and of the bias.
    /// `by_tap` has, for each column of the kernel, the windows and their pixels in it.
    fn add_line<S: Simd>(
        _simd: S,
        rows: &[Term],
        by_tap: &[Vec<[usize; 2]>],
        from: Map<'_>,
        gradient: &[f32],
        sums: &mut [f32],
    ) {
        by_group!(from.channels, add_products(rows, by_tap, from, gradient, sums));
    }
}

/// [rows, columns] turned.
fn turned(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let turned = (0..rows * columns).map(|at| values[at % rows * columns + at / rows]);
    turned.collect()
}

impl DepthwiseLayer {
    /// Adds to maps `to` of this size what the terms of their rows and columns are in the maps of another.
    fn add_all(
        self,
        [from, weight]: [&[f32]; 2],
        [map, of]: [[usize; 2]; 2],
        terms: fn(Windows, usize) -> Vec<Vec<Term>>,
        to: &mut [f32],
    ) {
        let side = self.windows.side;
        let channels = weight.len() / (side * side);
        let [rows, columns] = self.map.map(|length| terms(self.windows, length));
        let weight = Map {
            values: weight,
            width: side,
            channels,
        };
        to.par_chunks_exact_mut((map[1] * channels).max(1))
            .enumerate()
            .for_each(|(index, line)| {
                let (image, row) = (index / map[0], index % map[0]);
                let size = of[0] * of[1] * channels;
                let from = Map {
                    values: &from[image * size..][..size],
                    width: of[1],
                    channels,
                };
                let set = Supported::detect();
                add_to_line(set, &rows[row], &columns, from, weight, line);
            });
    }

    /// Height and width of the result.
    fn result(self) -> [usize; 2] {
        self.map.map(|length| self.windows.along(length))
    }

    /// The gradients of kernels [channels, side²] and bias.
    fn of_parameters(self, kept: &Kept, of_sum: &[f32]) -> [FlexTensor; 2] {
        let [channels, taps] = dimensions(&kept.kernels);
        let [height, width] = self.map;
        let [down, across] = self.result();
        let [rows, columns] = self
            .map
            .map(|length| pixels_of_windows(self.windows, length));
        let mut by_tap = vec![Vec::new(); self.windows.side];
        for (window, terms) in columns.iter().enumerate() {
            for term in terms {
                by_tap[term.tap].push([window, term.source]);
            }
        }
        let (by_tap, line) = (&by_tap, (across * channels).max(1));
        let images = values(&kept.x).par_chunks_exact((height * width * channels).max(1));
        let parts = images
            .zip(of_sum.par_chunks_exact((down * line).max(1)))
            .flat_map(|(x, of_sum)| {
                let from = Map {
                    values: x,
                    width,
                    channels,
                };
                let pieces = of_sum.par_chunks(ROWS * line).zip(rows.par_chunks(ROWS));
                pieces.map(move |(of_sum, rows)| {
                    let mut sums = vec![0.0; (taps + 1) * channels];
                    for (rows, gradient) in rows.iter().zip(of_sum.chunks_exact(line)) {
                        add_line(Supported::detect(), rows, by_tap, from, gradient, &mut sums);
                    }
                    sums
                })
            });
        let total = add_in_order(parts.collect(), (taps + 1) * channels);
        let (of_kernels, of_bias) = total.split_at(taps * channels);
        let of_kernels = turned(of_kernels, [taps, channels]);
        [
            like(&kept.kernels, of_kernels),
            tensor(of_bias.to_vec(), [channels]),
        ]
    }
}

impl Fused for DepthwiseLayer {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let mut inputs = inputs.into_iter().map(|input| input.to_contiguous());
        let mut next = || inputs.next().expect("as many inputs as are described");
        let (x, kernels, bias) = (next(), next(), next());
        let residual = self.has_residual.then(next);
        let [batch, _, channels] = dimensions(&x);
        let [down, across] = self.result();
        let mut sums = residual.as_ref().map_or_else(
            || vec![0.0; batch * down * across * channels],
            |residual| values(residual).to_vec(),
        );
        let line = (across * channels).max(1);
        sums.par_chunks_mut(line).for_each(|line| {
            let add = self.has_residual;
            start_with(Supported::detect(), values(&bias), line, add);
        });
        let weight = turned(values(&kernels), dimensions(&kernels));
        let maps = [self.result(), self.map];
        self.add_all([values(&x), &weight], maps, pixels_of_windows, &mut sums);
        let shape = [batch, down * across, channels];
        let mut of_curve = None;
        if let Some(curve) = self.curve {
            if keep && !curve.is_told_by_results() {
                of_curve = Some(tensor(sums.clone(), shape));
            }
            sums.par_chunks_mut(PIECE)
                .for_each(|sums| bend_in_place(Supported::detect(), curve, sums));
        }
        let result = tensor(sums, shape);
        let kept = keep.then(|| Kept {
            of_curve: of_curve.or_else(|| self.curve.map(|_| result.clone())),
            x,
            kernels,
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
        let curve = self.curve.zip(kept.of_curve.as_ref());
        let of_sum = curve.map(|(curve, kept)| curve.gradient(kept, &gradient));
        let of_sum = of_sum.as_deref().unwrap_or_else(|| values(&gradient));
        let of_x = wanted[0].then(|| {
            let weight = turned(values(&kept.kernels), dimensions(&kept.kernels));
            let mut of_x = vec![0.0; values(&kept.x).len()];
            let maps = [self.map, self.result()];
            self.add_all([of_sum, &weight], maps, windows_of_pixels, &mut of_x);
            like(&kept.x, of_x)
        });
        let is_trained = wanted[1] || wanted[2];
        let of_parameters = is_trained.then(|| self.of_parameters(&kept, of_sum));
        let (of_kernels, of_bias) = of_parameters
            .map(|[of_kernels, of_bias]| (of_kernels, of_bias))
            .unzip();
        let mut found = vec![of_x, of_kernels, of_bias];
        if self.has_residual {
            found.push(Some(gradient.clone()));
        }
        found
    }
}
