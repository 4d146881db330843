//! Surfaces: a pattern of tones, seen in some frame and coloured from a palette.

use vcp_random::Random;

use crate::frame::Frame;
use crate::grid::{Canvas, Colour, Field, blend};
use crate::noise::{clouds, smooth};
use crate::patterns::{Kind, PATTERNS, Pattern};

/// A surface before light falls on it.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) name: &'static str,
    /// Whether a piece of its pattern out of place can be told from the rest.
    pub(crate) is_regular: bool,
    /// Colour of the surface, before light falls on it.
    pub(crate) albedo: Canvas,
    /// Height of the surface in pixels of an image of [`UNIT`] pixels.
    pub(crate) height: Field,
    /// How much of the light's gloss it has at each place; 1 everywhere if there is none.
    pub(crate) sheen: Option<Field>,
}

/// Lengths are given in pixels of an image of this size, and grow with the image.
pub(crate) const UNIT: f32 = 144.0;

/// Colours from dark to light tones.
pub(crate) struct Palette {
    stops: [Colour; 3],
}

impl Palette {
    pub(crate) fn new(random: &mut Random) -> Self {
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

    pub(crate) fn at(&self, tone: f32) -> Colour {
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
pub(crate) fn colour(random: &mut Random, least: f32, most: f32) -> Colour {
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
pub(crate) fn surface(random: &mut Random, size: usize) -> Surface {
    let kind = random.pick(PATTERNS);
    drawn(random, size, kind)
}

/// A surface of something that most things are made of, or (half as often) of anything.
pub(crate) fn material(random: &mut Random, size: usize) -> Surface {
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
        sheen: None,
    }
}

/// A surface with little on it: what objects are put on.
pub(crate) fn plain_surface(random: &mut Random, size: usize) -> Surface {
    let mut plain = material(random, size);
    plain.quieten(random);
    plain
}

/// An even surface, as products are photographed on: paper, a light table, black cloth, painted metal.
pub(crate) fn even_surface(random: &mut Random, size: usize) -> Surface {
    let value = match random.below(4) {
        0 => random.between(0.02, 0.12),
        1 => random.between(0.75, 0.95),
        _ => random.between(0.1, 0.85),
    };
    let cast = random.pick(&[0.0, 0.05, 0.05, 0.4]);
    let tint = tinted(value, colour(random, 0.0, cast));
    let cells = random.log_between(2.0, 40.0);
    let strength = random.between(0.0, 0.06);
    let uneven = smooth(random, size, cells, cells);
    Surface {
        name: "even ground",
        is_regular: false,
        albedo: uneven.map(|noise| tinted(1.0 + strength * noise, tint)),
        height: Field::new(size, 0.0),
        sheen: None,
    }
}

impl Surface {
    /// Changes how much it shines where a field says so: `factor` times as much.
    pub(crate) fn polish(&mut self, field: &Field, factor: f32) {
        let size = field.size;
        let sheen = self.sheen.get_or_insert_with(|| Field::new(size, 1.0));
        sheen.combine(field, |sheen, share| sheen * blend(1.0, factor, share));
    }

    /// Brings its tones nearer to each other.
    pub(crate) fn quieten(&mut self, random: &mut Random) {
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
