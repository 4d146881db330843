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

/// Sets the pixels of a mask to 255 whose centres lie in the polygon (even-odd rule); (0, 0) is the
/// top left corner of the image, so that centres have odd halves. A polygon too thin to hold any
/// centre marks the pixels of its corners instead, since somebody drew it to mark something.
///
/// The coordinates have to be smaller than [`LARGEST`].
pub(crate) fn fill_polygon(points: &[[f64; 2]], mask: &mut [u8], width: usize) {
    let height = mask.len() / width;
    // Each edge flips the state of all pixels to the right of it. Only where they begin is noted,
    // so that a polygon costs its edges' heights and one pass, however wild it is.
    let mut flips = vec![false; mask.len()];
    let ends = points.iter().cycle().skip(1);
    for (&[x0, y0], &[x1, y1]) in points.iter().zip(ends) {
        let ([x0, y0], [x1, y1]) = if y0 < y1 {
            ([x0, y0], [x1, y1])
        } else {
            ([x1, y1], [x0, y0])
        };
        // Rows whose centre y + 0.5 lies in [y0, y1); casts cut at zero.
        let first = (y0 - 0.5).ceil() as usize;
        let end = ((y1 - 0.5).ceil() as usize).min(height);
        for y in first..end {
            let x = x0 + (y as f64 + 0.5 - y0) * (x1 - x0) / (y1 - y0);
            let begin = (x - 0.5).ceil() as usize;
            if begin < width {
                flips[y * width + begin] ^= true;
            }
        }
    }
    let mut any = false;
    for (flips, row) in flips.chunks_exact(width).zip(mask.chunks_exact_mut(width)) {
        let mut inside = false;
        for (&flip, pixel) in flips.iter().zip(row) {
            inside ^= flip;
            if inside {
                *pixel = 255;
                any = true;
            }
        }
    }
    if !any {
        for &[x, y] in points {
            if x >= 0.0 && y >= 0.0 && (x as usize) < width && (y as usize) < height {
                mask[y as usize * width + x as usize] = 255;
            }
        }
    }
}

/// Sets the pixels of a mask to 255 whose centres lie in the circle, with coordinates as in
/// [`fill_polygon`].
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

    /// The even-odd rule as it is defined: a ray to the right crosses an odd number of edges.
    fn is_inside(points: &[[f64; 2]], x: f64, y: f64) -> bool {
        let mut crossings = 0;
        for (index, &[x0, y0]) in points.iter().enumerate() {
            let [x1, y1] = points[(index + 1) % points.len()];
            if (y0 <= y) != (y1 <= y) && x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x {
                crossings += 1;
            }
        }
        crossings % 2 == 1
    }

    #[test]
    fn a_square_covers_the_pixels_in_it() {
        let mask = polygon(&[[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]], 5, 4);
        #[rustfmt::skip]
        assert_eq!(mask, [
            0,   0,   0,   0, 0,
            0, 255, 255, 255, 0,
            0, 255, 255, 255, 0,
            0,   0,   0,   0, 0,
        ]);
    }

    #[test]
    fn shapes_without_any_pixel_centre_mark_their_corners() {
        let mask = polygon(&[[1.6, 1.6], [1.9, 1.6], [1.9, 1.9]], 3, 3);
        assert_eq!(mask.iter().position(|&pixel| pixel == 255), Some(4));
        assert_eq!(defect_pixels(&mask), 1);
        // Outside of the image there is nothing to mark.
        assert!(
            polygon(&[[-9.0, 1.0], [7.0, 9.0]], 3, 3)
                .iter()
                .all(|&pixel| pixel == 0)
        );
        assert!(polygon(&[], 3, 3).iter().all(|&pixel| pixel == 0));
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
            points in prop::collection::vec((-5.0..20.0, -5.0..20.0).prop_map(|(x, y)| [x, y]), 3..9),
        ) {
            let (width, height) = (13, 11);
            let expected: Vec<u8> = (0..width * height)
                .map(|index| {
                    let (x, y) = ((index % width) as f64 + 0.5, (index / width) as f64 + 0.5);
                    if is_inside(&points, x, y) { 255 } else { 0 }
                })
                .collect();
            prop_assume!(expected.contains(&255));
            prop_assert_eq!(polygon(&points, width, height), expected);
        }

        #[test]
        fn wild_coordinates_do_no_harm(
            points in prop::collection::vec((-1e8..1e8, -1e8..1e8).prop_map(|(x, y)| [x, y]), 0..6),
        ) {
            polygon(&points, 7, 5);
        }
    }
}
