//! Hard structure that is normal: prints, letters, holes, screws, inclusions, grooves.

use std::rc::Rc;

use vcp_random::Random;

use crate::grid::{Colour, blend, step};
use crate::scene::Scene;
use crate::shapes::turn;
use crate::surfaces::{Surface, colour};

/// Ink or relief that is pressed on a surface.
#[derive(Clone, Copy)]
pub(crate) struct Ink {
    pub(crate) colour: Colour,
    /// How much of the surface's colour it hides.
    pub(crate) opacity: f32,
    /// How much it rises, in pixels of a small image.
    pub(crate) height: f32,
    /// Width of its edge in pixels.
    pub(crate) edge: f32,
}

impl Ink {
    pub(crate) fn new(random: &mut Random) -> Self {
        let value = random.unit();
        let grey = random.chance(0.5);
        let tint = if grey {
            [1.0; 3]
        } else {
            colour(random, 0.2, 0.9)
        };
        Self {
            colour: tint.map(|channel| channel * value),
            opacity: random.pick(&[0.0, 0.4, 0.8, 1.0]),
            height: random.pick(&[0.0, 0.0, 1.5, -1.5, -3.0]),
            edge: 1.2,
        }
        .visible()
    }

    fn visible(mut self) -> Self {
        if self.opacity == 0.0 && self.height == 0.0 {
            self.opacity = 0.9;
        }
        self
    }
}

/// Presses a shape on a surface: `distance` in pixels from the middle, below zero inside.
pub(crate) fn stamp(
    surface: &mut Surface,
    (middle_x, middle_y): (f32, f32),
    reach: f32,
    ink: Ink,
    distance: impl Fn(f32, f32) -> f32,
) {
    let size = surface.albedo.size;
    let range = |middle: f32| {
        let low = (middle - reach - 2.0).max(0.0) as usize;
        let high = (middle + reach + 2.0).max(0.0) as usize;
        low.min(size)..high.min(size)
    };
    for y in range(middle_y) {
        for x in range(middle_x) {
            let distance = distance(x as f32 - middle_x, y as f32 - middle_y);
            let share = step(ink.edge, -ink.edge, distance);
            if share > 0.0 {
                let cell = &mut surface.albedo[(x, y)];
                *cell = blend(*cell, ink.colour, share * ink.opacity);
                surface.height[(x, y)] += share * ink.height;
            }
        }
    }
}

const INCLUSIONS: usize = 1;

/// Adds none, one or several kinds of marks to the inspected surface, about `middle` within `radius`
/// pixels.
pub(crate) fn add(random: &mut Random, scene: &mut Scene, middle: (f32, f32), radius: f32) {
    let kinds = random.pick(&[0, 0, 1, 1, 2, 3]);
    for _ in 0..kinds {
        let kind = random.below(14);
        let kind = if kind > 11 { INCLUSIONS } else { kind };
        if kind == INCLUSIONS {
            // Nobody misses one of them: they belong to the blank.
            if let Some(blank) = &mut scene.blank {
                inclusions(&mut random.clone(), Rc::make_mut(blank), middle, radius);
            }
        } else if scene.blank.is_none() {
            scene.blank = Some(Rc::new(scene.inspected().clone()));
        }
        match kind {
            0 => letters(random, scene.surface(), middle, radius),
            INCLUSIONS => inclusions(random, scene.surface(), middle, radius),
            2 => rings(random, scene.surface(), middle, radius),
            3 => label(random, scene.surface(), middle, radius),
            4 => grooves(random, scene.surface(), middle, radius),
            5 => emblem(random, scene.surface(), middle, radius),
            6 | 7 => fitted(random, scene.surface(), middle, radius),
            8 => seam(random, scene.surface(), middle, radius),
            _ => array(random, scene, middle, radius),
        }
    }
}

fn turned(random: &mut Random) -> (f32, f32) {
    turn(random).sin_cos()
}

