//! Defects of an object's outline: what is behind it shows.

use vcp_random::Random;

use super::Tools;
use super::brush::{Point, blot, draw, path, place, radius};
use crate::grid::{Field, blend, step};
use crate::scene::Scene;

/// A place on the outline of an object, and the direction into it.
pub(super) fn edge(random: &mut Random, scene: &Scene) -> Option<(Point, f32)> {
    let inside = place(random, scene)?;
    let out = random.angle();
    let (mut x, mut y) = inside;
    for _ in 0..scene.size * 2 {
        let (next_x, next_y) = (x + out.cos(), y + out.sin());
        if !scene.covers(next_x, next_y) {
            let limit = scene.size as f32 - 2.0;
            let is_inside = next_x > 1.0 && next_y > 1.0 && next_x < limit && next_y < limit;
            return is_inside.then_some(((x, y), out + std::f32::consts::PI));
        }
        (x, y) = (next_x, next_y);
    }
    None
}

/// Takes a part of the object away. What is left at the break looks as the inside does.
pub(super) fn remove(random: &mut Random, scene: &mut Scene, field: &Field) {
    let unit = scene.unit();
    let wide = unit * random.between(0.8, 3.5);
    let shade = random.between(0.4, 1.5);
    let rough = random.between(0.0, 3.0);
    let around = field.blurred(wide);
    let grain = crate::noise::clouds(random, scene.size, 50.0, 2, 0.7);
    let Some(front) = &mut scene.front else {
        return;
    };
    front
        .cover
        .combine(field, |cover, gone| cover * (1.0 - gone));
    front.surface.albedo.combine(&around, |cell, share| {
        let share = step(0.05, 0.5, share);
        let broken = cell.map(|channel| (channel * shade).min(1.0));
        blend(cell, broken, 0.7 * share)
    });
    let mut ragged = around;
    ragged.combine(&grain, |share, grain| share * rough * (grain - 0.5));
    front
        .surface
        .height
        .combine(&ragged, |height, rough| height + rough);
}

pub(super) fn on_object(scene: &Scene, field: &mut Field) {
    if let Some(front) = &scene.front {
        field.combine(&front.cover, |share, cover| share * cover);
    }
}

/// A large piece of the edge is gone. Sizes are shares of the object's.
pub(super) fn bite(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    missing_piece(tools, scene, 0.15, 0.7)
}

/// A small piece of the edge is gone.
pub(super) fn nick(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    missing_piece(tools, scene, 0.06, 0.18)
}

fn missing_piece(tools: &mut Tools, scene: &mut Scene, least: f32, most: f32) -> Option<Field> {
    let random = &mut *tools.random;
    let object = scene.front.as_ref()?.radius;
    let ((x, y), inward) = edge(random, scene)?;
    let radius = object * random.log_between(least, most);
    let deep = random.between(-0.3, 0.5) * radius;
    let middle = (x + deep * inward.cos(), y + deep * inward.sin());
    let mut field = if random.chance(0.35) {
        // Broken off along a straight or jagged line.
        let (sine, cosine) = (inward + random.normal() * 0.4).sin_cos();
        let cells = random.between(4.0, 25.0);
        let jagged = crate::noise::smooth(random, scene.size, cells, cells);
        let wave = radius * random.between(0.0, 0.3);
        let line = radius * random.between(0.2, 0.7);
        Field::from_fn(scene.size, |column, row| {
            let (right, down) = (column as f32 - x, row as f32 - y);
            if right.hypot(down) > 2.5 * radius {
                return 0.0;
            }
            let depth = right * cosine + down * sine + wave * jagged[(column, row)];
            step(line + 0.7, line - 0.7, depth)
        })
    } else {
        blot(random, scene.size, middle, radius, 0.05)
    };
    on_object(scene, &mut field);
    remove(random, scene, &field);
    Some(field)
}

/// The object is broken: a gap from its edge across a part of it or all of it, a wedge or a ragged
/// channel.
pub(super) fn broken(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (start, inward) = edge(random, scene)?;
    let object = scene.front.as_ref()?.radius;
    let length = object * random.log_between(0.4, 2.2);
    let width = object * random.log_between(0.03, 0.35);
    let width = width.max(1.5 * scene.unit());
    let wedge = random.between(0.0, 1.0);
    let bend = random.between(0.05, 0.35);
    let direction = inward + random.normal() * 0.35;
    let points = path(random, start, direction, length, bend);
    let mut field = Field::new(scene.size, 0.0);
    draw(&mut field, &points, |at| {
        width * blend(1.0, 1.05 - at, wedge)
    });
    if random.chance(0.6) {
        // Ragged sides.
        let cells = random.between(20.0, 60.0);
        let noise = crate::noise::smooth(random, scene.size, cells, cells);
        let soft = field.blurred(0.12 * width + 0.5);
        field = soft;
        field.combine(&noise, |share, noise| {
            if share > 0.0 {
                step(
                    0.4,
                    0.6,
                    share + 0.22 * noise * share.min(1.0 - share) * 4.0,
                )
            } else {
                0.0
            }
        });
    }
    on_object(scene, &mut field);
    remove(random, scene, &field);
    Some(field)
}

/// Too much material at the edge.
pub(super) fn burr(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (middle, _) = edge(random, scene)?;
    let radius = radius(random, scene, 0.015, 0.07);
    let field = blot(random, scene.size, middle, radius, 0.1);
    let height = random.between(-1.0, 4.0);
    let front = scene.front.as_mut()?;
    front.cover.combine(&field, f32::max);
    front
        .surface
        .height
        .combine(&field, |cell, share| cell + height * share);
    Some(field)
}

/// The ground shows through the object.
pub(super) fn hole_through(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.015, 0.09);
    let mut field = blot(random, scene.size, middle, radius, 0.1);
    on_object(scene, &mut field);
    remove(random, scene, &field);
    Some(field)
}
