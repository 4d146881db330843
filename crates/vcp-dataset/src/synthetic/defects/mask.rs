//! The mask of what visibly changed.

use super::super::grid::{Canvas, Field};

/// Where a defect shows.
pub(crate) struct Visible {
    /// 1 where it does, 0 elsewhere.
    pub(crate) mask: Field,
    /// Its share of the picture.
    pub(crate) area: f32,
    /// Mean change of the brightest-changed channel within it, 0 to 1.
    pub(crate) contrast: f32,
}

/// Compares pictures without and with a defect about its place. Changes elsewhere, as of shadows,
/// do not count. `noise` is the camera's: what it hides is not visible.
pub(crate) fn visible(before: &Canvas, after: &Canvas, place: &Field, noise: f32) -> Visible {
    let size = before.size;
    let unit = size as f32 / super::super::surfaces::UNIT;
    let near = place
        .map(|share| f32::from(u8::from(share > 0.04)))
        .dilated((1.6 * unit).round() as usize);
    let mut change = Field::new(size, 0.0);
    let pixels = before.cells.iter().zip(&after.cells);
    for ((cell, (before, after)), near) in change.cells.iter_mut().zip(pixels).zip(&near.cells) {
        if *near > 0.0 {
            let channels = before.iter().zip(after);
            *cell = channels
                .map(|(before, after)| (before.clamp(0.0, 1.0) - after.clamp(0.0, 1.0)).abs())
                .fold(0.0, f32::max);
        }
    }
    let change = change.blurred(0.5 * unit);
    // Soft defects end where they are a third as strong as at their strongest.
    let mut sorted: Vec<f32> = change
        .cells
        .iter()
        .copied()
        .filter(|it| *it > 0.01)
        .collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let strong = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(0.0);
    let limit = (0.3 * strong).clamp(0.025 + noise, 0.09 + noise);
    let raw = change.map(|change| f32::from(u8::from(change > limit)));
    let reach = (1.2 * unit).round().max(1.0) as usize;
    let closed = raw.dilated(reach).eroded(reach);
    let mask = without_specks(&closed, (4.0 * unit * unit) as usize);
    let count: f32 = mask.cells.iter().sum();
    let total: f32 = mask
        .cells
        .iter()
        .zip(&change.cells)
        .map(|(mask, change)| mask * change)
        .sum();
    Visible {
        area: count / mask.cells.len() as f32,
        contrast: total / count.max(1.0),
        mask,
    }
}

/// Removes connected regions of fewer pixels than `least`.
fn without_specks(mask: &Field, least: usize) -> Field {
    let size = mask.size;
    let mut kept = mask.clone();
    let mut seen = vec![false; mask.cells.len()];
    let mut region = Vec::new();
    for start in 0..mask.cells.len() {
        if seen[start] || mask.cells[start] == 0.0 {
            continue;
        }
        region.clear();
        region.push(start);
        seen[start] = true;
        let mut next = 0;
        while let Some(&place) = region.get(next) {
            next += 1;
            let (x, y) = (place % size, place / size);
            let neighbours = [
                (x > 0).then(|| place - 1),
                (x + 1 < size).then_some(place + 1),
                (y > 0).then(|| place - size),
                (y + 1 < size).then_some(place + size),
            ];
            for neighbour in neighbours.into_iter().flatten() {
                if !seen[neighbour] && mask.cells[neighbour] > 0.0 {
                    seen[neighbour] = true;
                    region.push(neighbour);
                }
            }
        }
        if region.len() < least {
            for &place in &region {
                kept.cells[place] = 0.0;
            }
        }
    }
    kept
}
