//! The photo with its map laid over it, and a line around what passes the threshold.

use crate::map_rows::for_each_row;
use crate::picture::{Scale, colors};
use crate::{MapRows, Photo, Picture};

/// Opacity of the hottest colour. Below it opacity falls with the value, down to nothing, so that a
/// clean photo looks as it was taken.
const MOST_OPACITY: f64 = 0.7;
/// The line's bright part, and the dark part outside it that sets it off from a bright photo.
const BRIGHT: [u8; 3] = [64, 255, 255];
const DARK: [u8; 3] = [0, 0, 0];
/// The bright part is one pixel thick per so many pixels of the photo's shorter side.
const PIXELS_PER_LINE_PIXEL: usize = 250;
/// Distances along a row are kept in bytes, which also bounds the line's thickness.
const FAR: u8 = u8::MAX;

/// The photo, the map's colours over it (Inferno on the fixed scale `range`, the more opaque the
/// higher the value), and around every region of values of at least `threshold` a bright line with a
/// dark edge, as thick as suits the photo's size. The line lies outside the region.
///
/// # Panics
/// If the photo and the map differ in size.
#[must_use]
pub fn overlay(
    photo: &Photo,
    map: &(impl MapRows + ?Sized),
    range: (f32, f32),
    threshold: f32,
) -> Picture {
    overlay_around(photo, map, range, map, threshold)
}

/// As [`overlay`], with the lines around the regions of another map than the one that colours the photo, such as
/// one [without small regions](crate::SmallRegions::cleared).
///
/// # Panics
/// If the photo and the maps differ in size.
#[must_use]
pub fn overlay_around(
    photo: &Photo,
    map: &(impl MapRows + ?Sized),
    range: (f32, f32),
    marked: &(impl MapRows + ?Sized),
    threshold: f32,
) -> Picture {
    let (width, height) = (photo.width(), photo.height());
    for size in [
        (map.width(), map.height()),
        (marked.width(), marked.height()),
    ] {
        assert!(
            size == (width, height),
            "a photo of {width} × {height} pixels cannot be overlaid with a map of {} × {}",
            size.0,
            size.1
        );
    }
    let mut pixels = photo.to_rgb().into_pixels();
    tint(&mut pixels, map, range);
    draw_contour(&mut pixels, marked, threshold);
    Picture::new(Photo::from_parts(width, height, 3, pixels))
}

/// Blends the map's colours into `pixels`.
fn tint(pixels: &mut [u8], map: &(impl MapRows + ?Sized), range: (f32, f32)) {
    // Each of the 256 steps has one colour and one opacity: `pixel · keep + add`, in 8.8 bits.
    let blends: [(u16, [u16; 3]); 256] = {
        let colors = colors();
        std::array::from_fn(|step| {
            let opacity = MOST_OPACITY * step as f64 / 255.0;
            let keep = ((1.0 - opacity) * 256.0).round();
            let add = colors[step].map(|part| ((256.0 - keep) * f64::from(part)) as u16 + 128);
            // Where nothing is laid over, the photo stays as it is to the last bit.
            (keep as u16, if keep >= 256.0 { [0; 3] } else { add })
        })
    };
    let scale = Scale::new(range);
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for_each_row(map, |y, values| {
        let row = &mut pixels[y * values.len()..(y + 1) * values.len()];
        for (pixel, &value) in row.iter_mut().zip(values) {
            let (keep, add) = blends[usize::from(scale.step(value))];
            for (part, add) in pixel.iter_mut().zip(add) {
                *part = ((u32::from(*part) * u32::from(keep) + u32::from(add)) >> 8) as u8;
            }
        }
    });
}

