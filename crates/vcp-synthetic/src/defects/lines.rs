//! Scratches, cracks, threads, folds.

use super::Tools;
use super::brush::{Point, colour_about, draw, lift, other_colour, paint, path, place};
use crate::grid::{Field, blend};
use crate::noise::clouds;
use crate::scene::Scene;

pub(super) fn scratch(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let start = place(random, scene)?;
    let size = scene.size as f32;
    let mut field = Field::new(scene.size, 0.0);
    let (direction, bend) = (random.angle(), random.pick(&[0.0, 0.01, 0.06]));
    let length = size * random.log_between(0.08, 0.7);
    let width = scene.unit() * random.log_between(0.7, 3.0);
    let points = path(random, start, direction, length, bend);
    let taper = random.between(0.5, 4.0);
    draw(&mut field, &points, |at| {
        width * (taper * 2.0 * at.min(1.0 - at)).min(1.0)
    });
    interrupt(tools, &mut field);
    mark(tools, scene, &field, start);
    Some(field)
}

/// Several scratches side by side.
pub(super) fn scuff(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let start = place(random, scene)?;
    let mut field = Field::new(scene.size, 0.0);
    let direction = random.angle();
    let length = scene.size as f32 * random.log_between(0.06, 0.35);
    let spread = length * random.between(0.1, 0.5);
    for _ in 0..random.count(4, 18) {
        let across = random.normal() * spread * 0.5;
        let along = random.between(-0.3, 0.3) * length;
        let (sine, cosine) = direction.sin_cos();
        let from = (
            start.0 + along * cosine - across * sine,
            start.1 + along * sine + across * cosine,
        );
        let length = length * random.between(0.3, 1.0);
        let width = scene.unit() * random.between(0.4, 1.6);
        let turn = direction + random.normal() * 0.08;
        let points = path(random, from, turn, length, 0.02);
        draw(&mut field, &points, |_| width);
    }
    mark(tools, scene, &field, start);
    Some(field)
}

/// Lets a line fade here and there.
fn interrupt(tools: &mut Tools, field: &mut Field) {
    if tools.random.chance(0.4) {
        let cells = tools.random.between(8.0, 30.0);
        let fade = clouds(tools.random, field.size, cells, 1, 0.5);
        field.combine(&fade, |line, fade| {
            line * (fade * 3.0 - 0.6).clamp(0.0, 1.0)
        });
    }
}

/// Shows a line as colour, as a groove, or both.
fn mark(tools: &mut Tools, scene: &mut Scene, field: &Field, about: Point) {
    let random = &mut *tools.random;
    let colour = other_colour(random, colour_about(scene.inspected(), about), tools.power);
    let depth = random.pick(&[0.0, -1.5, -3.0]) * (0.4 + tools.power);
    let surface = scene.surface();
    paint(surface, field, colour, random.between(0.6, 1.0));
    lift(surface, field, depth);
}

/// A crack that wanders and branches, thinner towards its ends.
pub(super) fn crack(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let start = place(random, scene)?;
    let length = scene.size as f32 * random.log_between(0.1, 0.75);
    let width = scene.unit() * random.log_between(0.8, 4.5);
    let bend = random.between(0.15, 0.45);
    let mut field = Field::new(scene.size, 0.0);
    let mut open = vec![(start, random.angle(), length, width)];
    let limit = random.count(1, 6);
    let mut drawn = 0;
    while let Some((from, direction, length, width)) = open.pop() {
        let points = path(random, from, direction, length, bend);
        draw(&mut field, &points, |at| width * (1.15 - at));
        drawn += 1;
        if drawn < limit {
            let at = random.count(points.len() / 4, points.len() - 1);
            let turn = direction + random.sign() * random.between(0.4, 1.2);
            open.push((
                points[at],
                turn,
                length * random.between(0.3, 0.7),
                width * 0.7,
            ));
            if random.chance(0.5) {
                let turn = direction + random.sign() * random.between(0.4, 1.2);
                let at = random.below(points.len());
                open.push((
                    points[at],
                    turn,
                    length * random.between(0.2, 0.6),
                    width * 0.6,
                ));
            }
        }
    }
    // Dark inside, and its lips stand up or are rubbed light.
    let through = random.chance(0.5);
    let opacity = 0.25 + 0.75 * tools.power;
    let lips = if random.chance(0.3) {
        random.between(0.1, 0.5)
    } else {
        0.0
    };
    let depth = -random.between(1.0, 5.0) * tools.power;
    let base = colour_about(scene.inspected(), start);
    let dark = base.map(|channel| channel * random.between(0.02, 0.35));
    let around = field.blurred(1.5 * scene.unit());
    if let (Some(front), true) = (&mut scene.front, through) {
        front
            .cover
            .combine(&field, |cover, crack| cover * (1.0 - crack * opacity));
    }
    let surface = scene.surface();
    if lips > 0.0 {
        surface.albedo.combine(&around, |cell, share| {
            blend(cell, [1.0; 3], (lips * share * 1.5).min(0.6))
        });
    }
    paint(surface, &field, dark, opacity);
    lift(surface, &field, depth);
    Some(field)
}

/// A thread or hair that lies on the surface, with a little shadow.
pub(super) fn fibre(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let start = place(random, scene)?;
    let unit = scene.unit();
    let length = scene.size as f32 * random.log_between(0.15, 0.9);
    let width = unit * random.log_between(0.8, 2.8);
    let mut curve = random.between(-0.25, 0.25);
    let mut direction = random.angle();
    let mut points = vec![start];
    let stride = length / 40.0;
    let (mut x, mut y) = start;
    for _ in 0..40 {
        curve += random.normal() * 0.06;
        curve *= 0.93;
        direction += curve;
        x += stride * direction.cos();
        y += stride * direction.sin();
        points.push((x, y));
    }
    let mut field = Field::new(scene.size, 0.0);
    draw(&mut field, &points, |_| width);
    let colour = other_colour(random, colour_about(scene.inspected(), start), tools.power);
    let shift = unit * random.between(0.8, 2.0);
    let [right, down, _] = scene.light.from;
    let shadow = Field::from_fn(scene.size, |x, y| {
        field.at(x as f32 + shift * right, y as f32 + shift * down)
    });
    let surface = scene.surface();
    paint(
        surface,
        &shadow.blurred(0.5 * unit),
        [0.0; 3],
        0.4 * tools.power,
    );
    paint(surface, &field, colour, 1.0);
    lift(surface, &field, 1.5);
    Some(field)
}

/// A fold: only its shading shows.
pub(super) fn wrinkle(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let mut field = Field::new(scene.size, 0.0);
    let start = place(random, scene)?;
    let direction = random.angle();
    for _ in 0..random.count(1, 3) {
        let length = scene.size as f32 * random.log_between(0.15, 0.7);
        let from = (
            start.0 + random.normal() * 6.0 * scene.unit(),
            start.1 + random.normal() * 6.0 * scene.unit(),
        );
        let turn = direction + random.normal() * 0.2;
        let points = path(random, from, turn, length, 0.08);
        let width = scene.unit() * random.between(1.5, 5.0);
        draw(&mut field, &points, |at| {
            width * (4.0 * at * (1.0 - at)).min(1.0)
        });
    }
    let field = field.blurred(scene.unit() * random.between(0.8, 2.0));
    let height = random.sign() * (1.5 + 8.0 * tools.power);
    lift(scene.surface(), &field, height);
    Some(field)
}
