//! Areas described by numbers, turned into masks.

/// An ellipse in pixels of the image, (0, 0) being the centre of the top left pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipse {
    /// Horizontal position of its centre.
    pub x: f64,
    /// Vertical position of its centre, downwards.
    pub y: f64,
    /// Half its length along the first axis. Above 0.
    pub first: f64,
    /// Half its length along the second axis. Above 0.
    pub second: f64,
    /// Angle in radians from the image's horizontal axis to the first axis, turning downwards.
    pub rotation: f64,
}

impl Ellipse {
    /// Whether the numbers make an ellipse.
    pub(crate) fn is_sound(&self) -> bool {
        [self.x, self.y, self.first, self.second, self.rotation]
            .into_iter()
            .all(|number| number.abs() < LARGEST)
            && self.first > 0.0
            && self.second > 0.0
    }

    /// Sets the pixels of a mask to 255 whose centres lie in the ellipse.
    pub(crate) fn fill(&self, mask: &mut [u8], width: usize) {
        let (sin, cos) = self.rotation.sin_cos();
        for (y, row) in mask.chunks_exact_mut(width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let (right, down) = (x as f64 - self.x, y as f64 - self.y);
                let along = (right * cos + down * sin) / self.first;
                let across = (down * cos - right * sin) / self.second;
                if along * along + across * across <= 1.0 {
                    *pixel = 255;
                }
            }
        }
    }
}

/// Coordinates this large or larger are not positions in any image, and their arithmetic overflows.
pub(crate) const LARGEST: f64 = 1e9;

/// Sets the pixels of a mask to 255 that lie in the polygon (even-odd rule) or on its outline, as labelme
/// makes masks: the corners are cut to whole pixels, (0, 0) being the top left pixel, and where an edge
/// crosses a row, the nearest pixel belongs to the polygon. So even the thinnest polygon marks a pixel.
///
/// labelme leaves this to `ImageDraw.polygon(…, outline=1, fill=1)` of Pillow, which fills the same
/// pixels and, at corners between two flat edges, sometimes a few more to connect them.
///
/// The coordinates have to be smaller than [`LARGEST`].
pub(crate) fn fill_polygon(points: &[[f64; 2]], mask: &mut [u8], width: usize) {
    let corner = |&[x, y]: &[f64; 2]| (x as i64, y as i64);
    let ends = points.iter().cycle().skip(1);
    let edges = points.iter().zip(ends);
    let edges: Vec<Edge> = edges
        .map(|(from, to)| Edge::new(corner(from), corner(to)))
        .collect();
    let (mut crossings, mut spans) = (Vec::new(), Vec::new());
    for (y, row) in mask.chunks_exact_mut(width).enumerate() {
        crossings.clear();
        spans.clear();
        for edge in &edges {
            edge.meet(y as i64, &mut crossings, &mut spans);
        }
        crossings.sort_unstable_by(f64::total_cmp);
        let pairs = crossings.chunks_exact(2);
        spans.extend(pairs.map(|pair| {
            (
                (pair[0] + 0.5).floor() as i64,
                (pair[1] - 0.5).ceil() as i64,
            )
        }));
        spans.sort_unstable();
        // However many spans there are, each pixel is set once.
        let mut done = 0;
        for &(first, last) in &spans {
            let end = (last + 1).clamp(0, width as i64) as usize;
            let first = (first.max(0) as usize).max(done);
            if first < end {
                row[first..end].fill(255);
                done = end;
            }
        }
    }
}

/// An edge of a polygon between two pixels, the upper one first.
struct Edge {
    upper: (i64, i64),
    lower: (i64, i64),
}

impl Edge {
    fn new(one: (i64, i64), other: (i64, i64)) -> Self {
        let (upper, lower) = if one.1 <= other.1 {
            (one, other)
        } else {
            (other, one)
        };
        Self { upper, lower }
    }

