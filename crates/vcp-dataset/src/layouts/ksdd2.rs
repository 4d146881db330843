//! `KolektorSDD2` (<https://www.vicos.si/resources/kolektorsdd2/>).

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::names::GOOD;
use crate::pairing::MaskFolder;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    mask,
};

pub(super) struct Ksdd2;

const SPLITS: [(&str, Split); 2] = [("train", Split::Train), ("test", Split::Test)];
const SUFFIX: &str = "_GT";

fn is_mask(path: &Path) -> bool {
    files::is_image(path) && files::stem(path).ends_with(SUFFIX.as_bytes())
}

impl Layout for Ksdd2 {
    fn name(&self) -> &'static str {
        "ksdd2"
    }

    fn title(&self) -> &'static str {
        "Kolektor Surface-Defect Dataset 2 (KolektorSDD2)"
    }

    fn describe(&self) -> &'static str {
        "ROOT/train/10000.png
ROOT/train/10000_GT.png
ROOT/test/20000.png
ROOT/test/20000_GT.png
Every image has its mask beside it; it is anomalous if the mask has any value above 0, so that reading
decodes all masks. One category, ksdd2."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let fits = |folder: &Path| {
            SPLITS.iter().any(|(name, _)| {
                files::list(&folder.join(name))
                    .is_ok_and(|listing| listing.files.iter().any(|path| is_mask(path)))
            })
        };
        let root = files::find_root(root, fits)?.ok_or_else(|| Error::Layout {
            layout: self.name(),
            root: root.to_owned(),
            found: "there is no folder 'train' or 'test' with masks whose names end in _GT"
                .to_owned(),
            expected: self.describe(),
        })?;
        let mut dataset = Dataset::new(self.name(), &root);
        for (name, split) in SPLITS {
            let folder = root.join(name);
            let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) =
                files::images(&folder, &mut dataset.problems)?
                    .into_iter()
                    .partition(|path| is_mask(path));
            let mut masks = MaskFolder::new(&folder, masks);
            let pairs: Vec<(PathBuf, PathBuf)> = images
                .into_iter()
                .filter_map(|image| {
                    let mask = masks.require(&image, &[SUFFIX], &mut dataset.problems)?;
                    Some((image, mask))
                })
                .collect();
            masks.finish(&folder, &[SUFFIX], &mut dataset.problems);
            let samples: Vec<Result<Sample, Problem>> = pairs
                .into_par_iter()
                .map(|(image, mask)| sample(&root, split, image, mask, options))
                .collect();
            for sample in samples {
                match sample {
                    Ok(sample) => dataset.samples.push(sample),
                    Err(problem) => dataset.problems.push(problem),
                }
            }
        }
        Ok(dataset)
    }
}

fn sample(
    root: &Path,
    split: Split,
    image: PathBuf,
    path: PathBuf,
    options: &Options,
) -> Result<Sample, Problem> {
    let rule = MaskRule::AboveZero.or_above(options.mask_threshold);
    let pixels = match mask::decode(&path, rule, &options.decode) {
        Ok(mask) => mask.into_pixels(),
        Err(error) => {
            return Err(Problem::UnreadableMask {
                image,
                mask: path,
                reason: error.to_string(),
            });
        }
    };
    let label = if pixels.contains(&255) {
        Label::Anomalous
    } else {
        Label::Normal
    };
    Ok(Sample {
        id: files::id(root, &image),
        image,
        mask: MaskSource::File { path, rule },
        label,
        category: "ksdd2".to_owned(),
        defect: match label {
            Label::Normal => GOOD,
            Label::Anomalous => "defect",
        }
        .to_owned(),
        split,
        group: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Problem;
    use crate::testing::{Fixture, summary};

    #[test]
    fn masks_say_which_images_are_anomalous() {
        let fixture = Fixture::new();
        for image in [
            "train/10000",
            "train/10001",
            "train/10301 (1)",
            "test/20000",
            "test/20001",
        ] {
            fixture.picture(&format!("{image}.png"), 5, 8);
        }
        fixture.mask("train/10000_GT.png", 5, 8, 0);
        fixture.mask_of("train/10001_GT.png", 5, 8, 1, 1);
        fixture.mask("train/10301_GT (1).png", 5, 8, 0);
        fixture.mask_16("test/20000_GT.png", 5, 8, 1, 1);
        fixture.text("test/20001_GT.png", "not a picture");
        fixture.mask("test/20002_GT.png", 5, 8, 1);
        fixture.text("split_0.pyb", "not for us");

        let dataset = fixture.read("ksdd2");
        assert_eq!(
            summary(&dataset),
            "train ksdd2 good train/10000.png train/10000_GT.png
             train ksdd2 defect train/10001.png train/10001_GT.png
             test ksdd2 defect test/20000.png test/20000_GT.png"
        );
        // A copy's mask does not follow the pattern: it is an image without a mask, twice.
        assert_eq!(
            dataset.problems[..3],
            [
                Problem::MissingMask {
                    image: fixture.path("train/10301 (1).png"),
                    expected: fixture.path("train/10301 (1)_GT.png"),
                },
                Problem::MissingMask {
                    image: fixture.path("train/10301_GT (1).png"),
                    expected: fixture.path("train/10301_GT (1)_GT.png"),
                },
                Problem::ExtraMask {
                    mask: fixture.path("test/20002_GT.png"),
                    expected: fixture.path("test/20002"),
                },
            ]
        );
        assert!(matches!(
            &dataset.problems[3..],
            [Problem::UnreadableMask { .. }]
        ));
    }
}
