//! Fewer points for the same line.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A stretch of the line between two kept points, and the point on it that is furthest off the
/// straight way.
struct Stretch {
    first: usize,
    last: usize,
    furthest: usize,
    distance: f64,
}

impl Stretch {
    fn new(points: &[[f64; 2]], first: usize, last: usize) -> Self {
        let mut stretch = Self {
            first,
            last,
            furthest: first,
            distance: 0.0,
        };
        for at in first + 1..last {
            let distance = distance_to_segment(points[at], points[first], points[last]);
            if distance > stretch.distance {
                (stretch.furthest, stretch.distance) = (at, distance);
            }
        }
        stretch
    }
}

impl PartialEq for Stretch {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Stretch {}

impl PartialOrd for Stretch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stretch {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance)
    }
}

/// Some of the `points`, among them the first and the last, such that every one left out lies
/// within `tolerance` of the line through those kept; but at most `most` (at least 2), and then the
/// ones that matter most.
///
/// Ramer, Douglas and Peucker's method, the worst stretch first: so the work is at most `most`
/// passes over the points, and the limit costs as little as it can.
pub(crate) fn thin(points: &[[f64; 2]], tolerance: f64, most: usize) -> Vec<[f64; 2]> {
    if points.len() <= 2 {
        return points.to_vec();
    }
    let last = points.len() - 1;
    let mut kept = vec![0, last];
    let mut stretches = BinaryHeap::from([Stretch::new(points, 0, last)]);
    while let Some(worst) = stretches.pop() {
        if worst.distance <= tolerance || kept.len() >= most {
            break;
        }
        kept.push(worst.furthest);
        stretches.push(Stretch::new(points, worst.first, worst.furthest));
        stretches.push(Stretch::new(points, worst.furthest, worst.last));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| points[at]).collect()
}

fn distance_to_segment(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let [px, py] = [point[0] - from[0], point[1] - from[1]];
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        ((px * dx + py * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (px - along * dx).hypot(py - along * dy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Distance of a point to the nearest place on a line.
    fn distance_to_line(point: [f64; 2], line: &[[f64; 2]]) -> f64 {
        line.windows(2)
            .map(|ends| distance_to_segment(point, ends[0], ends[1]))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_straight_line_needs_its_ends_only() {
        let points: Vec<_> = (0..1000)
            .map(|at| [f64::from(at), f64::from(at) * 2.0])
            .collect();
        assert_eq!(thin(&points, 0.01, 499), [[0.0, 0.0], [999.0, 1998.0]]);
    }

    #[test]
    fn corners_stay() {
        let points = [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]];
        assert_eq!(
            thin(&points, 0.01, 499),
            [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        );
    }

    #[test]
    fn a_way_there_and_back_is_not_flattened() {
        // All points lie on one straight line, but not between its ends.
        let points = [[0.0, 0.0], [5.0, 0.0], [1.0, 0.0]];
        assert_eq!(thin(&points, 0.01, 499), points);
        let closed = [[0.0, 0.0], [5.0, 0.0], [0.0, 0.0]];
        assert_eq!(thin(&closed, 0.01, 499), closed);
    }

    #[test]
    fn never_more_than_allowed() {
        let points: Vec<_> = (0..10_000)
            .map(|at| [f64::from(at), f64::from(at % 2) * 100.0])
            .collect();
        assert_eq!(thin(&points, 0.2, 499).len(), 499);
        assert!(thin(&[], 0.2, 499).is_empty());
        assert_eq!(thin(&points[..1], 0.2, 499).len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_left_out_lies_on_the_line(
            points in prop::collection::vec((0.0..300.0f64, 0.0..300.0f64).prop_map(|(x, y)| [x, y]), 2..120),
            sorted in any::<bool>(),
            tolerance in 0.05..20.0f64,
        ) {
            let mut points = points;
            if sorted {
                // Rising curves, as ROC curves are.
                let mut parts: Vec<f64> = points.iter().map(|point| point[0]).collect();
                parts.sort_by(f64::total_cmp);
                for (point, part) in points.iter_mut().zip(&parts) {
                    point[0] = *part;
                }
                parts.clear();
                parts.extend(points.iter().map(|point| point[1]));
                parts.sort_by(f64::total_cmp);
                for (point, part) in points.iter_mut().zip(parts) {
                    point[1] = part;
                }
            }
            let kept = thin(&points, tolerance, usize::MAX);
            prop_assert_eq!(kept.first(), points.first());
            prop_assert_eq!(kept.last(), points.last());
            for &point in &points {
                prop_assert!(distance_to_line(point, &kept) <= tolerance + 1e-9);
            }
        }

        #[test]
        fn rising_curves_stay_below_the_limit_within_the_tolerance(
            seed in any::<u64>(),
        ) {
            // 20,000 random steps right or up, on a plot of 250 × 250: no limit should be met.
            let mut state = seed | 1;
            let mut at = [0.0, 0.0];
            let points: Vec<_> = (0..20_000).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                at[usize::from(state & 64 == 0)] += 250.0 / 10_000.0;
                at
            }).collect();
            prop_assert!(thin(&points, 0.2, usize::MAX).len() < 500);
        }
    }
}
