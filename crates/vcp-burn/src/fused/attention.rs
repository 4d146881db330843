//! Self-attention that never holds all scores.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::math::exp;
use vcp_simd::{Supported, kernel};

use super::math::{largest, sum};
use super::product::{Matrix, MatrixMut, Threads, product};
use super::{Fused, dimensions, like, tensor, values};

/// Scores that are held at a time: they fit the cache of one core, twice.
const SCORES: usize = 1 << 16;

/// Attention of all rows to all rows. Input: queries, keys and values side by side,
/// [batch, rows, 3 · width].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelfAttention {
    pub(crate) heads: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    joint: FlexTensor,
    result: FlexTensor,
    /// For each query, the largest score + ln Σ e^(score − largest): [batch, heads, rows].
    totals: Vec<f32>,
}

/// One head of one image.
#[derive(Clone, Copy)]
struct Head<'a> {
    /// Starts at the image's first row.
    joint: &'a [f32],
    rows: usize,
    width: usize,
    /// Channels of the head, and the first of them.
    channels: usize,
    first: usize,
    scale: f32,
}

impl<'a> Head<'a> {
    /// Where the rows from `start` of the queries (0), keys (1) or values (2) begin.
    fn place(self, part: usize, start: usize) -> usize {
        start * 3 * self.width + part * self.width + self.first
    }

    /// `count` of these rows.
    fn part(self, part: usize, start: usize, count: usize) -> Matrix<'a> {
        let from = &self.joint[self.place(part, start)..];
        Matrix::rows(from, [count, self.channels], 3 * self.width)
    }

    fn all(self, part: usize) -> Matrix<'a> {
        self.part(part, 0, self.rows)
    }

    /// Scaled scores of `count` queries from `start`.
    fn scores(self, start: usize, count: usize, to: &mut [f32]) {
        let mut scores = MatrixMut::all(to, [count, self.rows]);
        let (query, key) = (self.part(0, start, count), self.all(1).transposed());
        product(&mut scores, false, query, key, self.scale, Threads::One);
    }
}

/// Queries at a time: equal parts whose scores are at most [`SCORES`], or a single one.
fn queries(rows: usize) -> usize {
    let at_most = (SCORES / rows.max(1)).max(1);
    rows.div_ceil(rows.div_ceil(at_most).max(1)).max(1)
}

kernel! {
    /// Scores → softmax in place, and the logarithm of what they were divided by.
    fn softmax<S: Simd>(_simd: S, scores: &mut [f32], totals: &mut [f32]) {
        let keys = scores.len() / totals.len().max(1);
        for (row, total) in scores.chunks_exact_mut(keys).zip(totals) {
            let top = largest(row);
            for score in row.iter_mut() {
                *score = exp(*score - top);
            }
            let all = sum(keys, |i| row[i]);
            let inverse = 1.0 / all;
            for score in row.iter_mut() {
                *score *= inverse;
            }
            *total = top + all.ln();
        }
    }
}

kernel! {
    /// With p the softmax of scores and d its gradient: `scores` → p, and `gradient`, d → p · (d −
    /// `along`), the gradient of the scores, where `along` is Σ p · d of each query.
    fn softmax_backward<S: Simd>(
        _simd: S,
        scores: &mut [f32],
        gradient: &mut [f32],
        totals: &[f32],
        along: &[f32],
    ) {
        let keys = scores.len() / totals.len().max(1);
        let rows = scores.chunks_exact_mut(keys);
        let rows = rows.zip(gradient.chunks_exact_mut(keys));
        for (((scores, gradient), &total), &along) in rows.zip(totals).zip(along) {
            for (score, gradient) in scores.iter_mut().zip(gradient) {
                *score = exp(*score - total);
                *gradient = *score * (*gradient - along);
            }
        }
    }
}

kernel! {
    /// Σ p · d of each query, which is its result times the gradient of that; both hold the head's
    /// channels from `first` of rows of `width`.
    fn products_along<S: Simd>(
        _simd: S,
        result: &[f32],
        gradient: &[f32],
        place: [usize; 3],
        along: &mut [f32],
    ) {
        let [first, channels, width] = place;
        for (row, along) in along.iter_mut().enumerate() {
            let at = row * width + first;
            let part = [result, gradient].map(|all| &all[at..][..channels]);
            *along = sum(channels, |i| part[0][i] * part[1][i]);
        }
    }
}

