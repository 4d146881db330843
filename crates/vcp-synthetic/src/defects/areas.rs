//! Stains, burns, foreign and displaced material.

use super::Tools;
use super::brush::{blot, colour_about, other_colour, paint, place, radius};
use crate::grid::{Canvas, Field, blend, step};
use crate::noise::clouds;
use crate::scene::Scene;
use crate::surfaces::{Surface, colour, surface};

pub(super) fn stain(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.03, 0.25);
    let soft = random.log_between(0.1, 1.2);
    let mut field = blot(random, scene.size, middle, radius, soft);
    if random.chance(0.35) {
        // Dried liquids are darkest at their rim.
        let inner = random.between(0.2, 0.7);
        field = field.map(|share| share * (1.0 - inner * step(0.6, 1.0, share)));
    }
    if random.chance(0.4) {
        let uneven = clouds(random, scene.size, 12.0, 3, 0.7);
        field.combine(&uneven, |share, noise| share * (0.4 + 0.8 * noise).min(1.0));
    }
    let tint = other_colour(random, colour_about(scene.inspected(), middle), tools.power);
    let opacity = random.between(0.4, 1.0);
    let wet = random.chance(0.4);
    scene.surface().albedo.combine(&field, |cell, share| {
        // Liquid keeps the pattern below it visible.
        let target = if wet {
            std::array::from_fn(|channel| cell[channel] * (0.3 + 0.7 * tint[channel]))
        } else {
            tint
        };
        blend(cell, target, share * opacity)
    });
    Some(field)
}

/// Darker and browner, softly or with a charred middle; often about an edge.
pub(super) fn burn(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.07, 0.3);
    let soft = random.between(0.6, 1.6);
    let field = blot(random, scene.size, middle, radius, soft);
    let dark = 1.0 - (0.25 + 0.7 * tools.power);
    let warm = [dark * 1.25, dark * 0.95, dark * 0.75];
    let charred = if random.chance(0.4) { 0.6 } else { 0.0 };
    scene.surface().albedo.combine(&field, |cell, share| {
        let brown: [f32; 3] =
            std::array::from_fn(|channel| cell[channel] * blend(1.0, warm[channel], share));
        blend(brown, [0.04; 3], charred * step(0.75, 1.0, share))
    });
    Some(field)
}

/// Another hue or brightness with the pattern kept.
pub(super) fn discolour(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.05, 0.27);
    let soft = random.between(0.1, 1.2);
    let field = blot(random, scene.size, middle, radius, soft);
    let tint = colour(random, 0.2, 0.8);
    let brighter = random.between(0.7, 1.7);
    let fade = random.chance(0.4);
    let strength = 0.25 + 0.75 * tools.power;
    scene.surface().albedo.combine(&field, |cell, share| {
        let grey = (cell[0] + cell[1] + cell[2]) / 3.0 * brighter;
        let target = if fade {
            blend(cell, [grey; 3], 0.8)
        } else {
            tint.map(|channel| (channel * grey).min(1.0))
        };
        blend(cell, target, share * strength)
    });
    Some(field)
}

/// A piece of another material, on the surface or set into it.
pub(super) fn foreign(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.025, 0.22);
    let field = blot(random, scene.size, middle, radius, 0.05);
    let other = surface(random, scene.size);
    let height = random.between(-2.0, 4.0);
    let opacity = 0.3 + 0.7 * tools.power;
    replace(scene.surface(), &field, &other, opacity);
    scene
        .surface()
        .height
        .combine(&field, |cell, share| cell + height * share);
    Some(field)
}

/// Another surface instead, where a field says so.
pub(super) fn replace(surface: &mut Surface, field: &Field, other: &Surface, opacity: f32) {
    let albedo = surface.albedo.cells.iter_mut().zip(&other.albedo.cells);
    for ((cell, other), share) in albedo.zip(&field.cells) {
        *cell = blend(*cell, *other, share * opacity);
    }
    let height = surface.height.cells.iter_mut().zip(&other.height.cells);
    for ((cell, other), share) in height.zip(&field.cells) {
        *cell = blend(*cell, *other, share * opacity);
    }
}

pub(super) fn blur(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.06, 0.2);
    let field = blot(random, scene.size, middle, radius, 0.4);
    let sigma = scene.unit() * random.between(1.5, 7.0);
    let surface = scene.inspected();
    let smeared = Surface {
        name: surface.name,
        is_regular: surface.is_regular,
        albedo: surface.albedo.blurred(sigma),
        height: surface.height.blurred(sigma),
        sheen: None,
    };
    replace(scene.surface(), &field, &smeared, 1.0);
    Some(field)
}

/// A place where the pattern is worn away: one tone instead.
pub(super) fn missing(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.03, 0.16);
    let field = blot(random, scene.size, middle, radius, 0.1);
    let surface = scene.inspected();
    let wide = surface.albedo.blurred(12.0 * scene.unit());
    let near = surface.albedo.at(middle.0, middle.1);
    let share = random.pick(&[0.0, 0.5, 1.0]);
    let filled = Surface {
        name: surface.name,
        is_regular: surface.is_regular,
        albedo: wide.map(|cell| blend(cell, near, share)),
        height: surface.height.blurred(12.0 * scene.unit()),
        sheen: None,
    };
    replace(scene.surface(), &field, &filled, 0.5 + 0.5 * tools.power);
    Some(field)
}

