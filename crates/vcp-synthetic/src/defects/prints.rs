//! Prints, rims and other marks that are missing in part, worn, or in the wrong place.

use vcp_random::Random;

use super::Tools;
use super::areas::replace;
use super::brush::{Point, blot, reach};
use super::parts::{nearest, of_object};
use crate::grid::{Field, step};
use crate::noise::{clouds, smooth};
use crate::scene::Scene;
use crate::surfaces::Surface;

/// A place where something was added to a surface, and how much was added at each (0 to 1).
fn added(random: &mut Random, scene: &Scene, before: &Surface) -> Option<(Point, Field)> {
    let surface = scene.inspected();
    let mut more = Field::new(scene.size, 0.0);
    let colours = surface.albedo.cells.iter().zip(&before.albedo.cells);
    let heights = surface.height.cells.iter().zip(&before.height.cells);
    for (cell, ((one, other), (high, low))) in more.cells.iter_mut().zip(colours.zip(heights)) {
        let colour = one
            .iter()
            .zip(other)
            .map(|(one, other)| (one - other).abs());
        let colour = colour.fold(0.0, f32::max);
        *cell = step(0.02, 0.1, colour.max(0.1 * (high - low).abs()));
    }
    if let Some(front) = &scene.front {
        more.combine(&front.cover, |more, cover| more * cover);
    }
    let size = scene.size;
    let place = (0..200)
        .map(|_| (random.below(size), random.below(size)))
        .find(|&(x, y)| more[(x, y)] > 0.5)?;
    Some(((place.0 as f32, place.1 as f32), more))
}

/// A region of the surface about a place: beyond a line through it, a blot, a sector, or worn patches. Of
/// several objects, it is of one.
fn region(random: &mut Random, scene: &Scene, (x, y): Point) -> Option<Field> {
    let size = scene.size;
    let reach = reach(scene);
    let (sine, cosine) = random.angle().sin_cos();
    let half = (reach * random.log_between(0.01, 0.3)).max(0.7);
    let cells = size as f32 / reach * random.between(1.0, 8.0);
    let noise = smooth(random, size, cells, cells);
    let wave = random.pick(&[0.0, 0.05, 0.15]) * reach;
    let mut field = match random.below(4) {
        0 | 1 => Field::from_fn(size, |column, row| {
            let (right, down) = (column as f32 - x, row as f32 - y);
            let along = right * cosine + down * sine + wave * noise[(column, row)];
            step(-half, half, along)
        }),
        2 => {
            let radius = reach * random.between(0.15, 0.6);
            let soft = random.between(0.05, 0.8);
            blot(random, size, (x, y), radius, soft)
        }
        _ => {
            let cells = size as f32 / reach * random.between(3.0, 20.0);
            let start = random.between(0.3, 0.5);
            clouds(random, size, cells, 3, 0.6).map(|noise| step(start, start + 0.2, noise))
        }
    };
    if let Some(front) = &scene.front
        && front.middles.len() > 1
    {
        let own = of_object(front, front.middles[nearest(front, (x, y))?]);
        field.combine(&own, |share, own| share * own);
    }
    Some(field)
}

fn without(tools: &mut Tools, scene: &mut Scene, before: &Surface) -> Option<Field> {
    let random = &mut *tools.random;
    let (place, more) = added(random, scene, before)?;
    let field = region(random, scene, place)?;
    replace(scene.surface(), &field, before, 0.4 + 0.6 * tools.power);
    let mut changed = more.clone();
    changed.combine(&field, |more, share| more * share);
    // A print that is gone altogether is missed only where others have it.
    let has_equals = scene
        .front
        .as_ref()
        .is_some_and(|front| front.middles.len() > 2);
    (has_equals || changed.mean() < 0.8 * more.mean()).then_some(changed)
}

/// A part of what is printed, engraved or fitted is not there, or is worn.
pub(super) fn partial(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let blank = scene.blank.clone()?;
    without(tools, scene, &blank)
}

/// A part of the object has no rim, no edge and no structure.
pub(super) fn unfinished(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let before = scene.unfinished.clone()?;
    without(tools, scene, &before)
}

/// What is printed is there twice, or smeared; on one of several equal objects also out of place.
pub(super) fn misprint(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let blank = scene.blank.clone()?;
    let (place, _) = added(random, scene, &blank)?;
    let size = scene.size;
    let reach = reach(scene);
    let is_one_of_several = scene
        .front
        .as_ref()
        .is_some_and(|front| front.in_rows && front.middles.len() > 2);
    let is_moved = is_one_of_several && random.chance(0.6);
    let copies: usize = if is_moved { 1 } else { random.pick(&[1, 1, 4]) };
    let (sine, cosine) = random.angle().sin_cos();
    let far = reach * (0.04 + 0.2 * tools.power);
    let strength = if is_moved {
        1.0
    } else {
        random.between(0.4, 0.9) / copies as f32
    };
    let own = match &scene.front {
        Some(front) if front.middles.len() > 1 => {
            of_object(front, front.middles[nearest(front, place)?])
        }
        Some(front) => front.cover.clone(),
        None => Field::new(size, 1.0),
    };
    let marked = scene.inspected().clone();
    let surface = scene.surface();
    let mut changed = Field::new(size, 0.0);
    for y in 0..size {
        for x in 0..size {
            let share = own[(x, y)];
            if share == 0.0 {
                continue;
            }
            let mut colour = [0.0; 3];
            let mut height = 0.0;
            for copy in 1..=copies {
                let far = far * copy as f32 / copies as f32;
                let (from_x, from_y) = (x as f32 + far * cosine, y as f32 + far * sine);
                let (one, other) = (
                    marked.albedo.at(from_x, from_y),
                    blank.albedo.at(from_x, from_y),
                );
                for channel in 0..3 {
                    colour[channel] += strength * (one[channel] - other[channel]);
                }
                let (one, other) = (
                    marked.height.at(from_x, from_y),
                    blank.height.at(from_x, from_y),
                );
                height += strength * (one - other);
            }
            let (mut start, mut level) = (marked.albedo[(x, y)], marked.height[(x, y)]);
            if is_moved {
                (start, level) = (blank.albedo[(x, y)], blank.height[(x, y)]);
            }
            let cell: [f32; 3] = std::array::from_fn(|channel| {
                (start[channel] + share * colour[channel]).clamp(0.0, 1.0)
            });
            let old = surface.albedo[(x, y)];
            let differs = cell
                .iter()
                .zip(&old)
                .any(|(one, other)| (one - other).abs() > 0.02);
            changed[(x, y)] = f32::from(u8::from(differs || height.abs() > 0.2));
            surface.albedo[(x, y)] = cell;
            surface.height[(x, y)] = level + share * height;
        }
    }
    Some(changed)
}
