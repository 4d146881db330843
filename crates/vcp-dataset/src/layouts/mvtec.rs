//! MVTec-AD (<https://www.mvtec.com/company/research/datasets/mvtec-ad>), and everything else that
//! people lay out like it.

use std::path::Path;

use super::class_tree::ClassTree;
use crate::official::MVTEC;
use crate::{Dataset, Error, Layout, Options};

pub(super) struct Mvtec;

const TREE: ClassTree = ClassTree {
    categories: &MVTEC,
    normal: "good",
    suffixes: &["_mask", ""],
};

impl Layout for Mvtec {
    fn name(&self) -> &'static str {
        "mvtec"
    }

    fn title(&self) -> &'static str {
        "MVTec-AD, and own data laid out like it"
    }

    fn describe(&self) -> &'static str {
        "ROOT/bottle/train/good/000.png
ROOT/bottle/test/good/000.png
ROOT/bottle/test/broken_large/000.png
ROOT/bottle/ground_truth/broken_large/000_mask.png   (or 000.png)
One folder per category; under test/ one per defect type, whose masks have the image's name. validation/
may lie beside train/. Folders called OK, normal and the like hold normal images, as good/ does. Every
mask value above 0 is defect. MVTec LOCO and MVTec AD 2 are read too (mvtec-loco, mvtec-ad-2)."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        TREE.read(self, root)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{MaskRule, MaskSource, Options, Problem, layout};

    #[test]
    fn images_and_masks_pair_by_name_and_class() {
        let fixture = Fixture::new();
        // Out of alphabetical order, and one that is not official.
        for image in [
            "wood/train/good/000.png",
            "bottle/train/good/000.png",
            "ärmel/train/good/ä b.PNG",
        ] {
            fixture.picture(image, 6, 4);
        }
        fixture.text("bottle/readme.txt", "read me");
        fixture.text("bottle/.DS_Store", "");
        fixture.text("bottle/test/.DS_Store", "");
        fixture.picture("bottle/test/good/.DS_Store.png", 6, 4);
        fixture.picture("bottle/test/good/001.png", 6, 4);
        // Masks exist for 000 and 002 of the first type, and for 001 of the second.
        for image in [
            "broken_large/000",
            "broken_large/001",
            "broken_large/002",
            "contamination/001",
        ] {
            fixture.picture(&format!("bottle/test/{image}.png"), 6, 4);
        }
        fixture.mask("bottle/ground_truth/broken_large/000_mask.png", 6, 4, 3);
        fixture.mask("bottle/ground_truth/broken_large/002_mask.PNG", 6, 4, 3);
        fixture.mask("bottle/ground_truth/contamination/001.png", 6, 4, 3);
        // One mask that belongs to nothing, and a type without images.
        fixture.mask("bottle/ground_truth/contamination/007_mask.png", 6, 4, 3);
        fixture.mask("bottle/ground_truth/unheard/000_mask.png", 6, 4, 3);
        fixture.picture("bottle/test/lost.png", 6, 4);

        let dataset = fixture.read("mvtec");
        assert_eq!(
            summary(&dataset),
            "train bottle good bottle/train/good/000.png -
             test bottle broken_large bottle/test/broken_large/000.png bottle/ground_truth/broken_large/000_mask.png
             test bottle broken_large bottle/test/broken_large/001.png ?
             test bottle broken_large bottle/test/broken_large/002.png bottle/ground_truth/broken_large/002_mask.PNG
             test bottle contamination bottle/test/contamination/001.png bottle/ground_truth/contamination/001.png
             test bottle good bottle/test/good/001.png -
             train wood good wood/train/good/000.png -
             train ärmel good ärmel/train/good/ä b.PNG -"
        );
        assert!(matches!(
            dataset.samples[1].mask,
            MaskSource::File {
                rule: MaskRule::AboveZero,
                ..
            }
        ));
        assert_eq!(
            dataset.problems,
            [
                Problem::UnplacedImage {
                    image: fixture.path("bottle/test/lost.png")
                },
                Problem::MissingMask {
                    image: fixture.path("bottle/test/broken_large/001.png"),
                    expected: fixture.path("bottle/ground_truth/broken_large/001_mask.png"),
                },
                Problem::ExtraMask {
                    mask: fixture.path("bottle/ground_truth/contamination/007_mask.png"),
                    expected: fixture.path("bottle/test/contamination/007"),
                },
                Problem::ExtraMask {
                    mask: fixture.path("bottle/ground_truth/unheard/000_mask.png"),
                    expected: fixture.path("bottle/test/unheard/000"),
                },
            ]
        );
    }

    #[test]
    fn an_archives_top_folder_and_a_single_category_will_do() {
        let fixture = Fixture::new();
        fixture.picture("mvtec_anomaly_detection/tile/test/good/000.png", 4, 4);
        let mvtec = layout("mvtec").unwrap();
        for root in [
            "",
            "mvtec_anomaly_detection",
            "mvtec_anomaly_detection/tile",
        ] {
            let dataset = mvtec
                .read(&fixture.path(root), &Options::default())
                .unwrap();
            assert_eq!(dataset.samples.len(), 1, "{root}");
            assert_eq!(dataset.samples[0].category, "tile", "{root}");
        }
    }

    #[test]
    fn splits_in_any_case_other_words_for_good_and_folders_that_have_no_place() {
        let fixture = Fixture::new();
        for image in [
            "Train/OK/0.png",
            "Validation/OK/1.png",
            "Test/OK/2.png",
            "Test/NG/3.png",
            "Test/NG/deeper/4.png",
            "more/5.png",
        ] {
            fixture.picture(&format!("nut/{image}"), 4, 4);
        }
        fixture.mask("nut/GroundTruth/NG/3.png", 4, 4, 1);
        // A mask beside its image, and a picture that is only called like one.
        fixture.picture("nut/Test/NG/6.jpg", 4, 4);
        fixture.mask("nut/Test/NG/6-mask.png", 4, 4, 1);
        fixture.picture("nut/Test/OK/7_label.png", 4, 4);
        let dataset = fixture.read("mvtec");
        assert_eq!(
            summary(&dataset).replace("nut/", ""),
            "train nut good Train/OK/0.png -
             validation nut good Validation/OK/1.png -
             test nut NG Test/NG/3.png GroundTruth/NG/3.png
             test nut NG Test/NG/6.jpg Test/NG/6-mask.png
             test nut good Test/OK/2.png -
             test nut good Test/OK/7_label.png -"
        );
        let unused: Vec<_> = dataset
            .problems
            .iter()
            .map(|problem| match problem {
                Problem::UnusedFolder { folder, images, .. } => (folder.clone(), *images),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            unused,
            [
                (fixture.path("nut/more"), 1),
                (fixture.path("nut/Test/NG/deeper"), 1)
            ]
        );
    }

    /// A category that links to the folder it is in must not be followed for ever, and a pipe among
    /// the images must not be waited for.
    #[cfg(unix)]
    #[test]
    fn links_and_pipes_do_no_harm() {
        use std::ffi::OsStr;
        use std::os::unix::{ffi::OsStrExt, fs::symlink};

        let fixture = Fixture::new();
        fixture.picture("tile/test/good/000.png", 4, 4);
        symlink(fixture.root(), fixture.path("tile/test/self")).unwrap();
        symlink("loop", fixture.path("tile/loop")).unwrap();
        symlink("nowhere.png", fixture.path("tile/test/good/001.png")).unwrap();
        let status = std::process::Command::new("mkfifo")
            .arg(fixture.path("tile/test/good/002.png"))
            .status();
        assert!(status.unwrap().success());
        let odd = fixture
            .path("tile/test/good")
            .join(OsStr::from_bytes(b"\xff.png"));
        std::fs::copy(fixture.path("tile/test/good/000.png"), odd).unwrap();

        let dataset = fixture.read("mvtec");
        assert_eq!(
            summary(&dataset),
            "test tile good tile/test/good/000.png -
             test tile good tile/test/good/\u{fffd}.png -"
        );
        let missing = Problem::MissingFile {
            file: fixture.path("tile/test/good/001.png"),
            target: "nowhere.png".into(),
        };
        assert_eq!(dataset.problems, [missing]);
    }
}
