//! Defects: what spoils a scene, and the mask of what visibly changed.

mod areas;
mod brush;
mod edges;
mod lines;
mod mask;
mod spots;

pub(super) use mask::visible;

use super::grid::Field;
use super::scene::Scene;
use crate::random::Random;

/// What a defect is made with.
pub(super) struct Tools<'a> {
    pub(super) random: &'a mut Random,
    /// How strongly it shows: 0 hardly, 1 as strongly as it can.
    pub(super) power: f32,
}

/// Changes the scene and returns where it did (above 0), or `None` if there was no place for it.
type Spoil = fn(&mut Tools, &mut Scene) -> Option<Field>;

/// A kind of defect.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) spoil: Spoil,
    /// How often it is chosen: on surfaces that fill the picture, and on objects.
    weights: [f32; 2],
}

const fn kind(name: &'static str, spoil: Spoil, surface: f32, object: f32) -> Kind {
    Kind {
        name,
        spoil,
        weights: [surface, object],
    }
}

const KINDS: &[Kind] = &[
    kind("scratch", lines::scratch, 1.5, 1.0),
    kind("scuff", lines::scuff, 1.0, 0.7),
    kind("crack", lines::crack, 1.5, 1.5),
    kind("fibre", lines::fibre, 0.8, 0.7),
    kind("wrinkle", lines::wrinkle, 0.6, 0.5),
    kind("stain", areas::stain, 1.2, 1.0),
    kind("burn", areas::burn, 0.8, 1.3),
    kind("discolouration", areas::discolour, 0.7, 0.8),
    kind("foreign surface", areas::foreign, 1.0, 1.0),
    kind("blur", areas::blur, 0.4, 0.2),
    kind("missing pattern", areas::missing, 0.8, 0.4),
    kind("shifted pattern", areas::shifted, 0.8, 0.4),
    kind("twist", areas::twist, 0.5, 0.3),
    kind("patch", areas::paste, 0.8, 0.6),
    kind("corrosion", areas::corrosion, 1.0, 0.8),
    kind("missing mark", areas::missing_mark, 0.7, 0.7),
    kind("hole", spots::hole, 1.2, 1.0),
    kind("dent", spots::dent, 1.0, 1.0),
    kind("bump", spots::bump, 0.5, 0.5),
    kind("particles", spots::particles, 0.8, 0.8),
    kind("drops", spots::drops, 0.6, 0.4),
    kind("pits", spots::pits, 0.9, 0.7),
    kind("bite", edges::bite, 0.0, 1.8),
    kind("break", edges::broken, 0.0, 1.6),
    kind("nick", edges::nick, 0.0, 1.0),
    kind("burr", edges::burr, 0.0, 0.6),
    kind("hole through", edges::hole_through, 0.0, 0.6),
];

/// A kind that suits the scene.
pub(super) fn choose(random: &mut Random, scene: &Scene) -> Kind {
    let column = usize::from(scene.front.is_some());
    let total: f32 = KINDS.iter().map(|kind| kind.weights[column]).sum();
    let mut at = random.unit() * total;
    for kind in KINDS {
        at -= kind.weights[column];
        if at < 0.0 {
            return *kind;
        }
    }
    KINDS[0]
}
