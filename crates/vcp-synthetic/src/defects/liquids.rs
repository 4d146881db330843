//! What was spilt, has run, dried, or was smeared over a surface, and what has settled on it.

use std::f32::consts::{FRAC_PI_2, TAU};

use super::Tools;
use super::brush::{
    blot, colour_under, draw, lift, other_colour, paint, path, place, radius, reach,
};
use super::coats::{broad, retoned};
use super::spots::dab;
use crate::grid::{Field, blend, step};
use crate::noise::{clouds, smooth, stretched_clouds, turned};
use crate::scene::Scene;

/// Dried liquid: a rim, darker or paler, about an area that is hardly changed.
pub(super) fn water_mark(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let wide = radius(random, scene, 0.05, 0.3);
    let mut area = Field::new(scene.size, 0.0);
    for number in 0..random.count(1, 4) {
        let away = if number == 0 { 0.0 } else { wide };
        let place = (
            middle.0 + away * random.normal(),
            middle.1 + away * random.normal(),
        );
        let spot = wide
            * if number == 0 {
                1.0
            } else {
                random.between(0.15, 0.8)
            };
        let spot = blot(random, scene.size, place, spot, 0.08);
        area.combine(&spot, f32::max);
    }
    let width = scene.unit() * random.between(0.5, 2.2);
    let outside = random.between(0.2, 0.8);
    let rim = area.blurred(width).map(|share| {
        // Nearly nothing of the rim lies outside the mark.
        step(0.15 * outside, 0.45, share) * step(1.0, 0.6, share)
    });
    let mean = colour_under(scene.inspected(), &area);
    let luma = (mean[0] + mean[1] + mean[2]) / 3.0;
    let target = if luma < random.between(0.2, 0.7) {
        0.95
    } else {
        0.05
    };
    let strength = 0.2 + 0.6 * tools.power;
    let within = random.between(-0.4, 0.6) * strength;
    let brown = [1.15, 1.0, 0.8].map(|channel: f32| (channel * target).min(1.0));
    let surface = scene.surface();
    surface.albedo.combine(&area, |cell, share| {
        cell.map(|channel| channel * (1.0 - 0.4 * within * share))
    });
    paint(surface, &rim, brown, strength);
    surface.polish(&area, 0.5);
    area.combine(&rim, f32::max);
    Some(area)
}

/// A pool of liquid with drops about it: wet, or as opaque as paint, oil or sauce.
pub(super) fn spill(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let middle = place(random, scene)?;
    let wide = radius(random, scene, 0.06, 0.3);
    let mut pool = blot(random, scene.size, middle, wide, 0.06);
    for _ in 0..random.count(0, 9) {
        let (angle, far) = (random.angle(), wide * random.between(0.9, 1.8));
        let place = (middle.0 + far * angle.cos(), middle.1 + far * angle.sin());
        let drop = wide * random.log_between(0.02, 0.15);
        dab(
            &mut pool,
            place,
            drop,
            random.between(0.6, 1.0),
            random.angle(),
        );
    }
    let mean = colour_under(scene.inspected(), &pool);
    let is_opaque = random.chance(0.4);
    let tint = if is_opaque {
        other_colour(random, mean, 0.2 + 0.8 * tools.power)
    } else {
        let wet = 0.85 - 0.5 * tools.power;
        mean.map(|channel| channel * wet * random.between(0.85, 1.15))
    };
    let thick = 1.0 + 4.0 * tools.power;
    let body = pool.blurred(scene.unit() * random.between(0.8, 2.5));
    let surface = scene.surface();
    surface.albedo.combine(&pool, |cell, share| {
        let target = if is_opaque {
            tint
        } else {
            retoned(cell, mean, tint)
        };
        blend(cell, target, share * if is_opaque { 0.95 } else { 1.0 })
    });
    surface
        .height
        .combine(&pool, |height, share| height * (1.0 - 0.7 * share));
    lift(surface, &body, thick);
    surface.polish(&pool, 2.5);
    Some(pool)
}

/// A coat that has run: streams with a thick end, side by side.
pub(super) fn sagging(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let (x, y) = place(random, scene)?;
    let down = if random.chance(0.7) {
        FRAC_PI_2
    } else {
        random.angle()
    };
    let far = reach(scene);
    let mut field = Field::new(scene.size, 0.0);
    for _ in 0..random.count(1, 6) {
        let aside = far * random.between(-0.6, 0.6);
        let start = (x - aside * down.sin(), y + aside * down.cos());
        let length = far * random.log_between(0.15, 0.9);
        let width = (far * random.log_between(0.02, 0.12)).max(scene.unit());
        let direction = down + 0.1 * random.normal();
        let points = path(random, start, direction, length, 0.04);
        draw(&mut field, &points, |at| width * (0.45 + 0.55 * at * at));
        if let Some(&end) = points.last() {
            dab(&mut field, end, width * random.between(0.5, 0.8), 0.8, down);
        }
    }
    let field = field.blurred(0.5 * scene.unit());
    let mean = colour_under(scene.inspected(), &field);
    let tint = if random.chance(0.6) {
        mean.map(|channel| channel * (0.95 - 0.5 * tools.power))
    } else {
        other_colour(random, mean, tools.power)
    };
    let surface = scene.surface();
    surface.albedo.combine(&field, |cell, share| {
        blend(cell, retoned(cell, mean, tint), share)
    });
    lift(surface, &field.blurred(1.0), 2.0 + 6.0 * tools.power);
    surface.polish(&field, 1.8);
    Some(field)
}

