//! Large soft changes of a surface: stains, haze, coats that are uneven, thin or faded.

use vcp_random::Random;

use super::Tools;
use super::brush::{Point, blot, colour_under, lift, other_colour, paint, place, reach};
use crate::grid::{Colour, Field, blend, step};
use crate::noise::{clouds, smooth, stretched_clouds, turned};
use crate::scene::Scene;

/// A large area of the inspected surface: a blot, one side of a wavy line, or patches. `soft` is the width
/// of its edge as a fraction of its reach.
pub(super) fn broad(random: &mut Random, scene: &Scene, soft: f32) -> Option<Field> {
    let size = scene.size;
    let middle = place(random, scene)?;
    let reach = reach(scene);
    Some(match random.below(5) {
        0..=2 => {
            let radius = reach * random.between(0.35, 0.85);
            blot(random, size, middle, radius, soft)
        }
        3 => one_side(random, size, middle, reach, soft),
        _ => {
            let cells = size as f32 / reach * random.between(0.5, 1.5);
            let start = random.between(0.5, 0.65);
            let patches = clouds(random, size, cells, 3, 0.4);
            patches.map(|noise| step(start, start + 0.06 + 0.3 * soft.min(1.0), noise))
        }
    })
}

fn one_side(random: &mut Random, size: usize, (x, y): Point, reach: f32, soft: f32) -> Field {
    let (sine, cosine) = random.angle().sin_cos();
    let cells = size as f32 / reach * random.between(0.5, 3.0);
    let wave = reach * random.between(0.0, 0.25);
    let line = reach * random.between(0.0, 0.4);
    let half = (0.5 * soft * reach).max(0.7);
    smooth_line(random, size, cells, |column, row, noise| {
        let along = (column - x) * cosine + (row - y) * sine;
        step(line - half, line + half, along + wave * noise)
    })
}

fn smooth_line(
    random: &mut Random,
    size: usize,
    cells: f32,
    value: impl Fn(f32, f32, f32) -> f32,
) -> Field {
    let noise = smooth(random, size, cells, cells);
    Field::from_fn(size, |x, y| value(x as f32, y as f32, noise[(x, y)]))
}

/// A surface's colour at one place, with its mean brought to another: the pattern is kept.
pub(super) fn retoned(cell: Colour, mean: Colour, tint: Colour) -> Colour {
    std::array::from_fn(|channel| {
        let factor = (tint[channel] + 0.02) / (mean[channel] + 0.02);
        (cell[channel] * factor.clamp(0.1, 4.0)).min(1.0)
    })
}

/// A wide stain without a sharp edge: soaked in, or a film upon the surface.
pub(super) fn soft_stain(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let soft = random.between(0.7, 1.9);
    let mut field = broad(random, scene, soft)?;
    if random.chance(0.5) {
        let cells = random.between(4.0, 20.0);
        let uneven = clouds(random, scene.size, cells, 3, 0.6);
        field.combine(&uneven, |share, noise| share * (0.4 + 0.9 * noise).min(1.0));
    }
    let mean = colour_under(scene.inspected(), &field);
    let tint = other_colour(random, mean, 0.1 + 0.6 * tools.power);
    let is_soaked = random.chance(0.6);
    let opacity = random.between(0.5, 1.0);
    scene.surface().albedo.combine(&field, |cell, share| {
        let target = if is_soaked {
            retoned(cell, mean, tint)
        } else {
            tint
        };
        blend(cell, target, share * opacity)
    });
    Some(field)
}

/// A pale film: fog, dust, bloom, a residue of washing. What lies below is dull.
pub(super) fn haze(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let soft = random.between(0.4, 1.9);
    let mut field = broad(random, scene, soft)?;
    let cells = random.log_between(3.0, 40.0);
    let uneven = clouds(random, scene.size, cells, 3, 0.6);
    let least = random.between(0.3, 1.0);
    field.combine(&uneven, |share, noise| share * blend(least, 1.0, noise));
    let mean = colour_under(scene.inspected(), &field);
    let luma = (mean[0] + mean[1] + mean[2]) / 3.0;
    // On what is pale, dirt is darker.
    let value = if luma < 0.6 {
        random.between(luma + 0.25, 1.0)
    } else {
        luma * random.between(0.3, 0.7)
    };
    let film = blend([value; 3], mean, 0.15);
    let opacity = 0.15 + 0.55 * tools.power;
    let surface = scene.surface();
    paint(surface, &field, film, opacity);
    surface.height.combine(&field, |height, share| {
        height * (1.0 - 0.5 * opacity * share)
    });
    surface.polish(&field, 0.2);
    Some(field)
}

