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

/// Most rows that the edges of areas may cross in an image, all together. An annotation made by hand
/// has some thousands.
const MAX_ROWS: u64 = 1 << 25;

/// Polygons and circles that make one mask: row by row, so that each pixel is set once, however many
/// of them cover it.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    areas: Vec<Area>,
}

#[derive(Debug)]
struct Area {
    /// The first and the last row that it may touch.
    rows: (i64, i64),
    outline: Outline,
}

#[derive(Debug)]
enum Outline {
    Polygon {
        /// By their upper ends, the lowest first.
        coming: Vec<Edge>,
        /// Edges that the row in hand may meet.
        met: Vec<Edge>,
    },
    Circle {
        x: f64,
        y: f64,
        radius: f64,
    },
}

impl Areas {
    /// Adds a polygon: all that lies in it (even-odd rule) or on its outline, as labelme makes masks.
    /// The corners are cut to whole pixels, (0, 0) being the top left pixel, and where an edge crosses
    /// a row, the nearest pixel belongs to the polygon. So even the thinnest polygon marks a pixel.
    ///
    /// labelme leaves this to `ImageDraw.polygon(…, outline=1, fill=1)` of Pillow, which fills the same
    /// pixels and, at corners between two flat edges, sometimes a few more to connect them.
    ///
    /// The coordinates have to be smaller than [`LARGEST`].
    pub(crate) fn add_polygon(&mut self, points: &[[f64; 2]]) {
        let corner = |&[x, y]: &[f64; 2]| (x as i64, y as i64);
        let ends = points.iter().cycle().skip(1);
        let edges = points.iter().zip(ends);
        let mut coming: Vec<Edge> = edges
            .map(|(from, to)| Edge::new(corner(from), corner(to)))
            .collect();
        coming.sort_by_key(|edge| std::cmp::Reverse(edge.upper.1));
        let first = coming.iter().map(|edge| edge.upper.1).min();
        let last = coming.iter().map(|edge| edge.lower.1).max();
        if let (Some(first), Some(last)) = (first, last) {
            self.areas.push(Area {
                rows: (first, last),
                outline: Outline::Polygon {
                    coming,
                    met: Vec::new(),
                },
            });
        }
    }

    /// Adds a circle: the pixels whose centres lie in it; (0, 0) is the top left corner of the image, so
    /// that centres have odd halves. labelme's circles, which Pillow draws, are up to a pixel wider.
    ///
    /// The numbers have to be smaller than [`LARGEST`].
    pub(crate) fn add_circle(&mut self, [x, y]: [f64; 2], radius: f64) {
        let (x, y, radius) = (x - 0.5, y - 0.5, radius.max(0.5));
        self.areas.push(Area {
            // A row more on both sides, for the rounding.
            rows: ((y - radius) as i64 - 1, (y + radius) as i64 + 1),
            outline: Outline::Circle { x, y, radius },
        });
    }

    /// Sets the pixels of a mask to 255 that lie in any of the areas; false, and nothing is done, if
    /// they are so many and so large that this would take long.
    pub(crate) fn fill(mut self, mask: &mut [u8], width: usize) -> bool {
        let height = mask.len().checked_div(width).unwrap_or_default() as i64;
        self.areas
            .retain(|area| area.rows.0 < height && area.rows.1 >= 0);
        let work: u64 = self.areas.iter().map(|area| area.work(height)).sum();
        if work > MAX_ROWS {
            return false;
        }
        // The topmost last.
        self.areas
            .sort_by_key(|area| std::cmp::Reverse(area.rows.0));
        let mut met: Vec<Area> = Vec::new();
        let (mut crossings, mut spans) = (Vec::new(), Vec::new());
        for (y, row) in (0..height).zip(mask.chunks_exact_mut(width.max(1))) {
            while let Some(area) = self.areas.pop_if(|area| area.rows.0 <= y) {
                met.push(area);
            }
            spans.clear();
            for area in &mut met {
                area.outline
                    .meet(y, width as i64, &mut crossings, &mut spans);
            }
            met.retain(|area| area.rows.1 > y);
            spans.sort_unstable();
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
        true
    }
}

impl Area {
    /// How many rows of the image its edges cross.
    fn work(&self, height: i64) -> u64 {
        let within = |(first, last): (i64, i64)| {
            let (first, last) = (first.max(0), last.min(height - 1));
            u64::try_from(last - first + 1).unwrap_or_default()
        };
        match &self.outline {
            Outline::Polygon { coming, .. } => coming
                .iter()
                .map(|edge| within((edge.upper.1, edge.lower.1)))
                .sum(),
            // Its two ends are searched for.
            Outline::Circle { .. } => 16 * within(self.rows),
        }
    }
}

impl Outline {
    /// Adds the spans of pixels of a row that belong to the area. The rows have to come in order.
    fn meet(
        &mut self,
        row: i64,
        width: i64,
        crossings: &mut Vec<f64>,
        spans: &mut Vec<(i64, i64)>,
    ) {
        match self {
            Self::Polygon { coming, met } => {
                while let Some(edge) = coming.pop_if(|edge| edge.upper.1 <= row) {
                    met.push(edge);
                }
                met.retain(|edge| edge.lower.1 >= row);
                crossings.clear();
                for edge in &*met {
                    edge.meet(row, crossings, spans);
                }
                crossings.sort_unstable_by(f64::total_cmp);
                let pairs = crossings.chunks_exact(2);
                spans.extend(pairs.map(|pair| {
                    (
                        (pair[0] + 0.5).floor() as i64,
                        (pair[1] - 0.5).ceil() as i64,
                    )
                }));
            }
            &mut Self::Circle { x, y, radius } => {
                let across = (row as f64 - y) / radius;
                let is_inside = |column: i64| {
                    let along = (column as f64 - x) / radius;
                    along * along + across * across <= 1.0
                };
                let middle = (x.round() as i64).clamp(0, width - 1);
                if is_inside(middle) {
                    // The farther from the middle, the less inside.
                    let left = first_of(0, middle, is_inside);
                    let right = first_of(middle + 1, width, |column| !is_inside(column)) - 1;
                    spans.push((left, right));
                }
            }
        }
    }
}

/// The first number from `begin` on for which something holds that holds for all after it; `end` if for
/// none before it.
fn first_of(begin: i64, end: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut begin, mut end) = (begin, end);
    while begin < end {
        let middle = i64::midpoint(begin, end);
        if holds(middle) {
            end = middle;
        } else {
            begin = middle + 1;
        }
    }
    begin
}