/// Draws the line around the regions: every pixel outside them whose distance to the nearest pixel
/// inside is at most the line's thickness.
fn draw_contour(pixels: &mut [u8], map: &(impl MapRows + ?Sized), threshold: f32) {
    let (width, height) = (map.width(), map.height());
    let bright = (width.min(height) / PIXELS_PER_LINE_PIXEL).clamp(1, 100);
    let whole = bright + bright.div_ceil(2);
    let line = Disc::new(bright, whole);
    // Of every row within reach, each pixel's distance to the nearest inside pixel of that row.
    let mut window = Window::new(map, threshold, whole);
    let mut levels = vec![0_u8; width];
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for y in 0..height {
        window.move_to(y);
        levels.fill(0);
        let mut touched = false;
        for row in y.saturating_sub(whole)..(y + whole + 1).min(height) {
            if let Some(distances) = window.row(row) {
                line.mark(&mut levels, distances, row.abs_diff(y));
                touched = true;
            }
        }
        if !touched {
            continue;
        }
        let inside = window.row(y);
        for (x, pixel) in pixels[y * width..(y + 1) * width].iter_mut().enumerate() {
            if inside.is_some_and(|distances| distances[x] == 0) {
                continue;
            }
            match levels[x] {
                0 => {}
                1 => *pixel = DARK,
                _ => *pixel = BRIGHT,
            }
        }
    }
}

/// Two discs, as the farthest distance along a row that still lies inside, for each row.
struct Disc {
    reach: Vec<(u8, Option<u8>)>,
}

impl Disc {
    fn new(bright: usize, whole: usize) -> Self {
        // A little more than the radius makes small discs rounder.
        let reach = |radius: usize, rows: usize| {
            let radius = radius as f64 + 0.5;
            (radius * radius - (rows * rows) as f64).sqrt() as u8
        };
        let reach = (0..=whole)
            .map(|rows| {
                let bright = (rows <= bright).then(|| reach(bright, rows));
                (reach(whole, rows), bright)
            })
            .collect();
        Self { reach }
    }

    /// Raises `levels` to 1 (dark) or 2 (bright) where `distances`, of a row `rows` away, reach.
    fn mark(&self, levels: &mut [u8], distances: &[u8], rows: usize) {
        match self.reach[rows] {
            (dark, None) => {
                for (level, &distance) in levels.iter_mut().zip(distances) {
                    *level = (*level).max(u8::from(distance <= dark));
                }
            }
            (dark, Some(bright)) => {
                for (level, &distance) in levels.iter_mut().zip(distances) {
                    let found = u8::from(distance <= dark) + u8::from(distance <= bright);
                    *level = (*level).max(found);
                }
            }
        }
    }
}

/// The rows around the one being drawn.
struct Window<'a, Map: ?Sized> {
    map: &'a Map,
    threshold: f32,
    reach: usize,
    /// First row not computed yet.
    next: usize,
    values: Vec<f32>,
    /// Row `y` stands at `y % rows.len()`; the flag says whether it has any inside pixel.
    rows: Vec<(bool, Vec<u8>)>,
}

impl<'a, Map: MapRows + ?Sized> Window<'a, Map> {
    fn new(map: &'a Map, threshold: f32, reach: usize) -> Self {
        Self {
            map,
            threshold,
            reach,
            next: 0,
            values: vec![0.0; map.width()],
            rows: vec![(false, vec![FAR; map.width()]); 2 * reach + 1],
        }
    }

    /// Makes all rows within reach of `y` available; `y` only ever grows by one.
    fn move_to(&mut self, y: usize) {
        let end = (y + self.reach + 1).min(self.map.height());
        while self.next < end {
            self.map.row(self.next, &mut self.values);
            let slot = self.next % self.rows.len();
            let (any, distances) = &mut self.rows[slot];
            *any = fill_distances(&self.values, self.threshold, distances);
            self.next += 1;
        }
    }

    /// The distances of a row, unless no pixel of it is inside.
    fn row(&self, y: usize) -> Option<&[u8]> {
        let (any, distances) = &self.rows[y % self.rows.len()];
        any.then_some(distances)
    }
}

/// Each pixel's distance along the row to the nearest value of at least `threshold`, at most
/// [`FAR`]. Returns whether there is one.
fn fill_distances(values: &[f32], threshold: f32, distances: &mut [u8]) -> bool {
    let mut distance = FAR;
    let mut any = false;
    for (out, &value) in distances.iter_mut().zip(values) {
        let inside = value >= threshold;
        any |= inside;
        distance = if inside {
            0
        } else {
            distance.saturating_add(1)
        };
        *out = distance;
    }
    if any {
        for out in distances.iter_mut().rev() {
            distance = if *out == 0 {
                0
            } else {
                distance.saturating_add(1).min(*out)
            };
            *out = distance;
        }
    }
    any
}
