//! `MVTec` LOCO AD (<https://www.mvtec.com/company/research/datasets/mvtec-loco>).

use std::path::Path;

use super::class_tree::ClassTree;
use crate::{Dataset, Error, Layout, Options};

pub(super) struct MvtecLoco;

const TREE: ClassTree = ClassTree {
    categories: &[
        "breakfast_box",
        "juice_bottle",
        "pushpins",
        "screw_bag",
        "splicing_connectors",
    ],
    normal: "good",
    suffixes: &["_mask", ""],
};

impl Layout for MvtecLoco {
    fn name(&self) -> &'static str {
        "mvtec-loco"
    }

    fn title(&self) -> &'static str {
        "MVTec LOCO AD: logical and structural anomalies"
    }

    fn describe(&self) -> &'static str {
        "ROOT/breakfast_box/train/good/000.png
ROOT/breakfast_box/validation/good/000.png
ROOT/breakfast_box/test/good/000.png
ROOT/breakfast_box/test/logical_anomalies/000.png
ROOT/breakfast_box/test/structural_anomalies/000.png
ROOT/breakfast_box/ground_truth/logical_anomalies/000/000.png
A folder of masks for each image; a pixel is defect if it is above 0 in any of them. --dataset mvtec
reads this too. The data set's own figure, sPRO, is not computed."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        TREE.read(self, root)
    }
}

#[cfg(test)]
mod tests {
    use vcp_image::DecodeOptions;

    use crate::testing::{Fixture, defect_pixels, summary};
    use crate::{Options, Problem, layout};

    fn build() -> Fixture {
        let fixture = Fixture::new();
        for image in [
            "train/good/000",
            "validation/good/000",
            "test/good/000",
            "test/logical_anomalies/000",
            "test/logical_anomalies/001",
            "test/structural_anomalies/000",
        ] {
            fixture.picture(&format!("pushpins/{image}.png"), 8, 4);
        }
        fixture.text("pushpins/defects_config.json", "[]");
        let truth = "pushpins/ground_truth";
        fixture.mask_of(
            &format!("{truth}/logical_anomalies/000/000.png"),
            8,
            4,
            2,
            251,
        );
        // Shares two pixels with the first.
        fixture.mask_of(
            &format!("{truth}/logical_anomalies/000/001.png"),
            8,
            4,
            5,
            1,
        );
        fixture.mask(
            &format!("{truth}/structural_anomalies/000/000.png"),
            8,
            4,
            3,
        );
        fixture.mask(
            &format!("{truth}/structural_anomalies/007/000.png"),
            8,
            4,
            3,
        );
        fixture
    }

    #[test]
    fn masks_of_an_image_lie_in_a_folder_and_are_united() {
        let fixture = build();
        let dataset = fixture.read("mvtec-loco");
        assert_eq!(
            summary(&dataset).replace("pushpins/", ""),
            "train pushpins good train/good/000.png -
             validation pushpins good validation/good/000.png -
             test pushpins good test/good/000.png -
             test pushpins logical_anomalies test/logical_anomalies/000.png ground_truth/logical_anomalies/000/000.png
             test pushpins logical_anomalies test/logical_anomalies/001.png ?
             test pushpins structural_anomalies test/structural_anomalies/000.png ground_truth/structural_anomalies/000/000.png"
        );
        let mask = dataset.samples[3]
            .load_mask(8, 4, &DecodeOptions::default())
            .unwrap();
        assert_eq!(defect_pixels(mask.pixels()), 5);
        assert_eq!(
            dataset.problems,
            [
                Problem::MissingMask {
                    image: fixture.path("pushpins/test/logical_anomalies/001.png"),
                    expected: fixture.path("pushpins/ground_truth/logical_anomalies/001_mask.png"),
                },
                Problem::ExtraMask {
                    mask: fixture.path("pushpins/ground_truth/structural_anomalies/007"),
                    expected: fixture.path("pushpins/test/structural_anomalies/007"),
                },
            ]
        );
    }

    #[test]
    fn it_is_read_as_mvtec_too() {
        let fixture = build();
        let samples = |name: &str| {
            let layout = layout(name).unwrap();
            layout
                .read(fixture.root(), &Options::default())
                .unwrap()
                .samples
        };
        assert_eq!(samples("mvtec"), samples("mvtec-loco"));
    }
}
