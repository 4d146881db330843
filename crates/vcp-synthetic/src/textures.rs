//! Surfaces that fill the picture, perhaps joined from two, perhaps with marks.

use vcp_random::Random;

use crate::grid::{Field, blend, step};
use crate::marks;
use crate::scene::{Camera, Light, Scene};
use crate::shapes::turn;
use crate::surfaces::{UNIT, surface};

/// A scene of one or two surfaces, and what they are.
pub(crate) fn scene(
    random: &mut Random,
    size: usize,
    light: Light,
    camera: Camera,
) -> (Scene, String) {
    let mut back = surface(random, size);
    let mut what = back.name.to_owned();
    if random.chance(0.22) {
        let other = surface(random, size);
        what = format!("{what} beside {}", other.name);
        let share = joint(random, size);
        back.albedo = crate::grid::Canvas::from_fn(size, |x, y| {
            blend(back.albedo[(x, y)], other.albedo[(x, y)], share[(x, y)])
        });
        let rise = random.between(-4.0, 4.0);
        back.height = Field::from_fn(size, |x, y| {
            let share = share[(x, y)];
            blend(back.height[(x, y)], other.height[(x, y)], share) + rise * share
        });
    }
    let mut scene = Scene {
        size,
        back,
        front: None,
        unmarked: None,
        blank: None,
        unfinished: None,
        spots: Vec::new(),
        light,
        camera,
    };
    if random.chance(0.3) {
        let half = size as f32 / 2.0;
        let middle = (
            half * random.between(0.8, 1.2),
            half * random.between(0.8, 1.2),
        );
        let radius = half * random.between(0.5, 1.3);
        marks::add(random, &mut scene, middle, radius);
    }
    (scene, what)
}

/// 0 on the one side, 1 on the other: of a line, a strip, or a circle.
fn joint(random: &mut Random, size: usize) -> Field {
    let turn = turn(random);
    let (sine, cosine) = turn.sin_cos();
    let (shift, half) = (random.between(-0.3, 0.3), random.between(0.05, 0.3));
    let far = random.between(0.2, 0.6);
    let kind = random.below(3);
    let edge = random.between(0.6, 2.0) / UNIT;
    Field::from_fn(size, |x, y| {
        let (x, y) = (x as f32 / size as f32 - 0.5, y as f32 / size as f32 - 0.5);
        let across = x * cosine + y * sine - shift;
        let distance = match kind {
            0 => across,
            1 => across.abs() - half,
            _ => (x - shift).hypot(y - half) - far,
        };
        step(-edge, edge, distance)
    })
}
