//! The two data sets that the official VCP-CLIP code trains on.

use std::fmt;

use crate::Dataset;

/// The categories of MVTec-AD in their official order.
pub(crate) const MVTEC: [&str; 15] = [
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
];

/// The categories of `VisA` in their official order.
pub(crate) const VISA: [&str; 12] = [
    "candle",
    "capsules",
    "cashew",
    "chewinggum",
    "fryum",
    "macaroni1",
    "macaroni2",
    "pcb1",
    "pcb2",
    "pcb3",
    "pcb4",
    "pipe_fryum",
];

/// A data set for which the official code has a recipe of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Official {
    /// MVTec-AD.
    Mvtec,
    /// `VisA`.
    Visa,
}

/// How an official data set was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecognisedBy {
    /// The data set lies as it was downloaded.
    Layout,
    /// The list's name says so: `meta_mvtec.json`, `meta_visa.json`.
    Name,
    /// The data set has only categories of the official one.
    Categories,
}

impl Official {
    /// Which of them a data set is that was read with the layout of this name, and by what it is
    /// known; nothing if it is neither. Of the layouts for data of any kind, only `meta` is looked
    /// into, since it is how the official code has its data.
    #[must_use]
    pub fn recognise(layout: &str, dataset: &Dataset) -> Option<(Self, RecognisedBy)> {
        match layout {
            "mvtec" => return Some((Self::Mvtec, RecognisedBy::Layout)),
            "visa" => return Some((Self::Visa, RecognisedBy::Layout)),
            "meta" => {}
            _ => return None,
        }
        match dataset.name.to_ascii_lowercase().as_str() {
            "mvtec" => return Some((Self::Mvtec, RecognisedBy::Name)),
            "visa" => return Some((Self::Visa, RecognisedBy::Name)),
            _ => {}
        }
        let categories = dataset.categories();
        let are_all_in = |known: &[&str]| {
            !categories.is_empty() && categories.iter().all(|name| known.contains(&name.as_str()))
        };
        if are_all_in(&MVTEC) {
            Some((Self::Mvtec, RecognisedBy::Categories))
        } else if are_all_in(&VISA) {
            Some((Self::Visa, RecognisedBy::Categories))
        } else {
            None
        }
    }
}

impl fmt::Display for Official {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Mvtec => "MVTec-AD",
            Self::Visa => "VisA",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use crate::{Options, layout};

    /// What is recognised in a list of one image of this category.
    fn recognised(list: &str, category: &str) -> Option<(Official, RecognisedBy)> {
        let fixture = Fixture::new();
        fixture.picture("1.png", 4, 4);
        let entry = r#"{"img_path": "1.png", "anomaly": 0}"#;
        fixture.text(list, &format!(r#"{{"test": {{"{category}": [{entry}]}}}}"#));
        let meta = layout("meta").unwrap();
        let dataset = meta.read(fixture.root(), &Options::default()).unwrap();
        Official::recognise("meta", &dataset)
    }

    #[test]
    fn lists_of_the_official_code_are_known_by_name_or_categories() {
        let by_name = RecognisedBy::Name;
        let by_categories = RecognisedBy::Categories;
        for (list, category, expected) in [
            ("meta_mvtec.json", "gear", Some((Official::Mvtec, by_name))),
            ("meta_visa.json", "bottle", Some((Official::Visa, by_name))),
            (
                "meta.json",
                "bottle",
                Some((Official::Mvtec, by_categories)),
            ),
            (
                "meta_own.json",
                "pcb3",
                Some((Official::Visa, by_categories)),
            ),
            ("meta_mvtec_loco.json", "splicing_connectors", None),
            ("meta.json", "gear", None),
        ] {
            assert_eq!(recognised(list, category), expected, "{list} {category}");
        }
    }
}
