//! Fewer rows that stand for many.

/// Numbers of the `keep` rows (of `values`, `channels` each) that stand for all of them, in ascending order: from the
/// row farthest from the mean on, always the one that is farthest from those taken so far. That is the greedy
/// solution of the k-centre problem (Sener and Savarese, arXiv 1708.00489), as in `PatchCore` (arXiv 2106.08265,
/// section 3.2): no row is left farther from the kept ones than twice what the best choice could reach.
pub(super) fn coreset(values: &[f32], channels: usize, keep: usize) -> Vec<usize> {
    let channels = channels.max(1);
    let count = values.len() / channels;
    if keep >= count {
        return (0..count).collect();
    }
    let mut mean = vec![0.0; channels];
    for row in values.chunks_exact(channels) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    for value in &mut mean {
        *value /= count as f32;
    }
    // Distance of each row to the nearest one taken.
    let mut nearest = vec![f32::INFINITY; count];
    let mut next = approach(values, &mean, &mut nearest);
    nearest.fill(f32::INFINITY);
    let mut taken = Vec::with_capacity(keep);
    while taken.len() < keep {
        taken.push(next);
        let centre = values[next * channels..][..channels].to_vec();
        next = approach(values, &centre, &mut nearest);
        // All that is left is equal to what is taken.
        if nearest[next] <= 0.0 {
            break;
        }
    }
    taken.sort_unstable();
    taken
}

/// Takes a centre into account and gives the row that is then farthest; of several, the first.
fn approach(values: &[f32], centre: &[f32], nearest: &mut [f32]) -> usize {
    let mut farthest = (0, f32::NEG_INFINITY);
    let rows = values.chunks_exact(centre.len()).zip(nearest);
    for (index, (row, nearest)) in rows.enumerate() {
        *nearest = nearest.min(squared_distance(row, centre));
        if *nearest > farthest.1 {
            farthest = (index, *nearest);
        }
    }
    farthest.0
}

/// In lanes that the compiler keeps in a register.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f32 = rest.map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_farthest_come_first() {
        // On a line: two clumps and a lone row.
        let values = [0.0, 0.1, 0.2, 5.0, 5.1, 9.0];
        assert_eq!(coreset(&values, 1, 1), [5]);
        assert_eq!(coreset(&values, 1, 2), [0, 5]);
        assert_eq!(coreset(&values, 1, 3), [0, 3, 5]);
        assert_eq!(coreset(&values, 1, 9), [0, 1, 2, 3, 4, 5]);
        assert_eq!(coreset(&[1.0; 5], 1, 3), [0]);
        assert!(coreset(&[], 1, 3).is_empty());
    }

    proptest! {
        /// No row is farther from the kept ones than from any other choice of as many, twice.
        #[test]
        fn covers_well(values in proptest::collection::vec(-1.0_f32..1.0, 2..40), keep in 1_usize..6) {
            let values = &values[..values.len() / 2 * 2];
            let rows: Vec<&[f32]> = values.chunks_exact(2).collect();
            let radius = |kept: &[usize]| {
                let to = |row: &&[f32]| kept.iter().map(|k| squared_distance(row, rows[*k])).fold(f32::INFINITY, f32::min);
                rows.iter().map(to).fold(0.0, f32::max).sqrt()
            };
            let kept = coreset(values, 2, keep);
            prop_assert!(kept.len() <= keep && kept.is_sorted_by(|a, b| a < b));
            // One of the possible choices: the first rows.
            let first: Vec<usize> = (0..keep.min(rows.len())).collect();
            prop_assert!(radius(&kept) <= 2.0 * radius(&first) + 1e-5);
        }
    }
}
