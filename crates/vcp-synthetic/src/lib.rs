//! Pictures of surfaces and objects that nobody photographed, with defects or without.
//!
//! [`sample`] draws one from a seed: a scene of surfaces, objects, light and a camera is made first;
//! defects change the scene; the picture is rendered with and without them, and the mask is where the two
//! visibly differ. [`SyntheticSet`] writes many as a data set.
//!
//! A picture is a function of its seed and size: the same in every run and on every number of threads. It
//! is computed in `f32` with the system's `sin`, `exp` and `powf`, whose last bits may differ between
//! systems. On another one, values may then be rounded to another level, and a defect that is nearly
//! invisible may be kept on the one and dropped on the other.
//!
//! # Example
//!
//! ```
//! use vcp_synthetic::sample;
//!
//! let picture = sample(7, 64);
//! assert_eq!((picture.image.width(), picture.image.height()), (64, 64));
//! assert_eq!(picture.mask.contains(&255), !picture.is_clean());
//! println!("{}", picture.what);
//! assert_eq!(picture, sample(7, 64));
//! ```
#![forbid(unsafe_code)]

mod blocks;
mod defects;
mod error;
mod frame;
mod grid;
mod lighting;
mod marks;
mod noise;
mod objects;
mod patterns;
mod scene;
mod set;
mod shapes;
mod surfaces;
mod textures;

pub use error::Error;
pub use set::{SyntheticCounts, SyntheticSet};

use vcp_image::Photo;
use vcp_random::Random;

use self::defects::Tools;
use self::grid::Field;
use self::scene::Scene;

/// The smallest picture [`sample`] makes; smaller sizes get this one.
pub const SMALLEST: usize = 16;

/// A picture and where its defects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synthetic {
    /// The picture: RGB, square.
    pub image: Photo,
    /// 255 where a defect shows, 0 elsewhere; row by row, as many pixels as the picture has.
    pub mask: Vec<u8>,
    /// What it shows: its surfaces, then its defects (see [`Synthetic::defects`]).
    pub what: String,
    /// The kinds of its defects in the order in which they were made; none if it is clean.
    pub defects: Vec<&'static str>,
}

impl Synthetic {
    /// Whether it shows no defect.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.defects.is_empty()
    }
}

/// Fraction of the picture that all defects together may take.
const MOST_AREA: f32 = 0.35;
/// Fraction of the picture below which a defect is dropped.
const LEAST_AREA: f32 = 0.001;
/// Change (0 to 1) below which a defect counts as invisible.
const LEAST_CONTRAST: f32 = 0.035;

/// The picture with this seed, `size` pixels wide and high. Every other picture (in no order) is
/// clean. Both are made alike up to the defects.
///
/// The same seed gives the same picture, at every time and on every number of threads; see the
/// [crate] for other systems. Neighbouring seeds have nothing in common. Another size gives another
/// picture.
#[must_use]
pub fn sample(seed: u64, size: usize) -> Synthetic {
    let size = size.max(SMALLEST);
    // Mixed, so that neighbouring seeds do not give neighbouring streams.
    let mut random = Random::new(seed ^ 0x7379_6e74_6865_7469).fork();
    let light = lighting::light(&mut random, size);
    let camera = lighting::camera(&mut random);
    let (mut scene, mut what) = if random.chance(0.55) {
        objects::scene(&mut random, size, light, camera)
    } else {
        textures::scene(&mut random, size, light, camera)
    };
    scene.expose(&mut random);
    let mut picture = scene.rendered();
    let mut mask = Field::new(size, 0.0);
    let mut names = Vec::new();
    if random.chance(0.5) {
        let wanted = random.pick(&[1, 1, 1, 2, 2, 3, 4]);
        for _ in 0..wanted * 6 {
            let mut spoiled = scene.clone();
            if let Some((name, changed, after)) =
                spoil(&mut random, &mut spoiled, &picture, mask.mean())
            {
                mask.combine(&changed, f32::max);
                names.push(name);
                picture = after;
                scene = spoiled;
                if names.len() == wanted {
                    break;
                }
            }
        }
    }
    what += if names.is_empty() { ": clean" } else { ": " };
    what += &names.join(", ");
    let pixels = scene.developed(&picture);
    Synthetic {
        image: photo(size, pixels),
        mask: mask
            .cells
            .iter()
            .map(|&it| if it > 0.5 { 255 } else { 0 })
            .collect(),
        what,
        defects: names,
    }
}

