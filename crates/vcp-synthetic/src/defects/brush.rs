//! Strokes and blots: fields from 0 to 1 that say how much a place is changed.

use vcp_random::Random;

use crate::grid::{Colour, Field, Value, blend, step};
use crate::marks::to_segment;
use crate::noise::smooth;
use crate::scene::Scene;
use crate::surfaces::{Surface, colour};

pub(super) type Point = (f32, f32);

/// A place on the inspected surface.
pub(super) fn place(random: &mut Random, scene: &Scene) -> Option<Point> {
    let size = scene.size as f32;
    (0..40)
        .map(|_| (random.unit() * size, random.unit() * size))
        .find(|&(x, y)| scene.covers(x, y))
}

/// A path whose direction wanders by about `bend` at every step.
pub(super) fn path(
    random: &mut Random,
    (mut x, mut y): Point,
    mut direction: f32,
    length: f32,
    bend: f32,
) -> Vec<Point> {
    let steps = ((length / 3.0).ceil() as usize).clamp(2, 60);
    let stride = length / steps as f32;
    let mut points = vec![(x, y)];
    for _ in 0..steps {
        direction += random.normal() * bend;
        x += stride * direction.cos();
        y += stride * direction.sin();
        points.push((x, y));
    }
    points
}

/// Adds a line along points, of the width given at each share (0 to 1) of its length, in pixels.
pub(super) fn draw(field: &mut Field, points: &[Point], width: impl Fn(f32) -> f32) {
    let count = points.len() as f32 - 1.0;
    let size = field.size;
    for (number, pair) in points.windows(2).enumerate() {
        let [(a, b), (c, d)] = [pair[0], pair[1]];
        let half = width((number as f32 + 0.5) / count) / 2.0;
        // Lines thinner than a pixel get fainter.
        let strength = (half * 2.0).min(1.0);
        let half = half.max(0.5);
        let reach = half + 1.5;
        let range = |from: f32, to: f32| {
            let low = (from.min(to) - reach).max(0.0) as usize;
            let high = (from.max(to) + reach + 1.0).max(0.0) as usize;
            low.min(size)..high.min(size)
        };
        for y in range(b, d) {
            for x in range(a, c) {
                let distance = to_segment((x as f32, y as f32), [a, b, c, d]);
                let share = strength * (half + 0.5 - distance).clamp(0.0, 1.0);
                let cell = &mut field[(x, y)];
                *cell = cell.max(share);
            }
        }
    }
}

/// A blot of uneven outline; `soft` is the width of its edge as a share of its radius.
pub(super) fn blot(
    random: &mut Random,
    size: usize,
    (middle_x, middle_y): Point,
    radius: f32,
    soft: f32,
) -> Field {
    let (sine, cosine) = random.angle().sin_cos();
    let ratio = random.log_between(0.4, 1.0);
    let rough = random.between(0.05, 0.5);
    let cells = (size as f32 / radius * random.between(0.6, 2.5)).clamp(2.0, size as f32 * 0.5);
    let fine = (cells * 3.0).min(size as f32 * 0.8);
    let mut noise = smooth(random, size, cells, cells);
    let finer = smooth(random, size, fine, fine);
    noise.combine(&finer, |noise, finer| noise + 0.4 * finer);
    let soft = soft.max(0.8 / radius);
    Field::from_fn(size, |x, y| {
        let (x1, y1) = (x as f32 - middle_x, y as f32 - middle_y);
        let (u, v) = (cosine * x1 + sine * y1, (cosine * y1 - sine * x1) / ratio);
        let far = u.hypot(v) / radius;
        if far > 3.0 {
            return 0.0;
        }
        step(
            1.0 + soft / 2.0,
            1.0 - soft / 2.0,
            far + rough * noise[(x, y)] * 0.5,
        )
    })
}

/// Radius of a blot in pixels of this scene, small ones as often as large ones. Given as shares of
/// the picture; not so large that nothing is left of an object.
pub(super) fn radius(random: &mut Random, scene: &Scene, least: f32, most: f32) -> f32 {
    let most = scene.front.as_ref().map_or(most, |front| {
        let object = front.radius / scene.size as f32;
        most.min(0.7 * object).max(1.2 * least)
    });
    scene.size as f32 * random.log_between(least, most)
}

/// A colour that differs from `from`: darker, lighter, or of another hue.
pub(super) fn other_colour(random: &mut Random, from: Colour, power: f32) -> Colour {
    let luma = (from[0] + from[1] + from[2]) / 3.0;
    let reach = 0.12 + 0.75 * power;
    match random.below(4) {
        0 | 1 => {
            let darker = luma > random.between(0.15, 0.5);
            let target = if darker { 0.0 } else { 1.0 };
            from.map(|channel| blend(channel, target, reach))
        }
        2 => {
            let hue = colour(random, 0.4, 0.9);
            let value = (luma * random.between(0.8, 2.0)).clamp(0.1, 1.0);
            blend(from, hue.map(|channel| channel * value), reach)
        }
        _ => blend(from, std::array::from_fn(|_| random.unit()), reach),
    }
}

/// The surface's mean colour about a place.
pub(super) fn colour_about(surface: &Surface, (x, y): Point) -> Colour {
    let mut sum = [0.0; 3];
    for (right, down) in [(0.0, 0.0), (3.0, 0.0), (-3.0, 0.0), (0.0, 3.0), (0.0, -3.0)] {
        sum = blend(sum, surface.albedo.at(x + right, y + down), 0.3);
    }
    // Five blends from black reach 1 − 0.7⁵.
    sum.map(|channel| channel / (1.0 - 0.7_f32.powi(5)))
}

/// Covers the surface with a colour.
pub(super) fn paint(surface: &mut Surface, field: &Field, colour: Colour, opacity: f32) {
    surface.albedo.combine(field, |cell, share| {
        if share > 0.0 {
            blend(cell, colour, share * opacity)
        } else {
            cell
        }
    });
}

/// Lifts the surface, in pixels of a small image.
pub(super) fn lift(surface: &mut Surface, field: &Field, height: f32) {
    surface
        .height
        .combine(field, |cell, share| cell + share * height);
}

/// How far the inspected surface reaches in pixels: half the picture, or an object's radius.
pub(super) fn reach(scene: &Scene) -> f32 {
    let half = 0.5 * scene.size as f32;
    let object = scene.front.as_ref().map_or(half, |front| front.radius);
    object.min(half)
}

/// The surface's mean colour where a field is above 0, weighed by it.
pub(super) fn colour_under(surface: &Surface, field: &Field) -> Colour {
    let (mut sum, mut weight) = ([0.0; 3], 0.0);
    // Every seventh pixel will do.
    for (cell, &share) in surface.albedo.cells.iter().zip(&field.cells).step_by(7) {
        sum = sum.plus(*cell, share);
        weight += share;
    }
    sum.map(|channel| channel / weight.max(1e-3))
}
