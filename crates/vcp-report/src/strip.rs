//! One photo in the four panels of the official code.

use vcp_image::{Photo, Picture};

use crate::panels::{Canvas, LINE, Panels, half};
use crate::{Case, Error};

/// Side of the panels while they are drawn, that of the model's input.
const DRAWN: usize = 518;
/// White columns between panels, at that size.
const GAP: usize = 10;
/// Size of the finished strip: four times 256 pixels and three gaps of 10.
const WIDTH: usize = 4 * 256 + 3 * 10;
const HEIGHT: usize = 256;
/// Thickness of the truth's line while it is drawn.
const THICKNESS: usize = 2;

/// The photo, squeezed into a square, in the four panels of the official code, from left to right:
/// the photo; the map over it; the map over it where it reaches `threshold`, with a green line
/// around the truth; the truth over it. 1054 × 256 pixels.
///
/// Colours are the rainbow from dark blue to dark red that the official code uses, half and half
/// with the photo. `range` says which values have its ends: the official code takes each map's own
/// least and largest ([`Case::own_range`]), which makes good parts look bad; the same range for all
/// photos lets their colours compare. Without a mask the last panel shows no defect.
///
/// The official code draws what is above the threshold; here, as everywhere in this project, what
/// reaches it counts. Lines also go around holes, and shrinking is antialiased.
///
/// # Errors
/// If the case's parts do not fit together, or the range is not two finite, rising numbers.
pub fn strip(case: &Case, threshold: f64, range: (f32, f32)) -> Result<Picture, Error> {
    check_range(range)?;
    let panels = Panels::new(case, DRAWN, DRAWN)?;
    let pixels = DRAWN * DRAWN;
    let truth = panels.truth.as_deref();
    let level = |at: usize| (panels.values[at] - range.0) / (range.1 - range.0);
    let reaches = |at: usize| f64::from(panels.values[at]) >= threshold;
    let inside = |at: usize| truth.is_some_and(|truth| truth[at]);

    let map = Canvas::tinted(&panels.photo, (0..pixels).map(level));
    let passing = (0..pixels).map(|at| if reaches(at) { level(at) } else { 0.0 });
    let mut passing = Canvas::tinted(&panels.photo, passing);
    if let Some(truth) = truth {
        passing.outline(truth, THICKNESS, LINE);
    }
    let defect = (0..pixels).map(|at| f32::from(u8::from(inside(at))));
    let defect = Canvas::tinted(&panels.photo, defect);

    let pictures = [map.finish()?, passing.finish()?, defect.finish()?];
    let width = 4 * DRAWN + 3 * GAP;
    let mut joined = Vec::with_capacity(width * DRAWN * 3);
    for y in 0..DRAWN {
        joined.extend_from_slice(panels.photo.row(y));
        for picture in &pictures {
            joined.extend_from_slice(&[255; GAP * 3]);
            joined.extend_from_slice(picture.as_photo().row(y));
        }
    }
    let joined = Photo::from_rgb(width, DRAWN, joined)?;
    Ok(joined.resize_bicubic(WIDTH, HEIGHT).into())
}

impl Case {
    /// The map's least and largest value, with something between them; for [`strip`] as the official
    /// code draws it. Values that are not finite are not looked at.
    #[must_use]
    pub fn own_range(&self) -> (f32, f32) {
        range_of(self.map.iter().copied())
    }
}

/// Least and largest of the finite values; never equal.
pub(crate) fn range_of(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        (0.0, 1.0)
    } else if low < high {
        (low, high)
    } else {
        // A constant map is all at the low end, if numbers go on that far.
        let above = low + low.abs().max(1.0);
        if above.is_finite() {
            (low, above)
        } else {
            (low / 2.0, low)
        }
    }
}

/// Refuses a colour scale without an extent.
pub(crate) fn check_range(range: (f32, f32)) -> Result<(), Error> {
    if range.0.is_finite() && range.1.is_finite() && range.0 < range.1 {
        Ok(())
    } else {
        Err(Error::Range { range })
    }
}

impl Canvas {
    /// The photo half and half with the colours of `levels`, from 0 to 1, one for each pixel.
    fn tinted(photo: &Photo, levels: impl Iterator<Item = f32>) -> Self {
        let mut canvas = Self::new(photo);
        for (pixel, level) in canvas.pixels().iter_mut().zip(levels) {
            *pixel = half(*pixel, rainbow(level));
        }
        canvas
    }
}

