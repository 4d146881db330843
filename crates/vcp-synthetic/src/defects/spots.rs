//! Holes, dents, particles, drops.

use super::Tools;
use super::brush::{blot, colour_about, lift, other_colour, paint, place, radius};
use crate::grid::{Field, blend, step};
use crate::scene::Scene;

/// A hole with a dark inside, and perhaps a light or raised rim.
pub(super) fn hole(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.012, 0.09);
    let field = blot(random, scene.size, middle, radius, 0.15);
    let about = colour_about(scene.inspected(), middle);
    let dark = about.map(|channel| channel * random.between(0.0, 0.35));
    let rim = random.pick(&[0.0, 0.0, 0.3, 0.6]);
    let opacity = 0.35 + 0.65 * tools.power;
    let around = field.blurred(radius * 0.25);
    let wall = scene.unit() * 0.03 * random.between(0.0, 1.0);
    let surface = scene.surface();
    if rim > 0.0 {
        paint(surface, &around, [1.0; 3], rim);
    }
    paint(surface, &field, dark, opacity);
    lift(surface, &around, -radius * (0.4 + wall));
    Some(around.map(|share| step(0.05, 0.3, share)))
}

pub(super) fn dent(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let deep = -(2.0 + 14.0 * tools.power);
    swelling(tools, scene, deep)
}

pub(super) fn bump(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let high = 2.0 + 14.0 * tools.power;
    swelling(tools, scene, high)
}

fn swelling(tools: &mut Tools, scene: &mut Scene, height: f32) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.03, 0.16);
    let soft = random.between(0.5, 1.6);
    let field = blot(random, scene.size, middle, radius, soft).blurred(radius * 0.12);
    // As steep whatever its size.
    let height = height * (radius / (10.0 * scene.unit())).clamp(0.4, 1.5);
    lift(scene.surface(), &field, height);
    Some(field)
}

/// Bits of something else, scattered about a place.
pub(super) fn particles(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let spread = radius(random, scene, 0.02, 0.12);
    let about = colour_about(scene.inspected(), middle);
    let colour = other_colour(random, about, tools.power);
    let typical = scene.unit() * random.log_between(0.9, 4.0);
    let mut all = Field::new(scene.size, 0.0);
    for _ in 0..random.count(1, 12) {
        let x = middle.0 + random.normal() * spread;
        let y = middle.1 + random.normal() * spread;
        let reach = typical * random.between(0.5, 1.5);
        dab(
            &mut all,
            (x, y),
            reach,
            random.between(0.5, 1.0),
            random.angle(),
        );
    }
    let shift = scene.unit() * 1.2;
    let [right, down, _] = scene.light.from;
    let shadow = Field::from_fn(scene.size, |x, y| {
        all.at(x as f32 + shift * right, y as f32 + shift * down)
    });
    let surface = scene.surface();
    paint(surface, &shadow, [0.0; 3], 0.35 * tools.power);
    paint(surface, &all, colour, 1.0);
    lift(surface, &all, 2.0);
    Some(all)
}

/// Adds a small ellipse.
pub(super) fn dab(field: &mut Field, (x, y): (f32, f32), reach: f32, ratio: f32, turn: f32) {
    let (sine, cosine) = turn.sin_cos();
    let size = field.size;
    let range = |middle: f32| {
        let low = (middle - reach - 2.0).max(0.0) as usize;
        let high = (middle + reach + 2.0).max(0.0) as usize;
        low.min(size)..high.min(size)
    };
    for row in range(y) {
        for column in range(x) {
            let (right, down) = (column as f32 - x, row as f32 - y);
            let (u, v) = (cosine * right + sine * down, cosine * down - sine * right);
            let distance = u.hypot(v / ratio) - reach;
            let cell = &mut field[(column, row)];
            *cell = cell.max(step(0.7, -0.7, distance));
        }
    }
}

/// Drops of liquid: a dark edge away from the light, a glint towards it.
pub(super) fn drops(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let spread = radius(random, scene, 0.03, 0.15);
    let typical = scene.unit() * random.log_between(2.0, 9.0);
    let mut all = Field::new(scene.size, 0.0);
    let [right, down, _] = scene.light.from;
    let strength = 0.3 + 0.7 * tools.power;
    for _ in 0..random.count(1, 6) {
        let x = middle.0 + random.normal() * spread;
        let y = middle.1 + random.normal() * spread;
        let reach = typical * random.between(0.5, 1.3);
        let mut drop = Field::new(scene.size, 0.0);
        dab(
            &mut drop,
            (x, y),
            reach,
            random.between(0.75, 1.0),
            random.angle(),
        );
        let surface = scene.surface();
        for row in 0..drop.size {
            for column in 0..drop.size {
                let share = drop[(column, row)];
                if share == 0.0 {
                    continue;
                }
                let (u, v) = ((column as f32 - x) / reach, (row as f32 - y) / reach);
                let toward = u * right + v * down;
                let cell = &mut surface.albedo[(column, row)];
                // Light is gathered on the side away from the lamp.
                let factor = 1.0 - strength * 0.7 * toward;
                *cell = cell.map(|it| blend(it, (it * factor).min(1.0), share));
                let glint = step(0.28, 0.12, (u - 0.45 * right).hypot(v - 0.45 * down));
                *cell = blend(*cell, [1.0; 3], glint * strength * share);
            }
        }
        all.combine(&drop, f32::max);
    }
    Some(all)
}

/// Many small dark holes in a band or patch.
pub(super) fn pits(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let long = radius(random, scene, 0.03, 0.2);
    let narrow = long * random.log_between(0.08, 1.0);
    let (sine, cosine) = random.angle().sin_cos();
    let typical = scene.unit() * random.log_between(0.5, 1.6);
    let mut all = Field::new(scene.size, 0.0);
    for _ in 0..random.count(8, 60) {
        let (u, v) = (random.normal() * long * 0.6, random.normal() * narrow * 0.6);
        let place = (
            middle.0 + cosine * u - sine * v,
            middle.1 + sine * u + cosine * v,
        );
        let reach = typical * random.between(0.5, 1.8);
        dab(
            &mut all,
            place,
            reach,
            random.between(0.4, 1.0),
            random.angle(),
        );
    }
    let about = colour_about(scene.inspected(), middle);
    let dark = about.map(|channel| channel * random.between(0.05, 0.4));
    let surface = scene.surface();
    paint(surface, &all, dark, 0.4 + 0.6 * tools.power);
    lift(surface, &all, -1.5);
    Some(all)
}
