//! Defects: what spoils a scene, and the mask of what visibly changed.

mod areas;
mod brush;
mod coats;
mod deform;
mod edges;
mod lines;
mod liquids;
mod mask;
mod parts;
mod prints;
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
    /// What the scene must have.
    needs: Need,
    /// Whether what it surrounds is part of it.
    pub(crate) is_solid: bool,
    /// Whether it changes its place gradually, so that its outline is nowhere sharp.
    pub(crate) is_soft: bool,
    /// The largest fraction of the picture that it may take.
    pub(crate) most_area: f32,
    /// Whether it shows only where there is a pattern that it breaks.
    breaks_pattern: bool,
}

/// What a scene must have for a kind of defect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// At least three regular marks.
    RegularMarks,
    /// Something printed on it or set into it.
    Marks,
    /// An object with a rim, an edge or bumps.
    Finish,
    /// At least three objects that are equal up to their places and turns.
    EqualObjects,
    /// At least three of them in rows.
    Rows,
}

const fn kind(name: &'static str, spoil: Spoil, surface: f32, object: f32) -> Kind {
    Kind {
        name,
        spoil,
        weights: [surface, object],
        needs: Need::Nothing,
        is_solid: false,
        is_soft: false,
        most_area: 0.17,
        breaks_pattern: false,
    }
}

impl Kind {
    const fn solid(mut self) -> Self {
        self.is_solid = true;
        self
    }

    const fn disorder(mut self) -> Self {
        self.breaks_pattern = true;
        self.solid()
    }

    const fn large(mut self) -> Self {
        self.most_area = crate::MOST_AREA;
        self
    }

    /// Large areas that have no sharp outline.
    const fn broad(mut self) -> Self {
        self.is_soft = true;
        self.large().solid()
    }

    const fn needing(mut self, needs: Need) -> Self {
        self.needs = needs;
        self
    }

    fn weight(&self, scene: &Scene) -> f32 {
        let objects = scene.front.as_ref().map_or(0, |front| front.middles.len());
        let has_what_it_needs = match self.needs {
            Need::Nothing => true,
            Need::RegularMarks => scene.spots.len() > 2,
            Need::Marks => scene.blank.is_some(),
            Need::Finish => scene.unfinished.is_some(),
            Need::EqualObjects => objects > 2,
            Need::Rows => objects > 2 && scene.front.as_ref().is_some_and(|front| front.in_rows),
        };
        let weight = self.weights[usize::from(scene.front.is_some())];
        if !has_what_it_needs {
            0.0
        } else if self.breaks_pattern && !scene.inspected().is_regular {
            weight * 0.15
        } else {
            weight
        }
    }
}

const KINDS: &[Kind] = &[
    kind("scratch", lines::scratch, 1.5, 1.0),
    kind("scuff", lines::scuff, 1.0, 0.7),
    kind("crack", lines::crack, 1.5, 1.5),
    kind("fibre", lines::fibre, 0.8, 0.7),
    kind("wrinkle", lines::wrinkle, 0.6, 0.5),
    kind("stain", areas::stain, 1.2, 1.0).solid(),
    kind("burn", areas::burn, 0.9, 1.4).solid(),
    kind("discolouration", areas::discolour, 0.7, 0.8).solid(),
    kind("foreign surface", areas::foreign, 1.0, 1.0).solid(),
    kind("blur", areas::blur, 0.4, 0.2).disorder(),
    kind("missing pattern", areas::missing, 1.0, 0.8).disorder(),
    kind("shifted pattern", areas::shifted, 1.0, 0.8).disorder(),
    kind("twist", areas::twist, 0.5, 0.3).disorder(),
    kind("patch", areas::paste, 1.0, 0.8).disorder(),
    kind("corrosion", areas::corrosion, 1.0, 0.8),
    kind("hole", spots::hole, 1.2, 1.0).solid(),
    kind("dent", spots::dent, 1.0, 1.0).solid(),
    kind("bump", spots::bump, 0.5, 0.5).solid(),
    kind("particles", spots::particles, 0.8, 0.8),
    kind("drops", spots::drops, 0.6, 0.4).solid(),
    kind("pits", spots::pits, 0.9, 0.7),
    kind("bite", edges::bite, 0.0, 1.8).solid().large(),
    kind("break", edges::broken, 0.0, 1.6),
    kind("nick", edges::nick, 0.0, 1.0).solid(),
    kind("burr", edges::burr, 0.0, 0.6).solid(),
    kind("hole through", edges::hole_through, 0.0, 0.6).solid(),
    kind("soft stain", coats::soft_stain, 1.4, 1.2).broad(),
    kind("haze", coats::haze, 0.8, 0.8).broad(),
    kind("colour drift", coats::drift, 0.9, 1.0).broad(),
    kind("uneven coat", coats::uneven, 1.2, 1.2).broad(),
    kind("thin coat", coats::thin, 1.1, 1.2).large(),
    kind("faded area", coats::fade, 0.7, 0.5).broad(),
    kind("contamination", liquids::powder, 0.8, 0.8).broad(),
    kind("water mark", liquids::water_mark, 1.0, 0.9)
        .solid()
        .large(),
    kind("spill", liquids::spill, 0.9, 0.8).solid().large(),
    kind("sagging", liquids::sagging, 0.6, 0.6).solid(),
    kind("smear", liquids::smear, 0.9, 0.9).large(),
    kind("fingerprint", liquids::fingerprint, 0.8, 0.8).solid(),
    kind("deformed outline", deform::outline, 0.0, 1.3)
        .solid()
        .large(),
    kind("bent", deform::bent, 0.0, 0.9).solid().large(),
    kind("flash", deform::flash, 0.0, 0.7),
    kind("missing part", deform::missing_part, 0.0, 1.3)
        .solid()
        .large(),
    kind("blocked hole", deform::blocked_hole, 0.0, 1.5).solid(),
    kind("missing mark", areas::missing_mark, 3.5, 3.5)
        .solid()
        .needing(Need::RegularMarks),
    kind("partial print", prints::partial, 1.6, 1.6)
        .solid()
        .large()
        .needing(Need::Marks),
    kind("misprint", prints::misprint, 0.8, 0.8)
        .solid()
        .large()
        .needing(Need::Marks),
    kind("unfinished part", prints::unfinished, 0.0, 0.8)
        .solid()
        .large()
        .needing(Need::Finish),
    kind("missing object", parts::missing, 0.0, 4.0)
        .solid()
        .needing(Need::Rows),
    kind("misplaced object", parts::misplaced, 0.0, 4.0)
        .solid()
        .large()
        .needing(Need::Rows),
    kind("wrong object", parts::swapped, 0.0, 4.0)
        .solid()
        .large()
        .needing(Need::EqualObjects),
    kind("object of another colour", parts::recoloured, 0.0, 3.0)
        .solid()
        .large()
        .needing(Need::EqualObjects),
    kind("object of another size", parts::resized, 0.0, 3.0)
        .solid()
        .large()
        .needing(Need::EqualObjects),
];

/// A kind that suits the scene.
pub(crate) fn choose(random: &mut Random, scene: &Scene) -> Kind {
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

/// The names of all kinds.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}
