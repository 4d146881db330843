//! Noise of one and of many scales, cells, and lattices of random numbers.

use vcp_random::Random;

use crate::grid::Field;

/// Smooth noise of about unit deviation with so many random values across and down.
pub(crate) fn smooth(random: &mut Random, size: usize, across: f32, down: f32) -> Field {
    let (columns, rows) = (across.ceil() as usize + 4, down.ceil() as usize + 4);
    let lattice: Vec<f32> = (0..columns * rows).map(|_| random.normal()).collect();
    let taps_x = taps(size, across, random.unit());
    let taps_y = taps(size, down, random.unit());
    // First across, for each row of the lattice; then down.
    let mut wide = vec![0.0; rows * size];
    for (row, output) in lattice
        .chunks_exact(columns)
        .zip(wide.chunks_exact_mut(size))
    {
        for (output, (first, weights)) in output.iter_mut().zip(&taps_x) {
            let values = &row[*first..*first + 4];
            *output = (0..4).map(|tap| values[tap] * weights[tap]).sum();
        }
    }
    let mut field = Field::new(size, 0.0);
    for ((first, weights), output) in taps_y.iter().zip(field.cells.chunks_exact_mut(size)) {
        for (tap, weight) in weights.iter().enumerate() {
            let row = &wide[(first + tap) * size..][..size];
            for (output, value) in output.iter_mut().zip(row) {
                *output += weight * value;
            }
        }
    }
    field
}

/// For each pixel, the first of four lattice values and their weights (Catmull-Rom).
fn taps(size: usize, cells: f32, offset: f32) -> Vec<(usize, [f32; 4])> {
    (0..size)
        .map(|pixel| {
            let at = offset + pixel as f32 / size as f32 * cells;
            let first = at.floor();
            let t = at - first;
            let (square, cube) = (t * t, t * t * t);
            let weights = [
                -0.5 * cube + square - 0.5 * t,
                1.5 * cube - 2.5 * square + 1.0,
                -1.5 * cube + 2.0 * square + 0.5 * t,
                0.5 * cube - 0.5 * square,
            ];
            (first as usize, weights)
        })
        .collect()
}

/// Noise of several scales, each twice as fine and `gain` times as strong as the last; 0 to 1.
pub(crate) fn clouds(
    random: &mut Random,
    size: usize,
    cells: f32,
    octaves: usize,
    gain: f32,
) -> Field {
    stretched_clouds(random, size, (cells, cells), octaves, gain)
}

/// The same with other counts of cells across and down: streaks.
pub(crate) fn stretched_clouds(
    random: &mut Random,
    size: usize,
    (across, down): (f32, f32),
    octaves: usize,
    gain: f32,
) -> Field {
    let mut sum = Field::new(size, 0.0);
    let (mut strength, mut scale) = (1.0, 1.0);
    let finest = size as f32 * 0.9;
    for _ in 0..octaves {
        let cells = ((across * scale).min(finest), (down * scale).min(finest));
        let octave = smooth(random, size, cells.0, cells.1);
        sum.combine(&octave, |sum, value| sum + strength * value);
        strength *= gain;
        scale *= 2.0;
    }
    sum.normalised()
}

/// A field seen turned about its middle, and `zoom` times nearer.
pub(crate) fn turned(field: &Field, angle: f32, zoom: f32) -> Field {
    let middle = field.size as f32 / 2.0;
    let (sine, cosine) = (angle.sin() / zoom, angle.cos() / zoom);
    Field::from_fn(field.size, |x, y| {
        let (x, y) = (x as f32 - middle, y as f32 - middle);
        field.at(
            middle + cosine * x + sine * y,
            middle - sine * x + cosine * y,
        )
    })
}

/// A number from 0 to 1 that belongs to this lattice cell.
pub(crate) fn of_cell(seed: u64, x: i64, y: i64) -> f32 {
    let mixed = seed
        ^ (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (y as u64)
            .wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            .rotate_left(31);
    Random::new(mixed).unit()
}

/// Where a point lies among scattered seeds, one in each cell of a unit lattice.
pub(crate) struct Scattered {
    /// Distance to the nearest seed.
    pub(crate) nearest: f32,
    /// Distance to the second nearest.
    pub(crate) second: f32,
    /// A number from 0 to 1 that belongs to the nearest seed.
    pub(crate) number: f32,
}

/// A table of scattered seeds, repeated every 32 cells.
pub(crate) struct Seeds {
    seeds: Vec<[f32; 3]>,
}

const PERIOD: i64 = 32;

impl Seeds {
    /// `disorder` 0 puts the seeds in the cells' middles, 1 anywhere in them.
    pub(crate) fn new(random: &mut Random, disorder: f32) -> Self {
        let place = |at: f32| 0.5 + (at - 0.5) * disorder;
        let seeds = (0..PERIOD * PERIOD)
            .map(|_| [place(random.unit()), place(random.unit()), random.unit()])
            .collect();
        Self { seeds }
    }

    pub(crate) fn at(&self, u: f32, v: f32) -> Scattered {
        let (column, row) = (u.floor() as i64, v.floor() as i64);
        let mut found = Scattered {
            nearest: f32::INFINITY,
            second: f32::INFINITY,
            number: 0.0,
        };
        for y in row - 1..=row + 1 {
            for x in column - 1..=column + 1 {
                let index = y.rem_euclid(PERIOD) * PERIOD + x.rem_euclid(PERIOD);
                let [seed_x, seed_y, number] = self.seeds[index as usize];
                let (dx, dy) = (x as f32 + seed_x - u, y as f32 + seed_y - v);
                let square = dx * dx + dy * dy;
                if square < found.nearest {
                    found.second = found.nearest;
                    found.nearest = square;
                    found.number = number;
                } else if square < found.second {
                    found.second = square;
                }
            }
        }
        found.nearest = found.nearest.sqrt();
        found.second = found.second.sqrt();
        found
    }
}
