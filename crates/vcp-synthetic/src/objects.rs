//! Objects on a ground: one, some, or rows of them.

use std::rc::Rc;

use vcp_random::Random;

use crate::grid::{Field, blend, step};
use crate::marks;
use crate::noise::{clouds, smooth};
use crate::scene::{Camera, Front, Light, Scene};
use crate::shapes::{self, Outline};
use crate::surfaces::{self, Surface, UNIT, even_surface, material, plain_surface};

/// Where one object lies.
struct Place {
    x: f32,
    y: f32,
    sine: f32,
    cosine: f32,
    /// In pixels.
    radius: f32,
}

/// A scene with objects, and what they are.
pub(crate) fn scene(
    random: &mut Random,
    size: usize,
    light: Light,
    camera: Camera,
) -> (Scene, String) {
    let (name, outline) = shapes::outline(random);
    let (places, in_rows) = places(random, size as f32);
    let unit = size as f32 / UNIT;
    let rough = match random.below(3) {
        0 => random.between(0.3, 2.0) * unit,
        _ => 0.0,
    };
    let inside = inside(random, size, &outline, &places, rough);
    let cover = inside.map(|depth| step(-0.8, 0.8, depth));
    let mut surface = material(random, size);
    if random.chance(0.4) {
        surface.quieten(random);
    }
    round(random, &mut surface, &inside, unit);
    let unfinished = Rc::new(surface.clone());
    let is_finished = finish(random, &mut surface, &inside, unit);
    let back = match random.below(10) {
        0 | 1 => surfaces::surface(random, size),
        2..=4 => even_surface(random, size),
        _ => plain_surface(random, size),
    };
    let what = format!("{name} of {} on {}", surface.name, back.name);
    let mut scene = Scene {
        size,
        back,
        front: Some(Front {
            surface,
            cover,
            radius: places.first().map_or(0.0, |place| place.radius),
            middles: places.iter().map(|place| (place.x, place.y)).collect(),
            in_rows,
            lift: random.between(0.0, 7.0),
        }),
        unmarked: None,
        blank: None,
        unfinished: is_finished.then_some(unfinished),
        spots: Vec::new(),
        light,
        camera,
    };
    set_apart(random, &mut scene);
    if random.chance(0.25) {
        crumbs(random, &mut scene);
    }
    let marked = random.fork();
    for place in &places {
        // Objects of a kind bear the same marks.
        let mut random = if places.len() > 1 {
            marked.clone()
        } else {
            marked.clone().fork()
        };
        marks::add(&mut random, &mut scene, (place.x, place.y), place.radius);
    }
    if places.len() > 1 {
        // Marks of several objects do not form one row.
        scene.unmarked = None;
        scene.spots.clear();
    }
    (scene, what)
}

/// Places of objects, and whether they are in rows.
fn places(random: &mut Random, size: f32) -> (Vec<Place>, bool) {
    let place = |x: f32, y: f32, angle: f32, radius: f32| Place {
        x,
        y,
        sine: angle.sin(),
        cosine: angle.cos(),
        radius,
    };
    let turn = shapes::turn(random);
    let kind = random.unit();
    let in_rows = kind >= 0.78;
    let places = if kind < 0.54 {
        let (x, y) = (random.between(0.42, 0.58), random.between(0.42, 0.58));
        let radius = random.between(0.25, 0.47);
        vec![place(x * size, y * size, turn, radius * size)]
    } else if kind < 0.65 {
        // So near that it does not fit into the picture.
        let (x, y) = (random.between(0.2, 0.8), random.between(0.2, 0.8));
        vec![place(
            x * size,
            y * size,
            turn,
            random.between(0.5, 0.9) * size,
        )]
    } else if !in_rows {
        let radius = random.between(0.1, 0.22) * size;
        let mut places: Vec<Place> = Vec::new();
        for _ in 0..random.count(6, 24) {
            let (x, y) = (random.unit() * size, random.unit() * size);
            let angle = random.angle();
            let free = |other: &Place| (other.x - x).hypot(other.y - y) > 2.1 * radius;
            if places.iter().all(free) && places.len() < 7 {
                places.push(place(x, y, angle, radius));
            }
        }
        places
    } else {
        rows(random, size)
            .into_iter()
            .map(|[x, y, radius]| place(x, y, turn, radius))
            .collect()
    };
    (places, in_rows)
}

/// Rows of places, straight or turned a little, that end within the picture or go on beyond it: middles
/// and radius.
fn rows(random: &mut Random, size: f32) -> Vec<[f32; 3]> {
    let (columns, rows) = (random.count(1, 4), random.count(2, 4));
    let (apart, goes_on) = (size / columns.max(rows) as f32, random.chance(0.35));
    let radius = apart * random.between(0.3, 0.46);
    // Nothing lies in rows exactly.
    let loose = random.pick(&[0.0, 0.01, 0.04]) * apart;
    let angle = random.pick(&[0.0, 0.0, 1.0]) * random.between(-0.25, 0.25);
    let (sine, cosine) = angle.sin_cos();
    let shift = if goes_on {
        (random.between(-0.5, 0.5), random.between(-0.5, 0.5))
    } else {
        (0.0, 0.0)
    };
    let beyond = usize::from(goes_on);
    let along = |index: usize, count: usize, shift: f32| {
        (index as f32 - (count + 2 * beyond - 1) as f32 / 2.0 + shift) * apart
    };
    let mut places = Vec::new();
    for row in 0..rows + 2 * beyond {
        for column in 0..columns + 2 * beyond {
            let (u, v) = (along(column, columns, shift.0), along(row, rows, shift.1));
            let x = size / 2.0 + cosine * u - sine * v + loose * random.normal();
            let y = size / 2.0 + sine * u + cosine * v + loose * random.normal();
            let is_seen = |at: f32| (-1.4 * radius..size + 1.4 * radius).contains(&at);
            if is_seen(x) && is_seen(y) {
                places.push([x, y, radius]);
            }
        }
    }
    places
}