    /// Adds where the inside of the polygon begins or ends in a row, and the pixels of the row that
    /// belong to the polygon whatever the other edges do: those of a flat edge, and the lower end,
    /// since that is no beginning or end of the inside.
    fn meet(&self, y: i64, crossings: &mut Vec<f64>, spans: &mut Vec<(i64, i64)>) {
        let ((x0, y0), (x1, y1)) = (self.upper, self.lower);
        if y == y1 {
            let first = if y0 == y1 { x0.min(x1) } else { x1 };
            let last = if y0 == y1 { x0.max(x1) } else { x1 };
            spans.push((first, last));
        } else if (y0..y1).contains(&y) {
            crossings.push(x0 as f64 + ((y - y0) * (x1 - x0)) as f64 / (y1 - y0) as f64);
        }
    }
}

/// Sets the pixels of a mask to 255 whose centres lie in the circle; (0, 0) is the top left corner of the
/// image, so that centres have odd halves. labelme's circles, which Pillow draws, are up to a pixel wider.
pub(crate) fn fill_circle([x, y]: [f64; 2], radius: f64, mask: &mut [u8], width: usize) {
    let circle = Ellipse {
        x: x - 0.5,
        y: y - 0.5,
        first: radius.max(0.5),
        second: radius.max(0.5),
        rotation: 0.0,
    };
    circle.fill(mask, width);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::defect_pixels;

    fn polygon(points: &[[f64; 2]], width: usize, height: usize) -> Vec<u8> {
        let mut mask = vec![0; width * height];
        fill_polygon(points, &mut mask, width);
        mask
    }

    #[test]
    fn a_square_covers_its_corners() {
        let mask = polygon(&[[1.0, 1.0], [3.9, 1.0], [3.9, 2.0], [1.0, 2.0]], 5, 4);
        #[rustfmt::skip]
        assert_eq!(mask, [
            0,   0,   0,   0, 0,
            0, 255, 255, 255, 0,
            0, 255, 255, 255, 0,
            0,   0,   0,   0, 0,
        ]);
    }

    /// What is inside by the even-odd rule as it is defined (a ray to the right crosses an odd number
    /// of edges), or no farther than half a pixel to the side of where an edge crosses the row.
    fn belongs(points: &[[i64; 2]], x: i64, y: i64) -> bool {
        let mut crossings = 0;
        let mut is_on_edge = false;
        for (index, &[x0, y0]) in points.iter().enumerate() {
            let [x1, y1] = points[(index + 1) % points.len()];
            if y0 == y1 {
                is_on_edge |= y == y0 && (x0.min(x1)..=x0.max(x1)).contains(&x);
                continue;
            }
            let at = x0 as f64 + ((y - y0) * (x1 - x0)) as f64 / (y1 - y0) as f64;
            if (y0.min(y1)..=y0.max(y1)).contains(&y) {
                is_on_edge |= (at - x as f64).abs() < 0.5;
            }
            if (y0 <= y) != (y1 <= y) && at > x as f64 {
                crossings += 1;
            }
        }
        is_on_edge || crossings % 2 == 1
    }

    /// Corners, and what Pillow 11.3 makes of them: `ImageDraw.Draw(mask).polygon(points, outline=1,
    /// fill=1)`.
    const PILLOW: [(&[[f64; 2]], [&str; 8]); 6] = [
        (
            &[[1.6, 1.6], [8.9, 2.6], [3.2, 7.9]],
            [
                "...........",
                ".#.........",
                ".########..",
                "..######...",
                "..#####....",
                "..####.....",
                "...##......",
                "...#.......",
            ],
        ),
        (
            &[[1.0, 1.0], [8.5, 0.4], [5.0, 4.2], [9.9, 7.7], [2.3, 6.1]],
            [
                "........#..",
                ".#######...",
                ".######....",
                ".######....",
                "..####.....",
                "..#####....",
                "..#######..",
                ".........#.",
            ],
        ),
        (
            &[[-3.5, 2.5], [4.2, -2.0], [14.0, 5.0], [4.0, 12.0]],
            [
                ".#######...",
                "#########..",
                "###########",
                "###########",
                "###########",
                "###########",
                "###########",
                ".##########",
            ],
        ),
        (
            &[
                [1.0, 1.0],
                [8.0, 1.0],
                [8.0, 6.0],
                [1.0, 6.0],
                [1.0, 1.0],
                [3.0, 3.0],
                [3.0, 5.0],
                [6.0, 5.0],
                [6.0, 3.0],
                [3.0, 3.0],
            ],
            [
                "...........",
                ".########..",
                ".########..",
                ".########..",
                ".###..###..",
                ".########..",
                ".########..",
                "...........",
            ],
        ),
        (
            &[[2.2, 2.2], [2.9, 2.2], [2.9, 2.9]],
            [
                "...........",
                "...........",
                "..#........",
                "...........",
                "...........",
                "...........",
                "...........",
                "...........",
            ],
        ),
        (
            &[[1.5, 5.5], [9.5, 5.5], [4.0, 5.9]],
            [
                "...........",
                "...........",
                "...........",
                "...........",
                "...........",
                ".#########.",
                "...........",
                "...........",
            ],
        ),
    ];

    #[test]
    fn polygons_are_those_of_pillow() {
        for (points, expected) in PILLOW {
            let mask = polygon(points, 11, 8);
            let row = |row: &[u8]| -> String {
                let pixels = row
                    .iter()
                    .map(|&pixel| if pixel == 255 { '#' } else { '.' });
                pixels.collect()
            };
            let rows: Vec<String> = mask.chunks_exact(11).map(row).collect();
            assert_eq!(rows, expected, "{points:?}");
        }
    }

    #[test]
    fn outside_of_the_image_there_is_nothing_to_mark() {
        for points in [&[[-9.0, 1.0], [7.0, 9.0]][..], &[[5.0, 5.0]], &[]] {
            assert!(polygon(points, 3, 3).iter().all(|&pixel| pixel == 0));
        }
    }

    #[test]
    fn an_ellipse_turns_downwards() {
        let ellipse = Ellipse {
            x: 4.0,
            y: 4.0,
            first: 4.1,
            second: 0.5,
            rotation: std::f64::consts::FRAC_PI_4,
        };
        let mut mask = vec![0; 81];
        ellipse.fill(&mut mask, 9);
        let set: Vec<usize> = (0..81).filter(|&index| mask[index] == 255).collect();
        assert_eq!(set, [20, 30, 40, 50, 60]);
    }

    #[test]
    fn a_circle_is_round() {
        let mut mask = vec![0; 49];
        fill_circle([3.5, 3.5], 2.0, &mut mask, 7);
        assert_eq!(defect_pixels(&mask), 13);
        assert_eq!(mask[3 * 7 + 1], 255);
    }

    proptest! {
        #[test]
        fn polygons_equal_their_definition(
            points in prop::collection::vec((-5..20_i64, -5..20_i64).prop_map(|(x, y)| [x, y]), 3..9),
        ) {
            let (width, height) = (13, 11);
            let corners: Vec<[f64; 2]> = points.iter().map(|point| point.map(|at| at as f64)).collect();
            let mask = polygon(&corners, width, height);
            for (index, &pixel) in mask.iter().enumerate() {
                let (x, y) = ((index % width) as i64, (index / width) as i64);
                prop_assert_eq!(pixel == 255, belongs(&points, x, y), "{}, {}", x, y);
            }
        }

        #[test]
        fn wild_coordinates_do_no_harm(
            points in prop::collection::vec((-1e8..1e8, -1e8..1e8).prop_map(|(x, y)| [x, y]), 0..6),
        ) {
            polygon(&points, 7, 5);
        }
    }
}