/// Rows of small glyphs out of strokes.
fn letters(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let ink = Ink::new(random);
    let (sine, cosine) = turned(random);
    let tall = radius * random.between(0.08, 0.25);
    let weight = (tall * random.between(0.08, 0.16)).max(0.5);
    let (rows, columns) = (random.count(1, 4), random.count(3, 9));
    let start = (
        random.between(-0.3, 0.3) * radius,
        random.between(-0.4, 0.4) * radius,
    );
    for row in 0..rows {
        for column in 0..columns {
            if random.chance(0.12) {
                continue;
            }
            let u = start.0 + (column as f32 - columns as f32 / 2.0) * tall * 0.8;
            let v = start.1 + (row as f32 - rows as f32 / 2.0) * tall * 1.5;
            let strokes: Vec<[f32; 4]> = (0..random.count(2, 4))
                .map(|_| {
                    let end = |random: &mut Random| {
                        let (x, y) = (random.below(3) as f32 - 1.0, random.below(3) as f32 - 1.0);
                        (x * tall * 0.28, y * tall * 0.5)
                    };
                    let ((a, b), (c, d)) = (end(random), end(random));
                    [a, b, c, d]
                })
                .collect();
            let place = (
                middle.0 + cosine * u - sine * v,
                middle.1 + sine * u + cosine * v,
            );
            let ink = Ink { edge: 0.6, ..ink };
            stamp(surface, place, tall * 0.8, ink, |x, y| {
                let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);
                let nearest = strokes
                    .iter()
                    .map(|stroke| to_segment((x, y), *stroke))
                    .fold(f32::INFINITY, f32::min);
                nearest - weight
            });
        }
    }
}

/// Distance of a point to a segment from (a, b) to (c, d).
pub(crate) fn to_segment((x, y): (f32, f32), [a, b, c, d]: [f32; 4]) -> f32 {
    let (u, v) = (c - a, d - b);
    let length = (u * u + v * v).max(1e-6);
    let along = (((x - a) * u + (y - b) * v) / length).clamp(0.0, 1.0);
    (x - a - along * u).hypot(y - b - along * v)
}

/// Scattered bits that belong there: seeds, chips, sprinkles, rivets. Some are as alike as if they were made by a
/// machine; others differ in size, outline, colour and depth, as what is mixed into dough, stone or plastic does.
fn inclusions(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let inks = [(); 3].map(|()| Ink::new(random));
    let (is_natural, colours) = (random.chance(0.6), random.pick(&[1, 1, 2, 3]));
    let typical = radius * random.log_between(0.03, 0.12);
    let (least, most) = if is_natural { (0.3, 2.2) } else { (0.6, 1.4) };
    for _ in 0..random.count(4, if is_natural { 45 } else { 28 }) {
        let (angle, far) = (random.angle(), radius * random.unit().sqrt());
        let place = (middle.0 + far * angle.cos(), middle.1 + far * angle.sin());
        let size = typical * random.log_between(least, most);
        let ratio = random.between(0.5, 1.0);
        let (sine, cosine) = random.angle().sin_cos();
        let mut ink = inks[random.below(colours)];
        let mut ragged = 0.0;
        if is_natural {
            let tone = random.between(0.75, 1.25);
            ink.colour = ink.colour.map(|channel| (channel * tone).min(1.0));
            ink.opacity *= random.between(0.5, 1.0);
            ink.height *= random.between(0.2, 1.5);
            ragged = random.between(0.0, 0.35);
        }
        let phase = random.angle();
        stamp(surface, place, size * (1.0 + ragged), ink, |x, y| {
            let (x, y) = (cosine * x + sine * y, (cosine * y - sine * x) / ratio);
            let around = y.atan2(x);
            let lobes = (3.0 * around + phase).sin() + 0.5 * (5.0 * around - phase).sin();
            x.hypot(y) - size * (1.0 + ragged * 0.66 * lobes)
        });
    }
}

