//! Defects: what spoils a scene, and the mask of what visibly changed.

mod areas;
mod brush;
mod edges;
mod lines;
mod mask;
mod spots;

pub(crate) use mask::visible;

use vcp_random::Random;

use crate::grid::Field;
use crate::scene::Scene;

/// What a defect is made with.
pub(crate) struct Tools<'a> {
    pub(crate) random: &'a mut Random,
    /// How strongly it shows: 0 hardly, 1 as strongly as it can.
    pub(crate) power: f32,
}

/// Changes the scene and returns where it did (above 0), or `None` if there was no place for it.
type Spoil = fn(&mut Tools, &mut Scene) -> Option<Field>;

/// A kind of defect.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) spoil: Spoil,
    /// How often it is chosen: on surfaces that fill the picture, and on objects.
    weights: [f32; 2],
    /// Whether what it surrounds is part of it.
    pub(crate) is_solid: bool,
    /// Whether it shows only where there is a pattern that it breaks.
    breaks_pattern: bool,
}

const fn kind(name: &'static str, spoil: Spoil, surface: f32, object: f32) -> Kind {
    Kind {
        name,
        spoil,
        weights: [surface, object],
        is_solid: false,
        breaks_pattern: false,
    }
}

const fn disorder(name: &'static str, spoil: Spoil, surface: f32, object: f32) -> Kind {
    let mut kind = kind(name, spoil, surface, object);
    kind.breaks_pattern = true;
    kind.is_solid = true;
    kind
}

const fn solid(name: &'static str, spoil: Spoil, surface: f32, object: f32) -> Kind {
    let mut kind = kind(name, spoil, surface, object);
    kind.is_solid = true;
    kind
}

impl Kind {
    fn weight(&self, scene: &Scene) -> f32 {
        let weight = self.weights[usize::from(scene.front.is_some())];
        if self.breaks_pattern && !scene.inspected().is_regular {
            weight * 0.15
        } else {
            weight
        }
    }
}

const MISSING_MARK: Kind = solid("missing mark", areas::missing_mark, 0.0, 0.0);

const KINDS: &[Kind] = &[
    kind("scratch", lines::scratch, 1.5, 1.0),
    kind("scuff", lines::scuff, 1.0, 0.7),
    kind("crack", lines::crack, 1.5, 1.5),
    kind("fibre", lines::fibre, 0.8, 0.7),
    kind("wrinkle", lines::wrinkle, 0.6, 0.5),
    solid("stain", areas::stain, 1.2, 1.0),
    solid("burn", areas::burn, 0.9, 1.4),
    solid("discolouration", areas::discolour, 0.7, 0.8),
    solid("foreign surface", areas::foreign, 1.0, 1.0),
    disorder("blur", areas::blur, 0.4, 0.2),
    disorder("missing pattern", areas::missing, 1.0, 0.8),
    disorder("shifted pattern", areas::shifted, 1.0, 0.8),
    disorder("twist", areas::twist, 0.5, 0.3),
    disorder("patch", areas::paste, 1.0, 0.8),
    kind("corrosion", areas::corrosion, 1.0, 0.8),
    solid("hole", spots::hole, 1.2, 1.0),
    solid("dent", spots::dent, 1.0, 1.0),
    solid("bump", spots::bump, 0.5, 0.5),
    kind("particles", spots::particles, 0.8, 0.8),
    solid("drops", spots::drops, 0.6, 0.4),
    kind("pits", spots::pits, 0.9, 0.7),
    solid("bite", edges::bite, 0.0, 1.8),
    kind("break", edges::broken, 0.0, 1.6),
    solid("nick", edges::nick, 0.0, 1.0),
    solid("burr", edges::burr, 0.0, 0.6),
    solid("hole through", edges::hole_through, 0.0, 0.6),
];

/// A kind that suits the scene.
pub(crate) fn choose(random: &mut Random, scene: &Scene) -> Kind {
    if scene.spots.len() > 2 && random.chance(0.15) {
        return MISSING_MARK;
    }
    let total: f32 = KINDS.iter().map(|kind| kind.weight(scene)).sum();
    let mut at = random.unit() * total;
    for kind in KINDS {
        at -= kind.weight(scene);
        if at < 0.0 {
            return *kind;
        }
    }
    KINDS[0]
}
