//! Objects of another shape than they should have: dented, melted, bent, with material too much or missing.

use std::f32::consts::PI;

use vcp_random::Random;

use super::Tools;
use super::brush::{Point, place};
use super::edges::{edge, on_object, remove};
use super::mask::enclosed;
use super::parts::{nearest, of_object, put};
use crate::grid::{Field, blend, step};
use crate::noise::smooth;
use crate::scene::{Front, Scene};

/// An object: its middle, and its radius in pixels.
fn object(random: &mut Random, scene: &Scene) -> Option<(Point, f32)> {
    let at = place(random, scene)?;
    let front = scene.front.as_ref()?;
    Some((front.middles[nearest(front, at)?], front.radius))
}

/// A difference of angles, −π to π.
fn between(one: f32, other: f32) -> f32 {
    let turns = (one - other) / (2.0 * PI);
    (turns - turns.round()) * 2.0 * PI
}

/// A part of the outline is pressed in, bulges, or has melted into waves.
pub(super) fn outline(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let ((middle_x, middle_y), radius) = object(random, scene)?;
    let (around, half) = (random.angle(), random.between(0.25, 1.3));
    let amount = 0.06 + 0.34 * tools.power;
    let (amount, wave, waves) = match random.below(3) {
        0 => (-amount, 0.0, 0.0),
        1 => (0.8 * amount, 0.2, 5.0),
        _ => (0.3 * amount, 1.5, random.between(6.0, 20.0)),
    };
    let phase = random.angle();
    let factor = |x: f32, y: f32| {
        let angle = y.atan2(x);
        let window = step(half, 0.3 * half, between(angle, around).abs());
        1.0 + amount * window * (1.0 + wave * (waves * angle + phase).sin())
    };
    let front = scene.front.as_mut()?;
    let own = of_object(front, (middle_x, middle_y));
    let before = own.clone();
    let after = put(front, &own, (middle_x, middle_y), 1.7 * radius, |x, y| {
        let (x, y) = (x - middle_x, y - middle_y);
        let factor = factor(x, y);
        (middle_x + x / factor, middle_y + y / factor)
    });
    Some(changed(&before, &after, |x, y| {
        (factor(x - middle_x, y - middle_y) - 1.0).abs() > 0.01
    }))
}

/// Where an object was or is, as far as it `is_moved`.
fn changed(before: &Field, after: &Field, is_moved: impl Fn(f32, f32) -> bool) -> Field {
    Field::from_fn(before.size, |x, y| {
        if is_moved(x as f32, y as f32) {
            before[(x, y)].max(after[(x, y)])
        } else {
            0.0
        }
    })
}

/// One end of the object points elsewhere.
pub(super) fn bent(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let ((middle_x, middle_y), radius) = object(random, scene)?;
    let (sine, cosine) = random.angle().sin_cos();
    let start = random.between(-0.1, 0.5) * radius;
    let bend = random.sign() * (0.15 + 0.6 * tools.power) / (radius - start).max(1.0);
    let past = |x: f32, y: f32| ((x - middle_x) * cosine + (y - middle_y) * sine - start).max(0.0);
    let front = scene.front.as_mut()?;
    let own = of_object(front, (middle_x, middle_y));
    let before = own.clone();
    let after = put(front, &own, (middle_x, middle_y), 2.0 * radius, |x, y| {
        let past = past(x, y);
        let shift = bend * past * past;
        // What is bent aside reaches less far.
        let back = 0.5 * bend.abs() * shift.abs() * past.min(radius);
        (
            x + shift * sine + back * cosine,
            y - shift * cosine + back * sine,
        )
    });
    Some(changed(&before, &after, |x, y| past(x, y) > 0.05 * radius))
}

/// A thin edge of material that has left the mould, along a part of the outline.
pub(super) fn flash(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let ((middle_x, middle_y), radius) = object(random, scene)?;
    let (around, half) = (random.angle(), random.between(0.3, 1.6));
    let width = scene.unit() * random.between(1.0, 2.0 + 5.0 * tools.power);
    let cells = random.between(6.0, 30.0);
    let ragged = smooth(random, scene.size, cells, cells);
    let shade = random.between(0.6, 1.4);
    let front = scene.front.as_mut()?;
    let own = of_object(front, (middle_x, middle_y));
    let about = own.blurred(width);
    let mut field = Field::from_fn(scene.size, |x, y| {
        let (right, down) = (x as f32 - middle_x, y as f32 - middle_y);
        if right.hypot(down) > 2.0 * radius {
            return 0.0;
        }
        let window = step(half, 0.6 * half, between(down.atan2(right), around).abs());
        let limit = (0.28 + 0.12 * ragged[(x, y)]).max(0.14);
        window * step(limit - 0.08, limit + 0.08, about[(x, y)] * window)
    });
    field.combine(&front.cover, |share, cover| share * (1.0 - cover));
    front
        .cover
        .combine(&field, |cover, share| cover + share * (1.0 - cover));
    front.surface.albedo.combine(&field, |cell, share| {
        cell.map(|channel| (channel * blend(1.0, shade, share)).min(1.0))
    });
    Some(field)
}