/// How deep each pixel lies inside an object, in pixels; below zero outside.
fn inside(
    random: &mut Random,
    size: usize,
    outline: &Outline,
    places: &[Place],
    rough: f32,
) -> Field {
    let mut depths = Field::from_fn(size, |x, y| {
        let mut nearest = f32::INFINITY;
        for place in places {
            let (u, v) = (x as f32 - place.x, y as f32 - place.y);
            // Outlines reach a little further than 1; far pixels need no exact distance.
            let far = u.hypot(v) - place.radius * 1.8;
            let distance = if far > 0.0 {
                far + 3.0
            } else {
                let (u, v) = (
                    place.cosine * u + place.sine * v,
                    place.cosine * v - place.sine * u,
                );
                outline(u / place.radius, v / place.radius) * place.radius
            };
            nearest = nearest.min(distance);
        }
        -nearest
    });
    if rough > 0.0 {
        let cells = random.between(8.0, 40.0);
        let ragged = smooth(random, size, cells, cells);
        depths.combine(&ragged, |depth, noise| depth + rough * noise);
    }
    depths
}

/// Gives objects a rounded edge.
fn round(random: &mut Random, surface: &mut Surface, inside: &Field, unit: f32) {
    let round = unit * random.log_between(1.5, 30.0);
    let thick = random.between(1.0, 9.0) * (round / unit / 8.0).clamp(0.4, 1.5);
    surface.height.combine(inside, |height, depth| {
        let at = (1.0 - depth / round).clamp(0.0, 1.0);
        height + thick * (1.0 - at * at).sqrt()
    });
}

/// Gives objects a rim, bumps, and an edge of another colour, or some of it: whether any.
fn finish(random: &mut Random, surface: &mut Surface, inside: &Field, unit: f32) -> bool {
    let [has_rim, has_bumps, has_edge] = [0.35; 3].map(|chance| random.chance(chance));
    if has_rim {
        let (far, width) = (
            unit * random.between(3.0, 10.0),
            unit * random.between(0.8, 3.0),
        );
        let rise = random.between(-3.0, 3.0);
        surface.height.combine(inside, |height, depth| {
            height + rise * step(width + unit, width, (depth - far).abs())
        });
    }
    if has_bumps {
        let amount = random.between(1.0, 6.0);
        let cells = random.log_between(3.0, 16.0);
        let bumps = clouds(random, inside.size, cells, 4, 0.5);
        surface
            .height
            .combine(&bumps, |height, bump| height + amount * bump);
    }
    if has_edge {
        // Baked, worn, dipped or coated edges.
        let edge = crate::surfaces::colour(random, 0.1, 0.7).map(|it| it * random.unit());
        let (wide, strength) = (unit * random.between(3.0, 25.0), random.between(0.15, 0.7));
        surface.albedo.combine(inside, |colour, depth| {
            blend(colour, edge, strength * step(wide, 0.0, depth))
        });
    }
    has_rim || has_bumps || has_edge
}

/// Makes the ground lighter or darker where it is too much like the objects.
fn set_apart(random: &mut Random, scene: &mut Scene) {
    let Some(front) = &scene.front else { return };
    let luma = |surface: &Surface| {
        surface
            .albedo
            .map(|it| (it[0] + it[1] + it[2]) / 3.0)
            .mean()
    };
    let (object, ground) = (luma(&front.surface), luma(&scene.back));
    if (object - ground).abs() > 0.12 || random.chance(0.15) {
        return;
    }
    let up = if object < 0.5 {
        random.between(0.2, 0.5)
    } else {
        -random.between(0.2, 0.5)
    };
    let toward = if up > 0.0 { [1.0; 3] } else { [0.0; 3] };
    scene.back.albedo = scene.back.albedo.map(|cell| blend(cell, toward, up.abs()));
}

/// Bits that lie about on the ground and are of no interest.
fn crumbs(random: &mut Random, scene: &mut Scene) {
    let Some(front) = &scene.front else { return };
    let size = scene.size as f32;
    let front = front.surface.albedo[(scene.size / 2, scene.size / 2)];
    let mut ink = marks::Ink::new(random);
    if random.chance(0.6) {
        ink.colour = front;
        ink.opacity = 1.0;
    }
    ink.height = random.between(0.0, 2.0);
    ink.edge = 0.8;
    for _ in 0..random.count(2, 12) {
        let place = (random.unit() * size, random.unit() * size);
        let radius = size / UNIT * random.log_between(0.5, 2.5);
        let ratio = random.between(0.5, 1.0);
        marks::stamp(&mut scene.back, place, radius, ink, |x, y| {
            x.hypot(y / ratio) - radius
        });
    }
}
