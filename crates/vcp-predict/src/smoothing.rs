//! Preparing a model for 8 bits: ranges of activations are shared with the weights behind them.
//!
//! Trained transformers have a few channels whose values are a hundred times those of the others. A row that is brought
//! to 8 bits by one scale then has nothing left of the others. Dividing a channel of a layer norm by a factor and
//! multiplying the column of the matrix behind it with the same leaves the model the same function, and takes the
//! ranges from where they hurt to where they do not: every weight column counts in all rows alike (`SmoothQuant`, Xiao et al. 2023, section 4,
//! with α = 0.5).

use vcp_checkpoint::{NarrowMatrix, Weights};
use vcp_cpu::Ranges;

/// How far a factor may be from 1: beyond, `f32` would lose digits of biases and weights.
const FURTHEST: f32 = 1e4;

/// The matrices that take what a layer norm gives, if they are computed with narrow numbers.
fn behind(norm: &str) -> Option<(&str, String)> {
    /// A norm's end, and its matrix's.
    const PAIRS: [[&str; 2]; 3] = [
        [".ln_1", ".attn.in_proj_weight"],
        [".ln_2", ".mlp.c_fc.weight"],
        [".norm", ".mix.weight"],
    ];
    let norm = norm.strip_suffix(".weight")?;
    let matrix = PAIRS.iter().find_map(|[end, matrix]| {
        let block = norm.strip_suffix(end)?;
        Some(format!("{block}{matrix}"))
    })?;
    (NarrowMatrix::of(&matrix) == Some(NarrowMatrix::Vision)).then_some((norm, matrix))
}

/// The largest absolute value of each column of a matrix [outputs, inputs].
fn largest_of_columns(weights: &Weights, name: &str) -> Result<Vec<f32>, vcp_checkpoint::Error> {
    let matrix = weights.tensor(name)?;
    let [outputs, inputs] = [
        matrix.shape()[0],
        matrix.shape()[1..].iter().product::<usize>(),
    ];
    let (mut largest, mut row) = (vec![0.0_f32; inputs], vec![0.0; inputs]);
    for output in 0..outputs {
        matrix.read_rows(output..output + 1, &mut row);
        for (largest, value) in largest.iter_mut().zip(&row) {
            *largest = largest.max(value.abs());
        }
    }
    matrix.release();
    Ok(largest)
}

/// √(largest activation ÷ largest weight) of a channel. Where either is next to nothing, nothing is to be shared.
fn factor(activation: f32, weight: f32, least: [f32; 2]) -> f32 {
    if activation <= least[0] || weight <= least[1] {
        return 1.0;
    }
    let factor = (activation / weight).sqrt();
    if factor.is_finite() {
        factor.clamp(1.0 / FURTHEST, FURTHEST)
    } else {
        1.0
    }
}

/// Shares the ranges that were seen behind layer norms ([`Cpu::stop_observing`](vcp_cpu::Cpu::stop_observing)) with the
/// matrices behind them, and says of how many norms. The model stays the same function, but for rounding.
///
/// # Errors
/// When weights cannot be read.
pub fn smooth(weights: &mut Weights, seen: &[Ranges]) -> Result<usize, vcp_checkpoint::Error> {
    let mut count = 0;
    for ranges in seen {
        let Some((norm, matrix)) = behind(&ranges.norm) else {
            continue;
        };
        let columns = largest_of_columns(weights, &matrix)?;
        let least = |values: &[f32]| 1e-6 * values.iter().copied().fold(0.0, f32::max);
        let least = [least(&ranges.largest), least(&columns)];
        let pairs = ranges.largest.iter().zip(&columns);
        let factors: Vec<f32> = pairs
            .map(|(activation, weight)| factor(*activation, *weight, least))
            .collect();
        weights.smooth(norm, &[&matrix], &factors)?;
        count += 1;
    }
    Ok(count)
}