/// A region of another hue or brightness, as of another batch: softly, or from a clear line on.
pub(super) fn drift(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let soft = random.log_between(0.03, 1.8);
    let field = broad(random, scene, soft)?;
    let most = 0.12 + 0.4 * tools.power;
    let brightness = random.sign() * random.between(0.3, 1.0) * most;
    let change: Colour =
        std::array::from_fn(|_| 1.0 + brightness + random.between(-0.6, 0.6) * most);
    scene.surface().albedo.combine(&field, |cell, share| {
        std::array::from_fn(|channel| (cell[channel] * blend(1.0, change[channel], share)).min(1.0))
    });
    Some(field)
}

/// A coat of varying thickness: clouds, streaks of a brush or a roller, orange peel.
pub(super) fn uneven(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let region = broad(random, scene, 1.2)?;
    let size = scene.size;
    let cells = size as f32 / reach(scene) * random.log_between(1.5, 12.0);
    let thickness = if random.chance(0.4) {
        let stretch = random.between(3.0, 8.0);
        let streaks = stretched_clouds(random, size, (cells / stretch, cells), 3, 0.5);
        turned(&streaks, random.angle(), 1.3)
    } else {
        clouds(random, size, cells, 3, 0.5)
    };
    let mut coat = thickness.map(|noise| ((noise - 0.5) * 3.0).clamp(-1.0, 1.0));
    coat.combine(&region, |coat, share| coat * share);
    let mean = colour_under(scene.inspected(), &region);
    let tint = other_colour(random, mean, 0.1 + 0.5 * tools.power);
    let rise = random.pick(&[0.0, 2.0, 5.0]) * (0.3 + tools.power);
    let surface = scene.surface();
    surface.albedo.combine(&coat, |cell, coat| {
        // Thicker towards the one colour, thinner away from it.
        let toward = retoned(cell, mean, tint);
        std::array::from_fn(|channel| {
            (cell[channel] + coat * (toward[channel] - cell[channel])).clamp(0.0, 1.0)
        })
    });
    lift(surface, &coat, rise);
    let field = coat.map(f32::abs);
    surface.polish(&field, random.between(0.2, 1.8));
    Some(field)
}

/// The coat is so thin or worn that what is below shows: in places, or along an object's edge.
pub(super) fn thin(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let size = scene.size;
    let mut region = broad(random, scene, 1.6)?;
    if let Some(front) = &scene.front
        && random.chance(0.4)
    {
        let wide = scene.unit() * random.between(3.0, 9.0);
        let near_edge = front
            .cover
            .blurred(wide)
            .map(|cover| step(0.95, 0.6, cover));
        region.combine(&near_edge, |share, edge| (2.0 * share).min(1.0) * edge);
    }
    let cells = random.log_between(6.0, 70.0);
    let grain = clouds(random, size, cells, 3, 0.6);
    let edge = random.log_between(0.04, 0.5);
    let mut field = region;
    field.combine(&grain, |share, grain| {
        if share > 0.02 {
            step(0.5, 0.5 + edge, 0.75 * share + 0.7 * (grain - 0.5))
        } else {
            0.0
        }
    });
    let mean = colour_under(scene.inspected(), &field);
    let below = other_colour(random, mean, 0.2 + 0.8 * tools.power);
    let opacity = 0.4 + 0.6 * tools.power;
    let depth = random.pick(&[0.0, -1.0, -2.5]);
    let surface = scene.surface();
    let albedo = surface.albedo.cells.iter_mut().zip(&grain.cells);
    for ((cell, grain), share) in albedo.zip(&field.cells) {
        let below = below.map(|channel| (channel * (0.8 + 0.4 * grain)).min(1.0));
        *cell = blend(*cell, below, share * opacity);
    }
    lift(surface, &field, depth);
    surface.polish(&field, 0.3);
    Some(field)
}

/// Bleached or dull: the pattern has lost its contrast.
pub(super) fn fade(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let soft = random.between(0.3, 1.8);
    let field = broad(random, scene, soft)?;
    let surface = scene.inspected();
    let mean = colour_under(surface, &field);
    let wide = surface.albedo.blurred(10.0 * scene.unit());
    let brighter = random.between(0.75, 1.5);
    let grey = (mean[0] + mean[1] + mean[2]) / 3.0;
    let without_colour = random.between(0.0, 0.8);
    let amount = 0.3 + 0.65 * tools.power;
    let faded = wide.map(|cell| {
        blend(cell, [grey; 3], without_colour).map(|channel| (channel * brighter).min(1.0))
    });
    let surface = scene.surface();
    let albedo = surface.albedo.cells.iter_mut().zip(&faded.cells);
    for ((cell, faded), share) in albedo.zip(&field.cells) {
        *cell = blend(*cell, *faded, share * amount);
    }
    surface.height.combine(&field, |height, share| {
        height * (1.0 - 0.5 * amount * share)
    });
    Some(field)
}