fn rings(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let ink = Ink::new(random);
    for _ in 0..random.count(1, 3) {
        let far = radius * random.between(0.2, 0.9);
        let width = radius * random.between(0.01, 0.08);
        stamp(surface, middle, far + width, ink, |x, y| {
            (x.hypot(y) - far).abs() - width
        });
    }
}

/// A rectangle of another colour with letters on it.
fn label(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let ink = Ink {
        opacity: 1.0,
        height: 0.0,
        ..Ink::new(random)
    };
    let (sine, cosine) = turned(random);
    let (wide, tall) = (
        radius * random.between(0.3, 0.7),
        radius * random.between(0.15, 0.5),
    );
    let place = (
        middle.0 + radius * random.between(-0.2, 0.2),
        middle.1 + radius * random.between(-0.2, 0.2),
    );
    stamp(surface, place, wide + tall, ink, |x, y| {
        let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);
        (x.abs() - wide).max(y.abs() - tall)
    });
    letters(random, surface, place, tall * 1.5);
}

fn grooves(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let ink = Ink::new(random);
    let (sine, cosine) = turned(random);
    let count = random.pick(&[1, 2, 3, 4, 6, 10, 14]);
    let (apart, width) = (
        radius * random.between(0.08, 0.4) * (6.0 / count as f32).min(1.0),
        (radius * random.between(0.005, 0.04)).max(0.4),
    );
    let half = radius * random.between(0.3, 1.2);
    let shift = radius * random.between(-0.4, 0.4);
    for line in 0..count {
        let across = shift + (line as f32 - count as f32 / 2.0) * apart;
        let place = (middle.0 - sine * across, middle.1 + cosine * across);
        stamp(surface, place, half, ink, |x, y| {
            let (along, across) = (cosine * x + sine * y, cosine * y - sine * x);
            (along.abs() - half).max(across.abs() - width)
        });
    }
}

/// One figure in the middle.
fn emblem(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let ink = Ink::new(random);
    let reach = radius * random.between(0.15, 0.5);
    let (_, outline) = crate::shapes::outline(random);
    let (sine, cosine) = turned(random);
    stamp(surface, middle, reach * 1.5, ink, |x, y| {
        let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);
        outline(x / reach, y / reach) * reach
    });
}

/// A part that is fitted on or set in: a cap, a lid, a plug, a plate, a chip.
fn fitted(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let mut ink = Ink::new(random);
    ink.opacity = random.pick(&[0.0, 1.0, 1.0]);
    ink.height = random.pick(&[-4.0, 2.0, 5.0]);
    let reach = radius * random.between(0.15, 0.55);
    let (angle, far) = (random.angle(), radius * random.pick(&[0.0, 0.0, 0.35]));
    let place = (middle.0 + far * angle.cos(), middle.1 + far * angle.sin());
    let (_, outline) = crate::shapes::outline(random);
    let (sine, cosine) = turned(random);
    let distance = |x: f32, y: f32| {
        let (x, y) = (cosine * x + sine * y, cosine * y - sine * x);
        outline(x / reach, y / reach) * reach
    };
    stamp(surface, place, reach * 1.5, ink, distance);
    // The top is flat or domed; a gap runs about it.
    let top = Ink {
        opacity: 0.0,
        height: random.between(-2.0, 4.0),
        edge: reach * random.between(0.05, 0.5),
        ..ink
    };
    stamp(surface, place, reach * 1.5, top, |x, y| {
        distance(x, y) + top.edge
    });
    let gap = Ink {
        colour: [0.03; 3],
        opacity: random.between(0.0, 0.8),
        height: -1.0,
        edge: 0.8,
    };
    let width = 0.4 + reach * random.between(0.0, 0.03);
    stamp(surface, place, reach * 1.5, gap, |x, y| {
        distance(x, y).abs() - width
    });
}