/// Wiped grease, paint or dirt: streaks in one direction.
pub(super) fn smear(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let size = scene.size;
    let middle = place(random, scene)?;
    let angle = random.angle();
    let across = random.log_between(12.0, 60.0);
    let along = random.between(1.0, 4.0);
    let streaks = stretched_clouds(random, size, (along, across), 2, 0.6);
    let streaks = turned(&streaks, angle, 1.3);
    let long = reach(scene) * random.between(0.3, 1.0);
    let short = long * random.between(0.15, 0.6);
    let bend = random.between(-0.3, 0.3) / long;
    let (sine, cosine) = angle.sin_cos();
    let sparse = random.between(0.2, 0.55);
    let field = Field::from_fn(size, |x, y| {
        let (x1, y1) = (x as f32 - middle.0, y as f32 - middle.1);
        let (u, v) = (cosine * x1 + sine * y1, cosine * y1 - sine * x1);
        let far = (u / long).hypot((v + bend * u * u) / short);
        step(1.0, 0.5, far) * step(sparse, sparse + 0.25, streaks[(x, y)])
    });
    let mean = colour_under(scene.inspected(), &field);
    let tint = other_colour(random, mean, 0.1 + 0.8 * tools.power);
    let is_film = random.chance(0.5);
    let opacity = random.between(0.5, 0.9);
    let surface = scene.surface();
    surface.albedo.combine(&field, |cell, share| {
        let target = if is_film {
            retoned(cell, mean, tint)
        } else {
            tint
        };
        blend(cell, target, share * opacity)
    });
    surface.polish(&field, random.between(0.2, 2.0));
    Some(field)
}

/// Prints of fingers: ridges about a middle, faint and in patches.
pub(super) fn fingerprint(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let size = scene.size;
    let (x, y) = place(random, scene)?;
    let unit = scene.unit();
    let tip = unit * random.log_between(7.0, 17.0);
    let period = (unit * random.between(1.5, 2.6)).max(2.4);
    let mut area = Field::new(size, 0.0);
    let mut lines = Field::new(size, 0.0);
    let hand = random.angle();
    for number in 0..random.pick(&[1, 1, 2, 3]) {
        let beside = 1.7 * tip * number as f32;
        let (middle_x, middle_y) = (
            x + beside * hand.cos() + 0.2 * tip * random.normal(),
            y + beside * hand.sin() + 0.2 * tip * random.normal(),
        );
        let cells = size as f32 / tip * 1.5;
        let warp = smooth(random, size, cells, cells);
        let (sine, cosine) = (hand + FRAC_PI_2 + 0.2 * random.normal()).sin_cos();
        let (core, open) = (random.between(-0.4, 0.4) * tip, random.between(0.5, 0.9));
        for row in 0..size {
            for column in 0..size {
                let (right, down) = (column as f32 - middle_x, row as f32 - middle_y);
                if right.hypot(down) > 2.0 * tip {
                    continue;
                }
                let (u, v) = (cosine * right + sine * down, cosine * down - sine * right);
                let noise = warp[(column, row)];
                let far = (u / (1.3 * tip)).hypot(v / tip) + 0.12 * noise;
                let share = step(1.0, 0.7, far);
                let from_core = ((u - core) * open).hypot(v) + 0.8 * period * noise;
                let ridge = 0.5 + 0.5 * (TAU * from_core / period).sin();
                let place = (column, row);
                area[place] = area[place].max(share);
                lines[place] = lines[place].max(share * (0.25 + 0.75 * ridge));
            }
        }
    }
    let cells = size as f32 / tip;
    let patches = clouds(random, size, cells, 3, 0.6);
    lines.combine(&patches, |share, patch| share * step(0.15, 0.5, patch));
    let mean = colour_under(scene.inspected(), &area);
    let luma = (mean[0] + mean[1] + mean[2]) / 3.0;
    let target = if luma < random.between(0.3, 0.7) {
        1.0
    } else {
        0.0
    };
    let surface = scene.surface();
    paint(surface, &lines, [target; 3], 0.1 + 0.45 * tools.power);
    surface.polish(&lines, 0.3);
    Some(area)
}

/// Fine dirt over a large area: dust, powder, soot, crumbs, splashes.
pub(super) fn powder(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let random = &mut *tools.random;
    let size = scene.size;
    let region = broad(random, scene, 1.5)?;
    let cells = random.log_between(25.0, 90.0).min(0.4 * size as f32);
    let grain = clouds(random, size, cells, 2, 0.7);
    let sparse = random.between(0.75, 0.95);
    let mut field = region.clone();
    field.combine(&grain, |share, grain| {
        step(sparse, sparse + 0.08, grain + 0.35 * share) * step(0.0, 0.2, share)
    });
    let mean = colour_under(scene.inspected(), &region);
    let colour = other_colour(random, mean, 0.2 + 0.8 * tools.power);
    let height = random.between(0.0, 2.0);
    let surface = scene.surface();
    paint(surface, &field, colour, random.between(0.5, 1.0));
    lift(surface, &field, height);
    Some(field)
}
