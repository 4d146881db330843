//! One of several equal objects is not as the others are.

use super::Tools;
use super::brush::{Point, colour_under, other_colour};
use super::coats::retoned;
use crate::grid::{Field, blend, step};
use crate::scene::{Front, Scene};
use crate::shapes::{outline, turn};

/// The number of the object whose middle is nearest.
pub(super) fn nearest(front: &Front, (x, y): Point) -> Option<usize> {
    let far = |&(other_x, other_y): &Point| (other_x - x).hypot(other_y - y);
    (0..front.middles.len())
        .min_by(|&one, &other| far(&front.middles[one]).total_cmp(&far(&front.middles[other])))
}

/// What the object with this middle covers: that of the cover to which no other middle is nearer.
pub(super) fn of_object(front: &Front, (x, y): Point) -> Field {
    let others = front.middles.iter().filter(|other| **other != (x, y));
    // No object reaches further; those further apart need no comparison.
    let limit = 2.0 * front.radius;
    let near: Vec<Point> = others
        .copied()
        .filter(|other| (other.0 - x).hypot(other.1 - y) < 2.0 * limit)
        .collect();
    let mut own = front.cover.clone();
    for row in 0..own.size {
        for column in 0..own.size {
            let (right, down) = (column as f32, row as f32);
            let far = (right - x).hypot(down - y);
            let is_other = |other: &Point| (right - other.0).hypot(down - other.1) < far;
            if far > limit || near.iter().any(is_other) {
                own[(column, row)] = 0.0;
            }
        }
    }
    own
}

/// Puts an object anew, seen through a map from where a pixel is to where it was, within `reach` pixels of
/// a middle: what it covers then.
pub(super) fn put(
    front: &mut Front,
    own: &Field,
    (middle_x, middle_y): Point,
    reach: f32,
    source: impl Fn(f32, f32) -> Point,
) -> Field {
    let size = own.size;
    let limit = size as f32 - 1.0;
    let old = front.surface.clone();
    let mut covered = Field::new(size, 0.0);
    let range = |middle: f32| {
        let low = (middle - reach).max(0.0) as usize;
        let high = (middle + reach + 1.0).max(0.0) as usize;
        low.min(size)..high.min(size)
    };
    for y in range(middle_y) {
        for x in range(middle_x) {
            let (from_x, from_y) = source(x as f32, y as f32);
            // An object that the picture cuts goes on outside.
            let (from_x, from_y) = (from_x.clamp(0.0, limit), from_y.clamp(0.0, limit));
            let share = own.at(from_x, from_y);
            if share > 0.0 {
                covered[(x, y)] = share;
                front.surface.albedo[(x, y)] = old.albedo.at(from_x, from_y);
                front.surface.height[(x, y)] = old.height.at(from_x, from_y);
            }
        }
    }
    front
        .cover
        .combine(own, |cover, own| (cover - own).max(0.0));
    front.cover.combine(&covered, f32::max);
    covered
}

/// Any of the objects that lie in the picture with at least their middle and this fraction of their radius,
/// and what it covers.
fn any(tools: &mut Tools, scene: &Scene, seen: f32) -> Option<(Point, Field)> {
    let front = scene.front.as_ref()?;
    let edge = seen * front.radius;
    let inside = |at: f32| (edge..scene.size as f32 - edge).contains(&at);
    let seen = front.middles.iter().copied();
    let seen: Vec<Point> = seen.filter(|&(x, y)| inside(x) && inside(y)).collect();
    let number = tools.random.below(seen.len());
    let middle = *seen.get(number)?;
    Some((middle, of_object(front, middle)))
}

/// It is not there.
pub(super) fn missing(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let (_, own) = any(tools, scene, 0.0)?;
    let front = scene.front.as_mut()?;
    front
        .cover
        .combine(&own, |cover, own| (cover - own).max(0.0));
    Some(own)
}

/// It is turned, or lies beside its place.
pub(super) fn misplaced(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let ((x, y), own) = any(tools, scene, 0.9)?;
    let random = &mut *tools.random;
    let radius = scene.front.as_ref()?.radius;
    let kind = random.below(3);
    let far = if kind == 0 {
        0.0
    } else {
        radius * (0.1 + 0.5 * tools.power) * random.between(0.7, 1.0)
    };
    let turn = if kind == 1 {
        0.0
    } else {
        random.sign() * (0.15 + 1.4 * tools.power)
    };
    let angle = random.angle();
    let (to_x, to_y) = (x + far * angle.cos(), y + far * angle.sin());
    let (sine, cosine) = turn.sin_cos();
    let front = scene.front.as_mut()?;
    let covered = put(front, &own, (to_x, to_y), 2.0 * radius, |right, down| {
        let (u, v) = (right - to_x, down - to_y);
        (x + cosine * u + sine * v, y + cosine * v - sine * u)
    });
    Some(joined(own, &covered))
}

