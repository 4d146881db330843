//! The mask of what visibly changed.

use crate::grid::{Canvas, Field};

/// Where a defect shows.
pub(crate) struct Visible {
    /// 1 where it does, 0 elsewhere.
    pub(crate) mask: Field,
    /// The fraction of the picture in which the defect shows.
    pub(crate) area: f32,
    /// Mean change of the brightest-changed channel within it, 0 to 1.
    pub(crate) contrast: f32,
}

/// Compares pictures without and with a defect about its place. Changes elsewhere, as of shadows,
/// do not count. `noise` is the camera's: what it hides is not visible. Of solid defects, what is
/// surrounded by change belongs to them. Soft ones are seen as a whole, not pixel by pixel: a pattern
/// that shows their change here and there does not cut them into pieces.
pub(crate) fn visible(
    before: &Canvas,
    after: &Canvas,
    place: &Field,
    noise: f32,
    is_solid: bool,
    is_soft: bool,
) -> Visible {
    let size = before.size;
    let unit = size as f32 / crate::surfaces::UNIT;
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
    let change = change.blurred(if is_soft { 2.0 } else { 0.5 } * unit);
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
    // A dent's two sides, light and dark, are one defect.
    let reach = if is_solid { 3.0 } else { 1.2 } * unit;
    let reach = reach.round().max(1.0) as usize;
    let closed = raw.dilated(reach).eroded(reach);
    let closed = if is_soft {
        // Squares leave corners, which nobody would draw about what has no edge.
        let round = closed.blurred(2.0 * unit);
        round.map(|share| f32::from(u8::from(share > 0.5)))
    } else {
        closed
    };
    let mut mask = without_specks(&closed, (4.0 * unit * unit) as usize);
    if is_solid {
        fill(&mut mask);
    }
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

/// What a mask of ones encloses: zeros to which no path of zeros leads from the picture's border.
pub(super) fn enclosed(mask: &Field) -> Field {
    let mut all = mask.clone();
    fill(&mut all);
    all.combine(mask, |all, mask| all - mask);
    all
}

/// Fills what no path of zeros (across edges of pixels) leads to from the picture's border.
fn fill(mask: &mut Field) {
    let size = mask.size;
    let mut is_outside = vec![false; mask.cells.len()];
    let border = (0..size).flat_map(|at| {
        let last = size - 1;
        [at, last * size + at, at * size, at * size + last]
    });
    let mut open: Vec<usize> = border.filter(|&place| mask.cells[place] == 0.0).collect();
    for &place in &open {
        is_outside[place] = true;
    }
    while let Some(place) = open.pop() {
        for neighbour in neighbours(place, size) {
            if !is_outside[neighbour] && mask.cells[neighbour] == 0.0 {
                is_outside[neighbour] = true;
                open.push(neighbour);
            }
        }
    }
    for (cell, is_outside) in mask.cells.iter_mut().zip(is_outside) {
        if !is_outside {
            *cell = 1.0;
        }
    }
}

/// The up to four pixels beside, above and below.
fn neighbours(place: usize, size: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (place % size, place / size);
    let all = [
        (x > 0).then(|| place - 1),
        (x + 1 < size).then_some(place + 1),
        (y > 0).then(|| place - size),
        (y + 1 < size).then_some(place + size),
    ];
    all.into_iter().flatten()
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
            for neighbour in neighbours(place, size) {
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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use crate::grid::Canvas;

    const SIZE: usize = 144;

    /// A grey picture with a square of `side` pixels at (60, 60) that differs by `change`.
    fn pair(change: f32, side: usize) -> (Canvas, Canvas, Field) {
        let inside =
            |x: usize, y: usize| (60..60 + side).contains(&x) && (60..60 + side).contains(&y);
        let before = Canvas::new(SIZE, [0.5; 3]);
        let after = Canvas::from_fn(SIZE, |x, y| {
            [if inside(x, y) { 0.5 + change } else { 0.5 }; 3]
        });
        let place = Field::from_fn(SIZE, |x, y| if inside(x, y) { 1.0 } else { 0.0 });
        (before, after, place)
    }

    #[test]
    fn a_plain_change_is_marked_where_it_is() {
        let (before, after, place) = pair(0.3, 20);
        let visible = visible(&before, &after, &place, 0.0, false, false);
        let marked: f32 = visible.mask.cells.iter().sum();
        assert!((380.0..=500.0).contains(&marked), "{marked}");
        assert_eq!(visible.mask[(70, 70)], 1.0);
        assert_eq!(visible.mask[(50, 70)], 0.0);
        assert!(visible.contrast > 0.2);
    }

    #[test]
    fn faint_tiny_and_distant_changes_are_not() {
        let area = |change, side, noise| {
            let (before, after, place) = pair(change, side);
            visible(&before, &after, &place, noise, false, false).area
        };
        assert_eq!(area(0.02, 20, 0.0), 0.0);
        assert_eq!(area(0.1, 20, 0.1), 0.0);
        assert_eq!(area(0.5, 1, 0.0), 0.0);
        let (before, after, _) = pair(0.3, 20);
        let elsewhere = Field::from_fn(SIZE, |x, _| if x < 20 { 1.0 } else { 0.0 });
        assert_eq!(
            visible(&before, &after, &elsewhere, 0.0, false, false).area,
            0.0
        );
    }

    #[test]
    fn what_a_solid_defect_surrounds_belongs_to_it() {
        let (before, mut after, place) = pair(0.3, 30);
        for y in 70..80 {
            for x in 70..80 {
                after[(x, y)] = [0.5; 3];
            }
        }
        let middle =
            |is_solid| visible(&before, &after, &place, 0.0, is_solid, false).mask[(75, 75)];
        assert_eq!(middle(false), 0.0);
        assert_eq!(middle(true), 1.0);
    }

    #[test]
    fn the_hole_of_a_ring_is_enclosed() {
        let inside = |x: usize, y: usize| {
            let far = (x as f32 - 70.0).hypot(y as f32 - 70.0);
            if (10.0..20.0).contains(&far) {
                1.0
            } else {
                0.0
            }
        };
        let mut ring = Field::from_fn(SIZE, inside);
        let hole = enclosed(&ring);
        assert_eq!(hole[(70, 70)], 1.0);
        assert_eq!(hole[(70, 55)], 0.0);
        assert_eq!(hole[(5, 5)], 0.0);
        for x in 70..SIZE {
            ring[(x, 70)] = 0.0;
        }
        assert_eq!(enclosed(&ring), Field::new(SIZE, 0.0));
    }
}
