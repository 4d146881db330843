//! Resampling matrices against the textbook formulas, in f64.

use vcp_model::Resampling;

/// Positions are computed in f32, as PyTorch does: a weight may be off by the rounding of a
/// position of up to 64.
const POSITION_ROUNDING: f64 = 64.0 / (1 << 23) as f64;

/// Lengths from and to that are small, large, equal, up and down, and those in use.
fn sizes() -> Vec<(usize, usize)> {
    let lengths = [1, 2, 3, 5, 8, 16, 24, 37, 64];
    let pairs = lengths
        .iter()
        .flat_map(|&from| lengths.map(|to| (from, to)));
    pairs.chain([(37, 518), (24, 30), (5, 70)]).collect()
}

/// Asserts that the weights are those of `weight(output, input)`.
#[track_caller]
fn check(what: &str, resampling: &Resampling, weight: impl Fn(usize, usize) -> f64) {
    let (from, to) = (resampling.from(), resampling.to());
    let matrix = resampling.matrix();
    assert_eq!(matrix.len(), from * to, "{what} {from} to {to}");
    for (i, row) in matrix.chunks_exact(from).enumerate() {
        for (j, &found) in row.iter().enumerate() {
            let expected = weight(i, j);
            assert!(
                (f64::from(found) - expected).abs() <= 4.0 * POSITION_ROUNDING,
                "{what} {from} to {to}: weight {i}, {j} is {found} instead of {expected}"
            );
        }
        let sum: f64 = row.iter().map(|&weight| f64::from(weight)).sum();
        assert!(
            (sum - 1.0).abs() < 1e-6,
            "{what} {from} to {to}: row {i}: {sum}"
        );
    }
}

/// A hat of width 1 on each side, at i · (from − 1) / (to − 1).
#[test]
fn linear_aligned_is_linear_interpolation() {
    for (from, to) in sizes() {
        let position = |i: usize| {
            if to == 1 {
                0.0
            } else {
                (i * (from - 1)) as f64 / (to - 1) as f64
            }
        };
        let resampling = Resampling::linear_aligned(from, to);
        assert_eq!((resampling.from(), resampling.to()), (from, to));
        check("linear", &resampling, |i, j| {
            (1.0 - (position(i) - j as f64).abs()).max(0.0)
        });
        assert!(resampling.matrix().iter().all(|&weight| weight >= 0.0));
    }
}

/// Keys 1981, equation 4, with a = −1/2.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0
    } else if x < 2.0 {
        -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0
    } else {
        0.0
    }
}

/// The kernel around the output's centre, as wide as an output pixel where that is more than
/// an input pixel; what reaches over the ends is left out and the rest made to sum to 1.
#[test]
fn cubic_antialiased_is_cubic_convolution() {
    for (from, to) in sizes() {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let raw = |i: usize, j: usize| keys((j as f64 + 0.5 - (i as f64 + 0.5) * scale) / stretch);
        let resampling = Resampling::cubic_antialiased(from, to);
        check("cubic", &resampling, |i, j| {
            raw(i, j) / (0..from).map(|j| raw(i, j)).sum::<f64>()
        });
    }
}

#[test]
fn the_same_length_changes_nothing() {
    for length in [1, 2, 7, 24, 37] {
        for resampling in [
            Resampling::linear_aligned(length, length),
            Resampling::cubic_antialiased(length, length),
        ] {
            check("identity", &resampling, |i, j| f64::from(u8::from(i == j)));
            let table: Vec<f32> = (0..length * length * 3).map(|i| i as f32).collect();
            assert_eq!(resampling.apply_to_square(&table, 3), table, "{length}");
        }
    }
}

/// R·x·Rᵀ for every channel.
#[test]
fn squares_are_resampled_along_both_sides() {
    let width = 2;
    for (from, to) in [(1, 4), (2, 5), (5, 2), (7, 7), (8, 3), (24, 37)] {
        let table: Vec<f32> = (0..from * from * width)
            .map(|i| (i as f32 * 0.7).sin())
            .collect();
        for resampling in [
            Resampling::linear_aligned(from, to),
            Resampling::cubic_antialiased(from, to),
        ] {
            let weight = |i: usize, j: usize| f64::from(resampling.matrix()[i * from + j]);
            let found = resampling.apply_to_square(&table, width);
            assert_eq!(found.len(), to * to * width);
            for (index, &found) in found.iter().enumerate() {
                let (y, x, c) = (index / width / to, index / width % to, index % width);
                let mut expected = 0.0;
                for row in 0..from {
                    for column in 0..from {
                        let value = f64::from(table[(row * from + column) * width + c]);
                        expected += weight(y, row) * weight(x, column) * value;
                    }
                }
                assert!(
                    (f64::from(found) - expected).abs() < 1e-6,
                    "{from} to {to}: {index}"
                );
            }
        }
    }
}