impl SelfAttention {
    fn head(self, joint: &[f32], index: usize, rows: usize, width: usize) -> Head<'_> {
        let channels = width / self.heads;
        Head {
            joint,
            rows,
            width,
            channels,
            first: index * channels,
            scale: 1.0 / (channels as f32).sqrt(),
        }
    }

    fn forward_image(self, joint: &[f32], result: &mut [f32], totals: &mut [f32], width: usize) {
        let rows = totals.len() / self.heads;
        let step = queries(rows);
        let mut scores = vec![0.0; step * rows];
        for (index, totals) in totals.chunks_exact_mut(rows).enumerate() {
            let head = self.head(joint, index, rows, width);
            for (block, totals) in totals.chunks_mut(step).enumerate() {
                let (start, count) = (block * step, totals.len());
                let scores = &mut scores[..count * rows];
                head.scores(start, count, scores);
                softmax(Supported::detect(), scores, totals);
                let to = &mut result[start * width + head.first..];
                let mut out = MatrixMut::rows(to, [count, head.channels], width);
                let scores = Matrix::all(scores, [count, rows]);
                product(&mut out, false, scores, head.all(2), 1.0, Threads::One);
            }
        }
    }

    fn backward_image(
        self,
        joint: &[f32],
        totals: &[f32],
        [result, gradient]: [&[f32]; 2],
        of_joint: &mut [f32],
        width: usize,
    ) {
        let rows = totals.len() / self.heads;
        let step = queries(rows);
        let [mut scores, mut of_scores] = [0, 0].map(|_| vec![0.0; step * rows]);
        let mut along = vec![0.0; rows];
        for (index, totals) in totals.chunks_exact(rows).enumerate() {
            let head = self.head(joint, index, rows, width);
            products_along(
                Supported::detect(),
                result,
                gradient,
                [head.first, head.channels, width],
                &mut along,
            );
            for (block, totals) in totals.chunks(step).enumerate() {
                let (start, count) = (block * step, totals.len());
                let scores = &mut scores[..count * rows];
                let of_scores = &mut of_scores[..count * rows];
                head.scores(start, count, scores);
                let of_result = &gradient[start * width + head.first..];
                let of_result = Matrix::rows(of_result, [count, head.channels], width);
                let mut out = MatrixMut::all(of_scores, [count, rows]);
                let value = head.all(2).transposed();
                product(&mut out, false, of_result, value, 1.0, Threads::One);
                softmax_backward(
                    Supported::detect(),
                    scores,
                    of_scores,
                    totals,
                    &along[start..][..count],
                );

                let scores = Matrix::all(scores, [count, rows]);
                let of_scores = Matrix::all(of_scores, [count, rows]);
                let mut store = |part, start, count, add, a, b, factor| {
                    let to = &mut of_joint[head.place(part, start)..];
                    let mut out = MatrixMut::rows(to, [count, head.channels], 3 * width);
                    product(&mut out, add, a, b, factor, Threads::One);
                };
                let (query, add) = (head.part(0, start, count), block > 0);
                store(0, start, count, false, of_scores, head.all(1), head.scale);
                store(1, 0, rows, add, of_scores.transposed(), query, head.scale);
                store(2, 0, rows, add, scores.transposed(), of_result, 1.0);
            }
        }
    }
}

impl Fused for SelfAttention {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let joint = inputs[0].to_contiguous();
        let [batch, rows, triple] = dimensions(&joint);
        let width = triple / 3;
        let mut result = vec![0.0; batch * rows * width];
        let mut totals = vec![0.0; batch * self.heads * rows];
        values(&joint)
            .par_chunks(rows * triple)
            .zip(result.par_chunks_mut(rows * width))
            .zip(totals.par_chunks_mut(self.heads * rows))
            .for_each(|((joint, result), totals)| self.forward_image(joint, result, totals, width));
        let result = tensor(result, [batch, rows, width]);
        let kept = keep.then(|| Kept {
            joint,
            result: result.clone(),
            totals,
        });
        (result, kept)
    }

    fn backward(&self, kept: Kept, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let gradient = gradient.to_contiguous();
        let [_, rows, width] = dimensions(&gradient);
        let joint = values(&kept.joint);
        let mut of_joint = vec![0.0; joint.len()];
        joint
            .par_chunks(rows * 3 * width)
            .zip(of_joint.par_chunks_mut(rows * 3 * width))
            .zip(kept.totals.par_chunks(self.heads * rows))
            .zip(values(&kept.result).par_chunks(rows * width))
            .zip(values(&gradient).par_chunks(rows * width))
            .for_each(|((((joint, of_joint), totals), result), gradient)| {
                self.backward_image(joint, totals, [result, gradient], of_joint, width);
            });
        vec![Some(like(&kept.joint, of_joint))]
    }
}