/// A piece with straight sides is not there: a tooth, a tab, a corner, an end.
pub(super) fn missing_part(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let radius = scene.front.as_ref()?.radius;
    let ((x, y), inward) = edge(random, scene)?;
    let ((middle_x, middle_y), _) = object(random, scene)?;
    let is_cut = random.chance(0.4);
    let (sine, cosine) = (inward + 0.3 * random.normal()).sin_cos();
    let deep = radius * random.log_between(0.08, 0.55);
    let half = radius * random.log_between(0.06, 0.4);
    let slope = random.between(-0.3, 0.3);
    let mut field = Field::from_fn(scene.size, |column, row| {
        let (right, down) = (column as f32 - x, row as f32 - y);
        let (depth, aside) = (right * cosine + down * sine, down * cosine - right * sine);
        if is_cut {
            // All beyond a line.
            return step(0.7, -0.7, depth + slope * aside - 0.6 * deep);
        }
        let distance = (depth.abs() - deep).max(aside.abs() - half - slope * depth);
        step(0.7, -0.7, distance)
    });
    on_object(scene, &mut field);
    let front = scene.front.as_ref()?;
    if is_cut && front.middles.len() > 1 {
        let middle = front.middles[nearest(front, (x, y))?];
        let own = of_object(front, middle);
        field.combine(&own, |share, own| share * own);
    } else if is_cut && (middle_x - x) * cosine + (middle_y - y) * sine < deep {
        return None;
    }
    remove(random, scene, &field);
    Some(field)
}

/// One of the object's holes is filled, all of it or a part.
pub(super) fn blocked_hole(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let size = scene.size;
    let front = scene.front.as_ref()?;
    let holes = enclosed(&front.cover.map(|cover| f32::from(u8::from(cover > 0.5))));
    let within = |x: usize, y: usize| holes[(x, y)] > 0.0;
    let (x, y) = (0..300)
        .map(|_| (random.below(size), random.below(size)))
        .find(|&(x, y)| within(x, y))?;
    let hole = connected(&holes, (x, y));
    // A ring without its hole is a disc: mostly, something of the hole is left.
    let is_whole = random.chance(if front.middles.len() > 2 { 0.6 } else { 0.25 });
    let (sine, cosine) = random.angle().sin_cos();
    let cells = random.between(5.0, 30.0);
    let ragged = smooth(random, size, cells, cells);
    let wave = scene.unit() * random.between(0.0, 3.0);
    let mut field = hole.dilated(2);
    if !is_whole {
        field = Field::from_fn(size, |column, row| {
            let along = (column as f32 - x as f32) * cosine + (row as f32 - y as f32) * sine;
            field[(column, row)] * step(-0.7, 0.7, along + wave * ragged[(column, row)])
        });
    }
    let level = random.between(-2.0, 4.0);
    let shade = random.between(0.6, 1.3);
    let front: &mut Front = scene.front.as_mut()?;
    front.surface.albedo.combine(&hole, |cell, share| {
        cell.map(|channel| (channel * blend(1.0, shade, share)).min(1.0))
    });
    front
        .surface
        .height
        .combine(&hole, |height, share| height + share * level);
    front.cover.combine(&field, f32::max);
    Some(field)
}

/// The part of a mask of ones that is connected (across edges of pixels) with a place.
fn connected(mask: &Field, (x, y): (usize, usize)) -> Field {
    let size = mask.size;
    let mut part = Field::new(size, 0.0);
    let mut open = vec![(x, y)];
    while let Some((x, y)) = open.pop() {
        if part[(x, y)] > 0.0 || mask[(x, y)] == 0.0 {
            continue;
        }
        part[(x, y)] = 1.0;
        if x > 0 {
            open.push((x - 1, y));
        }
        if y > 0 {
            open.push((x, y - 1));
        }
        if x + 1 < size {
            open.push((x + 1, y));
        }
        if y + 1 < size {
            open.push((x, y + 1));
        }
    }
    part
}
