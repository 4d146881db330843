//! Surfaces: a pattern of tones, seen in some frame and coloured from a palette.

use super::grid::{Canvas, Colour, Field, blend};
use super::noise::{clouds, smooth};
use super::patterns::{Kind, PATTERNS, Pattern};
use crate::random::Random;

/// A surface before light falls on it.
#[derive(Clone)]
pub(super) struct Surface {
    pub(super) name: &'static str,
    /// Whether a piece of its pattern out of place can be told from the rest.
    pub(super) is_regular: bool,
    /// Its own colour.
    pub(super) albedo: Canvas,
    /// Its height in pixels of an image of [`UNIT`] pixels.
    pub(super) height: Field,
}

/// Lengths are given in pixels of an image of this size, and grow with the image.
pub(super) const UNIT: f32 = 144.0;

/// From a pixel to the coordinates of a pattern: turned, tilted away, and warped. The image is one
/// unit wide.
pub(super) struct Frame {
    sine: f32,
    cosine: f32,
    tilt: (f32, f32),
    warp: Option<(Field, Field)>,
    scale: f32,
    /// Width of a pixel.
    pub(super) pixel: f32,
}

impl Frame {
    fn new(random: &mut Random, size: usize) -> Self {
        // Products mostly lie straight before the camera.
        let angle = match random.below(5) {
            0 => 0.0,
            1 => std::f32::consts::FRAC_PI_2,
            2 => random.between(-0.2, 0.2),
            _ => random.angle(),
        };
        let tilt = if random.chance(0.4) {
            (random.between(-0.4, 0.4), random.between(-0.4, 0.4))
        } else {
            (0.0, 0.0)
        };
        let warp = random.chance(0.45).then(|| {
            let cells = random.between(1.0, 5.0);
            let strength = random.between(0.005, 0.05);
            let mut shift = || smooth(random, size, cells, cells).map(|value| value * strength);
            (shift(), shift())
        });
        Self {
            sine: angle.sin(),
            cosine: angle.cos(),
            tilt,
            warp,
            scale: 1.0 / size as f32,
            pixel: 1.0 / size as f32,
        }
    }

    pub(super) fn at(&self, x: usize, y: usize) -> (f32, f32) {
        let (mut u, mut v) = (x as f32 * self.scale - 0.5, y as f32 * self.scale - 0.5);
        let depth = 1.0 + self.tilt.0 * u + self.tilt.1 * v;
        u /= depth;
        v /= depth;
        if let Some((across, down)) = &self.warp {
            u += across[(x, y)];
            v += down[(x, y)];
        }
        (
            self.cosine * u + self.sine * v,
            self.cosine * v - self.sine * u,
        )
    }
}

/// Colours from dark to light tones.
pub(super) struct Palette {
    stops: [Colour; 3],
}

impl Palette {
    pub(super) fn new(random: &mut Random) -> Self {
        let contrast = random.between(0.12, 0.9);
        let middle = random.between(0.15, 0.85);
        let dark = (middle - contrast * random.between(0.3, 0.7)).max(0.02);
        let light = (dark + contrast).min(0.98);
        let kind = random.unit();
        let (low, high) = if kind < 0.42 {
            // Grey, perhaps with a cast.
            let cast: Colour = std::array::from_fn(|_| random.between(0.94, 1.06));
            (tinted(dark, cast), tinted(light, cast))
        } else if kind < 0.88 {
            // One hue: wood, leather, fabric, food, plastic.
            let vivid = if random.chance(0.3) { 0.85 } else { 0.5 };
            let hue = colour(random, 0.08, vivid);
            let other = blend(hue, colour(random, 0.08, vivid), 0.2);
            (tinted(dark * 1.35, hue), tinted(light * 1.35, other))
        } else {
            (
                tinted(dark * 1.6, colour(random, 0.1, 0.8)),
                tinted(light * 1.6, colour(random, 0.1, 0.8)),
            )
        };
        let bend = random.between(0.35, 0.65);
        let middle = blend(blend(low, high, bend), colour(random, 0.0, 1.0), {
            let strange = random.chance(0.15);
            if strange { 0.3 } else { 0.03 }
        });
        Self {
            stops: [low, middle, high],
        }
    }

    pub(super) fn at(&self, tone: f32) -> Colour {
        let place = tone.clamp(0.0, 1.0) * 2.0;
        if place < 1.0 {
            blend(self.stops[0], self.stops[1], place)
        } else {
            blend(self.stops[1], self.stops[2], place - 1.0)
        }
    }
}

fn tinted(value: f32, tint: Colour) -> Colour {
    tint.map(|channel| (channel * value).clamp(0.0, 1.0))
}

/// A colour whose channels differ by `least` to `most` of its brightest.
pub(super) fn colour(random: &mut Random, least: f32, most: f32) -> Colour {
    let spread = random.between(least, most);
    let mut channels = [1.0, 1.0 - spread * random.unit(), 1.0 - spread];
    // Warm colours are the more common ones in products and materials.
    let order = if random.chance(0.65) {
        0
    } else {
        random.below(6)
    };
    if order % 2 == 1 {
        channels.swap(1, 2);
    }
    channels.rotate_right(order / 2);
    channels
}

/// A random surface.
pub(super) fn surface(random: &mut Random, size: usize) -> Surface {
    let kind = random.pick(PATTERNS);
    drawn(random, size, kind)
}

/// A surface of something that most things are made of, or (half as often) of anything.
pub(super) fn material(random: &mut Random, size: usize) -> Surface {
    let mut kind = random.pick(PATTERNS);
    if random.chance(0.65) {
        while !kind.is_material {
            kind = random.pick(PATTERNS);
        }
    }
    drawn(random, size, kind)
}

fn drawn(random: &mut Random, size: usize, kind: Kind) -> Surface {
    let frame = Frame::new(random, size);
    let Pattern { tone, relief } = (kind.draw)(random, &frame, size);

    let mut tone = tone;
    if random.chance(0.6) {
        // Nothing real is of one tone.
        let cells = random.log_between(2.0, 60.0);
        let strength = random.between(0.02, 0.25);
        let dirt = clouds(random, size, cells, 3, 0.6);
        tone.combine(&dirt, |tone, dirt| tone + strength * (dirt - 0.5));
    }
    let palette = Palette::new(random);
    let albedo = tone.map(|tone| palette.at(tone));
    let height = tone.map(|tone| tone * relief);
    Surface {
        name: kind.name,
        is_regular: kind.is_regular,

        albedo,
        height,
    }
}

/// A surface with little on it: what objects are put on.
pub(super) fn plain_surface(random: &mut Random, size: usize) -> Surface {
    let mut plain = material(random, size);
    plain.quieten(random);
    plain
}

impl Surface {
    /// Brings its tones nearer to each other.
    pub(super) fn quieten(&mut self, random: &mut Random) {
        let keep = random.log_between(0.05, 0.6);
        let mut mean = [0.0; 3];
        for cell in &self.albedo.cells {
            for (mean, channel) in mean.iter_mut().zip(cell) {
                *mean += channel / self.albedo.cells.len() as f32;
            }
        }
        self.albedo = self.albedo.map(|colour| blend(mean, colour, keep));
        self.height = self.height.map(|height| height * keep);
    }
}