/// The rainbow ("jet") from dark blue over cyan, green and yellow to dark red. Levels outside 0..1
/// stop at the ends; so does NaN, at the low one.
fn rainbow(level: f32) -> [u8; 3] {
    let level = level.clamp(0.0, 1.0);
    let level = if level.is_nan() { 0.0 } else { level };
    // Each part is a trapezium around its own place on the scale.
    [3.0, 2.0, 1.0].map(|center| {
        let part = (1.5 - (4.0 * level - center).abs()).clamp(0.0, 1.0);
        (part * 255.0 + 0.5) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo, grey 100 all over; a map that is 1 on the right half; the lower half is defect.
    fn case() -> Case {
        let side = 100;
        let map = (0..side * side).map(|at| f32::from(u8::from(at % side >= side / 2)));
        let truth = (0..side * side).map(|at| u8::from(at / side >= side / 2) * 255);
        Case {
            title: String::new(),
            path: String::new(),
            score: 0.0,
            photo: Photo::from_grey(side, side, vec![100; side * side]).unwrap(),
            map: map.collect(),
            side,
            truth: Some(Photo::from_grey(side, side, truth.collect()).unwrap()),
        }
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        let row = picture.as_photo().row(y);
        [row[x * 3], row[x * 3 + 1], row[x * 3 + 2]]
    }

    #[test]
    fn panels_stand_in_the_official_order() {
        let strip = strip(&case(), 0.5, (0.0, 1.0)).unwrap();
        assert_eq!(strip.as_photo().width(), 1054);
        assert_eq!(strip.as_photo().height(), 256);
        let (blue, red) = (half([100; 3], [0, 0, 128]), half([100; 3], [128, 0, 0]));
        // Left and right, above and below, of the four panels.
        let quarters = |panel: usize| {
            let left = panel * 1054 / 4 + 64;
            [(0, 64), (128, 64), (0, 192), (128, 192)].map(|(x, y)| pixel(&strip, left + x, y))
        };
        assert_eq!(quarters(0), [[100; 3]; 4]);
        assert_eq!(quarters(1), [blue, red, blue, red]);
        assert_eq!(quarters(2), [blue, red, blue, red]);
        assert_eq!(quarters(3), [blue, blue, red, red]);
        // White between them.
        for panel in 1..4 {
            let gap = (panel * (DRAWN + GAP) - GAP / 2) * WIDTH / (4 * DRAWN + 3 * GAP);
            assert_eq!(pixel(&strip, gap, 100), [255; 3], "gap {panel}");
        }
        // The line around the truth runs above the middle, in the third panel only.
        let green = |panel: usize| {
            let x = panel * 1054 / 4 + 64;
            (120..136).any(|y| {
                let [red, green, blue] = pixel(&strip, x, y);
                green > 180 && red < 90 && blue < 90
            })
        };
        assert_eq!([0, 1, 2, 3].map(green), [false, false, true, false]);
    }

    #[test]
    fn a_threshold_cuts_the_third_panel_only() {
        let high = strip(&case(), 1.5, (0.0, 1.0)).unwrap();
        let blue = half([100; 3], [0, 0, 128]);
        assert_eq!(pixel(&high, 2 * 1054 / 4 + 192, 64), blue);
        assert_eq!(
            pixel(&high, 1054 / 4 + 192, 64),
            half([100; 3], [128, 0, 0])
        );
    }

    #[test]
    fn the_rainbow_has_its_known_colors() {
        let known = [
            (0.0, [0, 0, 128]),
            (0.125, [0, 0, 255]),
            (0.375, [0, 255, 255]),
            (0.5, [128, 255, 128]),
            (0.625, [255, 255, 0]),
            (0.875, [255, 0, 0]),
            (1.0, [128, 0, 0]),
            (7.0, [128, 0, 0]),
            (-1.0, [0, 0, 128]),
            (f32::NAN, [0, 0, 128]),
        ];
        for (level, color) in known {
            assert_eq!(rainbow(level), color, "{level}");
        }
    }

    #[test]
    fn ranges_are_the_maps_own_or_refused() {
        let mut case = case();
        assert_eq!(case.own_range(), (0.0, 1.0));
        case.map[0] = f32::NAN;
        assert_eq!(case.own_range(), (0.0, 1.0));
        for constant in [0.0, -3.0, 1e30, f32::MIN] {
            case.map.fill(constant);
            let (low, high) = case.own_range();
            assert!(low < high && low.total_cmp(&constant).is_eq(), "{constant}");
        }
        for range in [
            (1.0, 1.0),
            (2.0, 1.0),
            (f32::NAN, 1.0),
            (0.0, f32::INFINITY),
        ] {
            let error = strip(&case, 0.5, range).unwrap_err();
            assert!(matches!(error, Error::Range { .. }), "{range:?}");
        }
    }
}
