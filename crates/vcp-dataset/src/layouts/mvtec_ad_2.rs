//! `MVTec` AD 2 (<https://www.mvtec.com/company/research/datasets/mvtec-ad-2>).

use std::path::Path;

use super::class_tree::ClassTree;
use crate::{Dataset, Error, Layout, Options};

pub(super) struct MvtecAd2;

const TREE: ClassTree = ClassTree {
    categories: &[
        "can",
        "fabric",
        "fruit_jelly",
        "rice",
        "sheet_metal",
        "vial",
        "wallplugs",
        "walnuts",
    ],
    normal: "good",
    suffixes: &["_mask", ""],
};

impl Layout for MvtecAd2 {
    fn name(&self) -> &'static str {
        "mvtec-ad-2"
    }

    fn title(&self) -> &'static str {
        "MVTec AD 2, as far as it is told what its images show"
    }

    fn describe(&self) -> &'static str {
        "ROOT/can/train/good/000_regular.png
ROOT/can/validation/good/000_regular.png
ROOT/can/test_public/good/000_regular.png
ROOT/can/test_public/bad/000_regular.png
ROOT/can/test_public/ground_truth/bad/000_regular_mask.png
test_public is the test split. What lies in test_private and test_private_mixed is counted and skipped:
only the data set's makers know what it shows. Every mask value above 0 is defect. --dataset mvtec reads
this too."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        TREE.read(self, root)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Options, layout};

    #[test]
    fn the_public_test_split_is_read_and_private_ones_are_named() {
        let fixture = Fixture::new();
        for image in [
            "train/good/000_regular",
            "validation/good/001_regular",
            "test_public/good/002_regular",
            "test_public/bad/003_regular",
            "test_public/bad/003_shift_1",
            "test_private/004_regular",
            "test_private_mixed/005_mixed",
        ] {
            fixture.picture(&format!("mvtec_ad_2/rice/{image}.png"), 4, 4);
        }
        let truth = "mvtec_ad_2/rice/test_public/ground_truth/bad";
        fixture.mask(&format!("{truth}/003_regular_mask.png"), 4, 4, 1);
        fixture.mask(&format!("{truth}/003_shift_1_mask.png"), 4, 4, 1);
        for name in ["mvtec-ad-2", "mvtec"] {
            let dataset = layout(name)
                .unwrap()
                .read(fixture.root(), &Options::default())
                .unwrap();
            assert_eq!(
                summary(&dataset).replace("rice/", ""),
                "train rice good train/good/000_regular.png -
             validation rice good validation/good/001_regular.png -
             test rice bad test_public/bad/003_regular.png test_public/ground_truth/bad/003_regular_mask.png
             test rice bad test_public/bad/003_shift_1.png test_public/ground_truth/bad/003_shift_1_mask.png
             test rice good test_public/good/002_regular.png -"
            );
            assert_eq!(dataset.problems, []);
            assert!(
                matches!(&dataset.notes[..], [note] if note.starts_with("2 images of 'rice' are skipped")),
                "{:?}",
                dataset.notes
            );
        }
    }
}