/// Adds a defect, unless it would be invisible, too small or too large.
fn spoil(
    random: &mut Random,
    scene: &mut Scene,
    before: &grid::Canvas,
    taken: f32,
) -> Option<(&'static str, Field, grid::Canvas)> {
    let kind = defects::choose(random, scene);
    // A few hardly visible, most plain.
    let power = match random.below(8) {
        0 => random.between(0.05, 0.3),
        1..=4 => random.between(0.3, 0.75),
        _ => random.between(0.65, 1.0),
    };
    let place = (kind.spoil)(&mut Tools { random, power }, scene)?;
    let after = scene.rendered();
    let visible = defects::visible(
        before,
        &after,
        &place,
        scene.camera.noise * 0.5,
        kind.is_solid,
        kind.is_soft,
    );
    let fits = visible.area >= LEAST_AREA
        && visible.area <= kind.most_area
        && visible.area + taken <= MOST_AREA
        && visible.contrast >= LEAST_CONTRAST + scene.camera.noise * 0.7;
    fits.then_some((kind.name, visible.mask, after))
}

fn photo(size: usize, pixels: Vec<u8>) -> Photo {
    match Photo::from_rgb(size, size, pixels) {
        Ok(photo) => photo,
        // There are three bytes for each pixel, and at least one pixel.
        Err(_) => unreachable!("a rendered picture has size × size × 3 bytes"),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use std::collections::HashSet;

    use rayon::prelude::*;

    use super::*;

    const SIZE: usize = 48;

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_thread() {
        for seed in [0, 7, u64::MAX] {
            let here = sample(seed, SIZE);
            let there = std::thread::spawn(move || sample(seed, SIZE))
                .join()
                .unwrap();
            assert_eq!(here, there);
        }
    }

    #[test]
    fn neighbouring_seeds_give_other_pictures() {
        assert_ne!(sample(1, SIZE).image, sample(2, SIZE).image);
    }

    #[test]
    fn masks_are_binary_empty_exactly_for_clean_pictures_and_of_moderate_area() {
        for seed in 0..120 {
            let Synthetic {
                image,
                mask,
                what,
                defects,
            } = sample(seed, SIZE);
            assert_eq!((image.width(), image.height()), (SIZE, SIZE));
            assert_eq!(image.channels(), 3);
            assert_eq!(mask.len(), SIZE * SIZE);
            assert!(mask.iter().all(|it| [0, 255].contains(it)), "{what}");
            let marked = mask.iter().filter(|it| **it > 0).count() as f32 / mask.len() as f32;
            if defects.is_empty() {
                assert_eq!(marked, 0.0, "{what}");
                assert!(what.ends_with(": clean"), "{what}");
            } else {
                assert!(
                    (LEAST_AREA..=MOST_AREA + 1e-6).contains(&marked),
                    "{what} {marked}"
                );
                assert!(defects.len() <= 4, "{what}");
            }
        }
    }

    #[test]
    fn about_half_are_clean_two_fifths_are_grey_and_every_kind_of_defect_occurs() {
        let all: Vec<Synthetic> = (0..2000)
            .into_par_iter()
            .map(|seed| sample(seed, SIZE))
            .collect();
        let clean = all.iter().filter(|it| it.is_clean()).count();
        assert!((900..=1100).contains(&clean), "{clean}");
        let seen: HashSet<&str> = all.iter().flat_map(|it| it.defects.clone()).collect();
        let missing: Vec<&str> = defects::names().filter(|it| !seen.contains(it)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        // Without colour, or nearly.
        let grey = all.iter().filter(|it| chroma(&it.image) < 8.0).count();
        assert!((700..=1000).contains(&grey), "{grey}");
        // Large ones are not rare, and nor are small ones.
        let marked = |it: &&Synthetic| it.mask.iter().filter(|mask| **mask > 0).count();
        let of_area = |least: usize, most: usize| {
            let fits = |it: &&Synthetic| (least..most).contains(&marked(it));
            all.iter().filter(|it| !it.is_clean()).filter(fits).count()
        };
        let (small, large) = (
            of_area(0, SIZE * SIZE / 50),
            of_area(SIZE * SIZE / 10, usize::MAX),
        );
        assert!(small > 250 && large > 150, "{small} small, {large} large");
        // Neither black nor white on the whole.
        let means: Vec<f32> = all
            .iter()
            .map(|it| {
                let pixels = it.image.pixels();
                pixels.iter().map(|&it| f32::from(it)).sum::<f32>() / pixels.len() as f32
            })
            .collect();
        assert!(
            means.iter().all(|mean| (20.0..240.0).contains(mean)),
            "{means:?}"
        );
    }

    /// Mean difference of a pixel's largest and smallest channel.
    fn chroma(image: &Photo) -> f32 {
        let (pixels, _) = image.pixels().as_chunks::<3>();
        let ranges = pixels.iter().map(|[red, green, blue]| {
            let (low, high) = (red.min(green).min(blue), red.max(green).max(blue));
            f32::from(high - low)
        });
        ranges.sum::<f32>() / pixels.len() as f32
    }

    #[test]
    fn a_size_too_small_is_made_larger() {
        assert_eq!(sample(3, 0).image.width(), SMALLEST);
    }
}

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