/// Coordinates this large or larger are not positions in any image, and their arithmetic overflows.
pub(crate) const LARGEST: f64 = 1e9;

/// An edge of a polygon between two pixels, the upper one first.
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::defect_pixels;

    fn polygon(points: &[[f64; 2]], width: usize, height: usize) -> Vec<u8> {
        let mut mask = vec![0; width * height];
        let mut areas = Areas::default();
        areas.add_polygon(points);
        assert!(areas.fill(&mut mask, width));
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
        let mut areas = Areas::default();
        areas.add_circle([3.5, 3.5], 2.0);
        assert!(areas.fill(&mut mask, 7));
        assert_eq!(defect_pixels(&mask), 13);
        assert_eq!(mask[3 * 7 + 1], 255);
    }

    /// As many areas over the whole image as an annotation may have points: each pixel is set once.
    #[test]
    fn areas_over_each_other_do_not_add_up() {
        let (width, height) = (4000, 3000);
        let mut mask = vec![0; width * height];
        let mut areas = Areas::default();
        for _ in 0..600 {
            areas.add_circle([2000.0, 1500.0], 4000.0);
            areas.add_polygon(&[[0.0, 0.0], [3999.0, 0.0], [3999.0, 2999.0], [0.0, 2999.0]]);
        }
        assert!(areas.fill(&mut mask, width));
        assert!(mask.iter().all(|&pixel| pixel == 255));
        // Small ones cost what they cover, however many they are.
        let mut areas = Areas::default();
        for index in 0..50_000 {
            areas.add_circle([f64::from(index % 3990), f64::from(index % 2990)], 3.0);
        }
        mask.fill(0);
        assert!(areas.fill(&mut mask, width));
        let mut areas = Areas::default();
        for _ in 0..50_000 {
            areas.add_circle([2000.0, 1500.0], 4000.0);
        }
        mask.fill(0);
        assert!(!areas.fill(&mut mask, width));
        assert_eq!(defect_pixels(&mask), 0);
    }

    proptest! {
        /// The mask of several areas is what they make one after the other, and circles are ellipses
        /// that are drawn pixel by pixel.
        #[test]
        fn areas_equal_their_parts(
            circles in prop::collection::vec((-9.0..25.0, -9.0..25.0, 0.0..30.0), 0..5),
            points in prop::collection::vec((-5.0..20.0, -5.0..20.0).prop_map(|(x, y)| [x, y]), 3..7),
        ) {
            let (width, height) = (17, 13);
            let mut expected = polygon(&points, width, height);
            let mut areas = Areas::default();
            areas.add_polygon(&points);
            for &(x, y, radius) in &circles {
                areas.add_circle([x, y], radius);
                let radius: f64 = radius;
                let circle = Ellipse {
                    x: x - 0.5,
                    y: y - 0.5,
                    first: radius.max(0.5),
                    second: radius.max(0.5),
                    rotation: 0.0,
                };
                circle.fill(&mut expected, width);
            }
            let mut mask = vec![0; width * height];
            prop_assert!(areas.fill(&mut mask, width));
            prop_assert_eq!(mask, expected);
        }

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