/// A joint or a fold, straight or round, perhaps with stitches beside it.
fn seam(random: &mut Random, surface: &mut Surface, middle: (f32, f32), radius: f32) {
    let groove = Ink {
        colour: [random.between(0.0, 0.2); 3],
        opacity: random.between(0.0, 0.8),
        height: random.pick(&[-3.0, -1.5, 2.0]),
        edge: random.between(0.8, 2.5),
    };
    let (sine, cosine) = turned(random);
    let (is_round, far) = (random.chance(0.3), radius * random.between(0.2, 0.9));
    let shift = radius * random.between(-0.5, 0.5);
    // Along the seam, and across it.
    let place = |x: f32, y: f32| {
        if is_round {
            (y.atan2(x) * far, x.hypot(y) - far)
        } else {
            (cosine * x + sine * y, cosine * y - sine * x - shift)
        }
    };
    let width = 0.4 + radius * random.between(0.0, 0.012);
    let reach = 1.5 * radius;
    stamp(surface, middle, reach, groove, |x, y| {
        place(x, y).1.abs() - width
    });
    if random.chance(0.5) {
        let thread = Ink {
            opacity: 1.0,
            height: 1.5,
            edge: 0.8,
            ..Ink::new(random)
        };
        let period = radius * random.between(0.06, 0.16);
        let (half, beside) = (
            period * random.between(0.2, 0.4),
            random.between(0.0, 0.12) * radius,
        );
        let thick = (0.14 * period).max(0.5);
        let is_double = random.chance(0.5);
        stamp(surface, middle, reach, thread, |x, y| {
            let (along, across) = place(x, y);
            let along = (along / period - (along / period).round()) * period;
            let across = if is_double { across.abs() } else { across };
            (along.abs() - half).max((across - beside).abs() - thick)
        });
    }
}

/// Equal marks in rows or in a circle: holes, screws, pins, buttons. One of them may go missing.
fn array(random: &mut Random, scene: &mut Scene, middle: (f32, f32), radius: f32) {
    let ink = Ink::new(random);
    let plain = scene.inspected().clone();
    let mut spots = Vec::new();
    let reach;
    if random.chance(0.5) {
        let (columns, rows) = (random.count(2, 6), random.count(2, 6));
        let apart = radius * 1.5 / columns.max(rows) as f32;
        reach = apart * random.between(0.15, 0.42);
        let (sine, cosine) = turned(random);
        for row in 0..rows {
            for column in 0..columns {
                let u = (column as f32 - (columns - 1) as f32 / 2.0) * apart;
                let v = (row as f32 - (rows - 1) as f32 / 2.0) * apart;
                let place = (cosine * u - sine * v, sine * u + cosine * v);
                spots.push([middle.0 + place.0, middle.1 + place.1, reach]);
            }
        }
    } else {
        let count = random.count(3, 12);
        let far = radius * random.between(0.4, 0.85);
        reach = far * (3.0 / count as f32).min(0.5) * random.between(0.2, 0.7);
        let turn = random.angle();
        for spot in 0..count {
            let angle = turn + std::f32::consts::TAU * spot as f32 / count as f32;
            let (sine, cosine) = angle.sin_cos();
            spots.push([middle.0 + far * cosine, middle.1 + far * sine, reach]);
        }
    }
    let head = random.below(7);
    let (sine, cosine) = turned(random);
    let surface = scene.surface();
    for &[x, y, _] in &spots {
        stamp(surface, (x, y), reach, ink, |x, y| {
            let slot = (cosine * x + sine * y).abs() - 0.15 * reach;
            let across = (cosine * y - sine * x).abs() - 0.15 * reach;
            let disc = x.hypot(y) - reach;
            match head {
                0 => disc.max(-slot),
                1 => disc.max(-slot.min(across)),
                2 => disc.max(0.5 * reach - x.hypot(y)),
                _ => disc,
            }
        });
    }
    scene.unmarked = Some(Rc::new(plain));
    scene.spots = spots;
}