/// The surface seen through a shift of coordinates, where a field says so.
fn displaced(
    scene: &Scene,
    field: &Field,
    source: impl Fn(f32, f32, f32) -> (f32, f32),
) -> Surface {
    let surface = scene.inspected();
    let size = scene.size;
    let mut moved = surface.clone();
    for y in 0..size {
        for x in 0..size {
            let share = field[(x, y)];
            if share > 0.0 {
                let (from_x, from_y) = source(x as f32, y as f32, share);
                moved.albedo[(x, y)] = surface.albedo.at(from_x, from_y);
                moved.height[(x, y)] = surface.height.at(from_x, from_y);
            }
        }
    }
    moved
}

/// A piece of the pattern, out of place by a little.
pub(super) fn shifted(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (middle_x, middle_y) = place(random, scene)?;
    let radius = radius(random, scene, 0.05, 0.17);
    let field = if random.chance(0.5) {
        let (sine, cosine) = random.angle().sin_cos();
        let ratio = random.between(0.3, 1.0);
        Field::from_fn(scene.size, |x, y| {
            let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
            let (u, v) = (cosine * x + sine * y, cosine * y - sine * x);
            let distance = (u.abs() - radius).max(v.abs() - radius * ratio);
            step(0.7, -0.7, distance)
        })
    } else {
        blot(random, scene.size, (middle_x, middle_y), radius, 0.05)
    };
    let (sine, cosine) = random.angle().sin_cos();
    let far = scene.unit() * random.log_between(2.0, 14.0);
    let moved = displaced(scene, &field, |x, y, _| (x + far * cosine, y + far * sine));
    replace(scene.surface(), &field, &moved, 1.0);
    Some(field)
}

/// The pattern swirled or pulled.
pub(super) fn twist(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (middle_x, middle_y) = place(random, scene)?;
    let radius = radius(random, scene, 0.07, 0.22);
    let soft = 1.0;
    let field = blot(random, scene.size, (middle_x, middle_y), radius, soft);
    let turn = random.sign() * (0.3 + 2.0 * tools.power);
    let swirl = random.chance(0.5);
    let (pull_x, pull_y) = (
        random.normal() * radius * 0.4,
        random.normal() * radius * 0.4,
    );
    let moved = displaced(scene, &field, |x, y, share| {
        if swirl {
            let (sine, cosine) = (turn * share).sin_cos();
            let (u, v) = (x - middle_x, y - middle_y);
            (
                middle_x + cosine * u + sine * v,
                middle_y + cosine * v - sine * u,
            )
        } else {
            (x + pull_x * share, y + pull_y * share)
        }
    });
    let sharp = field.map(|share| step(0.0, 0.2, share));
    replace(scene.surface(), &sharp, &moved, 1.0);
    Some(field)
}

/// A piece cut from elsewhere in the picture, turned.
pub(super) fn paste(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (to_x, to_y) = place(random, scene)?;
    let (from_x, from_y) = place(random, scene)?;
    let radius = radius(random, scene, 0.03, 0.17);
    let field = blot(random, scene.size, (to_x, to_y), radius, 0.1);
    let (sine, cosine) = random.angle().sin_cos();
    let brighter = random.between(0.75, 1.25);
    let mut moved = displaced(scene, &field, |x, y, _| {
        let (u, v) = (x - to_x, y - to_y);
        (
            from_x + cosine * u + sine * v,
            from_y + cosine * v - sine * u,
        )
    });
    moved.albedo = moved
        .albedo
        .map(|cell| cell.map(|it| (it * brighter).min(1.0)));
    replace(scene.surface(), &field, &moved, 1.0);
    Some(field)
}

/// Specks that crowd towards the middle of a blot: rust, mould, worn coating.
pub(super) fn corrosion(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let radius = radius(random, scene, 0.04, 0.2);
    let crowd = blot(random, scene.size, middle, radius, 1.4);
    let cells = random.between(20.0, 70.0);
    let grain = clouds(random, scene.size, cells, 3, 0.7);
    let density = random.between(0.4, 0.65);
    let mut field = crowd;
    field.combine(&grain, |crowd, grain| {
        if crowd > 0.02 {
            step(
                1.0 - density,
                1.1 - density,
                crowd * 0.5 + grain * 0.8 - 0.35,
            )
        } else {
            0.0
        }
    });
    let about = colour_about(scene.inspected(), middle);
    let rust = [0.45, 0.24, 0.1];
    let tint = if random.chance(0.3) {
        blend(about, rust, 0.3 + 0.7 * tools.power)
    } else {
        other_colour(random, about, tools.power)
    };
    let depth = random.between(-2.0, 1.0);
    let surface = scene.surface();
    paint(surface, &field, tint, random.between(0.6, 1.0));
    surface
        .height
        .combine(&field, |cell, share| cell + depth * share);
    Some(field)
}

/// One of several equal marks is not there.
pub(super) fn missing_mark(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let unmarked = scene.unmarked.clone()?;
    if scene.spots.len() < 3 {
        return None;
    }
    let [x, y, reach] = tools.random.pick(&scene.spots);
    if !scene.covers(x, y) {
        return None;
    }
    let field = Canvas::from_fn(scene.size, |column, row| {
        let far = (column as f32 - x).hypot(row as f32 - y);
        [step(reach + 3.0, reach + 2.0, far); 3]
    })
    .map(|share| share[0]);
    replace(scene.surface(), &field, &unmarked, 1.0);
    Some(field)
}
