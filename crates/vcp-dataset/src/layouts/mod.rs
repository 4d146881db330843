//! The layouts, and the table of them.

mod bsdata;
mod btad;
mod class_tree;
mod dagm;
mod folder;
mod ksdd2;
mod lookout;
mod magnetic_tile;
mod manifest;
mod meta;
mod mpdd;
mod mvtec;
mod mvtec_ad_2;
mod mvtec_loco;
mod real_iad;
mod rsdds;
mod visa;

use crate::{Error, Layout};

/// Every layout, in the order in which they are listed to people.
const LAYOUTS: [&dyn Layout; 16] = [
    &mvtec::Mvtec,
    &mvtec_loco::MvtecLoco,
    &mvtec_ad_2::MvtecAd2,
    &visa::Visa,
    &btad::Btad,
    &mpdd::Mpdd,
    &ksdd2::Ksdd2,
    &dagm::Dagm,
    &rsdds::Rsdds,
    &magnetic_tile::MagneticTile,
    &bsdata::Bsdata,
    &real_iad::RealIad,
    &lookout::Lookout,
    &folder::Folder,
    &manifest::Manifest,
    &meta::Meta,
];

/// Every layout that can be read.
#[must_use]
pub fn layouts() -> &'static [&'static dyn Layout] {
    &LAYOUTS
}

/// The layout with this name, if there is one.
#[must_use]
pub fn layout(name: &str) -> Option<&'static dyn Layout> {
    LAYOUTS.into_iter().find(|layout| layout.name() == name)
}

/// The layout with this name, for a name that a person wrote.
///
/// # Errors
/// [`Error::UnknownLayout`], which names the layout that may have been meant.
pub fn layout_or_error(name: &str) -> Result<&'static dyn Layout, Error> {
    layout(name).ok_or_else(|| {
        let known: Vec<&'static str> = LAYOUTS.iter().map(|layout| layout.name()).collect();
        let written = name.to_lowercase();
        let distances = known
            .iter()
            .map(|&known| (strsim::damerau_levenshtein(known, &written), known));
        let nearest = distances.min().filter(|(distance, _)| *distance <= 2);
        Error::UnknownLayout {
            name: name.to_owned(),
            near: nearest.map(|(_, name)| name),
            known,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::testing::Fixture;

    #[test]
    fn names_are_unique_and_all_are_described() {
        for (index, layout) in layouts().iter().enumerate() {
            let name = layout.name();
            assert!(!layouts()[..index].iter().any(|other| other.name() == name));
            assert!(
                !layout.title().is_empty() && layout.describe().contains('\n'),
                "{name}"
            );
            assert!(super::layout(name).is_some());
        }
        assert!(layout("imagenet").is_none());
        let near = |name: &str| match layout_or_error(name) {
            Err(Error::UnknownLayout { near, .. }) => near,
            _ => panic!("{name} is taken for a layout"),
        };
        assert_eq!(near("MVTEK"), Some("mvtec"));
        assert_eq!(near("imagenet"), None);
    }

    /// Whatever the layout, a folder of something else is an error that says what was expected, and
    /// so is one that does not exist.
    #[test]
    fn other_folders_are_refused() {
        let fixture = Fixture::new();
        fixture.text("notes/readme.txt", "nothing here");
        fixture.picture("notes/deeper/still/photo.png", 4, 4);
        for layout in layouts() {
            let name = layout.name();
            let error = layout
                .read(fixture.root(), &Options::default())
                .unwrap_err();
            assert!(
                matches!(&error, Error::Layout { layout, .. } if *layout == name),
                "{name}: {error}"
            );
            let missing = fixture.root().join("missing");
            assert!(
                layout.read(&missing, &Options::default()).is_err(),
                "{name}"
            );
        }
    }
}
