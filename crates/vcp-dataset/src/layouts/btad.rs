//! `beanTech` Anomaly Detection (<https://github.com/pankajmishra000/VT-ADL>).

use std::path::Path;

use super::class_tree::ClassTree;
use crate::{Dataset, Error, Layout, Options};

pub(super) struct Btad;

const TREE: ClassTree = ClassTree {
    categories: &["01", "02", "03"],
    normal: "ok",
    suffixes: &["", "_mask"],
};

impl Layout for Btad {
    fn name(&self) -> &'static str {
        "btad"
    }

    fn title(&self) -> &'static str {
        "beanTech Anomaly Detection (BTAD)"
    }

    fn describe(&self) -> &'static str {
        "ROOT/01/train/ok/0000.bmp
ROOT/01/test/ok/0000.bmp
ROOT/01/test/ko/0000.bmp
ROOT/01/ground_truth/ko/0000.png
ROOT is the archive's BTech_Dataset_transformed, or holds it. Endings differ between the products and
between images and masks; names decide. Every mask value above 0 is defect."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        TREE.read(self, root)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Label, MaskSource};

    #[test]
    fn endings_differ_and_masks_of_normal_images_are_no_surprise() {
        let fixture = Fixture::new();
        let top = "BTech_Dataset_transformed";
        for image in [
            "03/train/ok/0000.bmp",
            "01/train/ok/105.bmp",
            "01/test/ok/0001.bmp",
        ] {
            fixture.picture(&format!("{top}/{image}"), 5, 5);
        }
        fixture.picture(&format!("{top}/01/test/ko/0000.bmp"), 5, 5);
        fixture.mask(&format!("{top}/01/ground_truth/ko/0000.png"), 5, 5, 2);
        fixture.mask(&format!("{top}/01/ground_truth/ok/0001.png"), 5, 5, 0);
        fixture.picture(&format!("{top}/01/train/ok/0001.bmp"), 5, 5);
        fixture.picture(&format!("{top}/03/test/ko/0000.BMP"), 5, 5);
        fixture.mask(&format!("{top}/03/ground_truth/ko/0000.bmp"), 5, 5, 2);

        let dataset = fixture.read("btad");
        assert_eq!(
            summary(&dataset),
            "train 01 good 01/train/ok/0001.bmp -
             train 01 good 01/train/ok/105.bmp -
             test 01 ko 01/test/ko/0000.bmp 01/ground_truth/ko/0000.png
             test 01 good 01/test/ok/0001.bmp 01/ground_truth/ok/0001.png
             train 03 good 03/train/ok/0000.bmp -
             test 03 ko 03/test/ko/0000.BMP 03/ground_truth/ko/0000.bmp"
        );
        assert_eq!(dataset.problems, []);
        assert_eq!(dataset.root, fixture.path(top));
        assert_eq!(dataset.samples[0].label, Label::Normal);
        assert!(matches!(dataset.samples[1].mask, MaskSource::None));
    }
}