fn joined(mut one: Field, other: &Field) -> Field {
    one.combine(other, f32::max);
    one
}

/// It is smaller or larger.
pub(super) fn resized(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let ((x, y), own) = any(tools, scene, 0.9)?;
    let change = 0.12 + 0.4 * tools.power;
    let factor = if tools.random.chance(0.7) {
        1.0 - change
    } else {
        1.0 + 0.5 * change
    };
    let front = scene.front.as_mut()?;
    let reach = 2.0 * front.radius * factor.max(1.0);
    let covered = put(front, &own, (x, y), reach, |right, down| {
        (x + (right - x) / factor, y + (down - y) / factor)
    });
    Some(joined(own, &covered))
}

/// It is darker, lighter or of another hue.
pub(super) fn recoloured(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let (_, own) = any(tools, scene, 0.0)?;
    let mean = colour_under(scene.inspected(), &own);
    let tint = other_colour(tools.random, mean, tools.power);
    scene.surface().albedo.combine(&own, |cell, share| {
        if share > 0.0 {
            retoned(cell, mean, tint)
        } else {
            cell
        }
    });
    Some(own)
}

/// Another thing lies at its place.
pub(super) fn swapped(tools: &mut Tools, scene: &mut Scene) -> Option<Field> {
    let ((x, y), own) = any(tools, scene, 0.0)?;
    let random = &mut *tools.random;
    let (_, shape) = outline(random);
    let (sine, cosine) = turn(random).sin_cos();
    let unit = scene.unit();
    let unmarked = scene.blank.clone();
    let front = scene.front.as_mut()?;
    let radius = front.radius * random.between(0.7, 1.05);
    let depth = Field::from_fn(scene.size, |column, row| {
        let (right, down) = (column as f32 - x, row as f32 - y);
        if right.hypot(down) > 1.8 * radius {
            return -9.0;
        }
        let (u, v) = (cosine * right + sine * down, cosine * down - sine * right);
        -shape(u / radius, v / radius) * radius
    });
    let covered = depth.map(|depth| step(-0.8, 0.8, depth));
    front
        .cover
        .combine(&own, |cover, own| (cover - own).max(0.0));
    front.cover.combine(&covered, f32::max);
    let surface = &mut front.surface;
    if let Some(blank) = unmarked {
        super::areas::replace(surface, &covered, &blank, 1.0);
    }
    let mean = colour_under(surface, &covered);
    let tint = if random.chance(0.5) {
        other_colour(random, mean, 0.6 * tools.power)
    } else {
        mean
    };
    surface.albedo.combine(&covered, |cell, share| {
        if share > 0.0 {
            retoned(cell, mean, tint)
        } else {
            cell
        }
    });
    let (round, thick) = (unit * random.between(2.0, 9.0), random.between(1.0, 7.0));
    surface.height.combine(&depth, |height, depth| {
        if depth > -1.0 {
            let at = (1.0 - depth / round).clamp(0.0, 1.0);
            blend(0.2 * height, thick, (1.0 - at * at).sqrt())
        } else {
            height
        }
    });
    Some(joined(own, &covered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Random, lighting, objects};

    const SIZE: usize = 64;

    /// Scenes with several objects.
    fn scenes() -> impl Iterator<Item = Scene> {
        let scene = |seed| {
            let random = &mut Random::new(seed);
            let (light, camera) = (lighting::light(random, SIZE), lighting::camera(random));
            objects::scene(random, SIZE, light, camera).0
        };
        let several = |scene: &Scene| {
            let front = scene.front.as_ref();
            front.is_some_and(|front| front.middles.len() > 2)
        };
        (0..60).map(scene).filter(several)
    }

    #[test]
    fn every_covered_place_belongs_to_an_object() {
        let mut count = 0;
        for scene in scenes() {
            let front = scene.front.as_ref().unwrap();
            let mut all = Field::new(SIZE, 0.0);
            for middle in &front.middles {
                all.combine(&of_object(front, *middle), f32::max);
            }
            assert_eq!(all, front.cover);
            count += 1;
        }
        assert!(count > 10, "{count}");
    }

    #[test]
    fn an_object_put_where_it_was_changes_nothing() {
        for scene in scenes() {
            let mut front = scene.front.unwrap();
            let before = front.clone();
            let middle = front.middles[0];
            let own = of_object(&front, middle);
            let covered = put(&mut front, &own, middle, SIZE as f32, |x, y| (x, y));
            assert_eq!(covered, own);
            assert_eq!(front.cover, before.cover);
            assert_eq!(front.surface.albedo, before.surface.albedo);
        }
    }
}
