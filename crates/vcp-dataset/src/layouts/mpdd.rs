//! Metal Parts Defect Detection (<https://github.com/stepanje/MPDD>).

use std::path::Path;

use super::class_tree::ClassTree;
use crate::{Dataset, Error, Layout, Options};

pub(super) struct Mpdd;

const TREE: ClassTree = ClassTree {
    categories: &[
        "bracket_black",
        "bracket_brown",
        "bracket_white",
        "connector",
        "metal_plate",
        "tubes",
    ],
    normal: "good",
    suffixes: &["_mask", ""],
};

impl Layout for Mpdd {
    fn name(&self) -> &'static str {
        "mpdd"
    }

    fn title(&self) -> &'static str {
        "Metal Parts Defect Detection (MPDD)"
    }

    fn describe(&self) -> &'static str {
        "ROOT/bracket_black/train/good/000.png
ROOT/bracket_black/test/good/000.png
ROOT/bracket_black/test/hole/000.png
ROOT/bracket_black/ground_truth/hole/000_mask.png
As mvtec. ROOT may hold the archive's top folder. Every mask value above 0 is defect."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        TREE.read(self, root)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};

    #[test]
    fn read() {
        let fixture = Fixture::new();
        fixture.picture("MPDD/tubes/train/good/000.png", 5, 5);
        fixture.picture("MPDD/tubes/test/anomalous/000.png", 5, 5);
        fixture.mask("MPDD/tubes/ground_truth/anomalous/000_mask.png", 5, 5, 2);
        fixture.picture("MPDD/connector/test/good/000.png", 5, 5);
        let dataset = fixture.read("mpdd");
        assert_eq!(
            summary(&dataset),
            "test connector good connector/test/good/000.png -
             train tubes good tubes/train/good/000.png -
             test tubes anomalous tubes/test/anomalous/000.png tubes/ground_truth/anomalous/000_mask.png"
        );
        assert_eq!(dataset.problems, []);
    }
}
