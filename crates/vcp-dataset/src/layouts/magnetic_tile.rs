//! Magnetic tile defects (<https://github.com/abin24/Magnetic-tile-defect-datasets.>).

use std::path::{Path, PathBuf};

use crate::names::GOOD;
use crate::pairing::MaskFolder;
use crate::{Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Sample, Split, files};

pub(super) struct MagneticTile;

const PREFIX: &str = "MT_";
const NORMAL: &str = "free";

/// `blowhole` for `MT_Blowhole`, if it has a folder of images.
fn defect(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    folder.join("Imgs").is_dir().then(|| name.to_lowercase())
}

impl Layout for MagneticTile {
    fn name(&self) -> &'static str {
        "magnetic-tile"
    }

    fn title(&self) -> &'static str {
        "Magnetic tile surface defects (MT)"
    }

    fn describe(&self) -> &'static str {
        "ROOT/MT_Blowhole/Imgs/exp1_num_108719.jpg
ROOT/MT_Blowhole/Imgs/exp1_num_108719.png
ROOT/MT_Free/Imgs/...
Photos (jpg) and masks (png) lie side by side. One category, magnetic_tile; the folder is the defect
type, MT_Free is normal. Masks have soft edges: values above 127 are defect. No split."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        let fits = |folder: &Path| {
            files::list(folder).is_ok_and(|listing| {
                listing
                    .folders
                    .iter()
                    .any(|folder| defect(folder).is_some())
            })
        };
        let root = files::find_root(root, fits)?.ok_or_else(|| Error::Layout {
            layout: self.name(),
            root: root.to_owned(),
            found: "there is no folder 'MT_…' with a folder 'Imgs'".to_owned(),
            expected: self.describe(),
        })?;
        let mut dataset = Dataset::new(self.name(), &root);
        for folder in files::folders(&root, &mut dataset.problems)? {
            let Some(defect) = defect(&folder) else {
                continue;
            };
            let is_normal = defect == NORMAL;
            let folder = folder.join("Imgs");
            let is_mask = |path: &PathBuf| files::ending(path).as_deref() == Some("png");
            let (masks, images) = files::images(&folder, &mut dataset.problems)?
                .into_iter()
                .partition(is_mask);
            let mut masks = MaskFolder::new(&folder, masks);
            let images: Vec<PathBuf> = images;
            for image in images {
                let mask = if is_normal {
                    masks.find(&image, &[""], &mut dataset.problems)
                } else {
                    masks.require(&image, &[""], &mut dataset.problems)
                };
                let (label, without) = if is_normal {
                    (Label::Normal, MaskSource::None)
                } else {
                    (Label::Anomalous, MaskSource::Unknown)
                };
                dataset.samples.push(Sample {
                    id: files::id(&root, &image),
                    image,
                    mask: mask.map_or(without, |path| MaskSource::File {
                        path,
                        rule: MaskRule::AboveHalf,
                    }),
                    label,
                    category: "magnetic_tile".to_owned(),
                    defect: if is_normal {
                        GOOD.to_owned()
                    } else {
                        defect.clone()
                    },
                    split: Split::Unassigned,
                    group: None,
                });
            }
            masks.finish(&folder, &[], &mut dataset.problems);
        }
        Ok(dataset)
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};
    use vcp_image::DecodeOptions;

    use crate::Problem;
    use crate::testing::{Fixture, summary};

    #[test]
    fn photos_and_masks_lie_side_by_side() {
        let fixture = Fixture::new();
        let top = "Magnetic-tile-defect-datasets.-master";
        for image in [
            "MT_Blowhole/Imgs/exp1_num_1",
            "MT_Free/Imgs/exp1_num_2",
            "MT_Crack/Imgs/exp4 num 3",
        ] {
            fixture.picture(&format!("{top}/{image}.jpg"), 8, 8);
        }
        fixture.text(&format!("{top}/README.md"), "read me");
        // Soft edges.
        let soft = GrayImage::from_fn(8, 8, |x, _| Luma([(x * 30) as u8]));
        fixture.save(
            &format!("{top}/MT_Blowhole/Imgs/exp1_num_1.png"),
            &soft.into(),
        );
        fixture.mask(&format!("{top}/MT_Free/Imgs/exp1_num_2.png"), 8, 8, 0);
        fixture.mask(&format!("{top}/MT_Free/Imgs/exp1_num_9.png"), 8, 8, 0);
        let dataset = fixture.read("magnetic-tile");
        assert_eq!(
            summary(&dataset),
            "unassigned magnetic_tile blowhole MT_Blowhole/Imgs/exp1_num_1.jpg MT_Blowhole/Imgs/exp1_num_1.png
             unassigned magnetic_tile crack MT_Crack/Imgs/exp4 num 3.jpg ?
             unassigned magnetic_tile good MT_Free/Imgs/exp1_num_2.jpg MT_Free/Imgs/exp1_num_2.png"
        );
        assert!(matches!(
            dataset.problems[..],
            [Problem::MissingMask { .. }, Problem::ExtraMask { .. }]
        ));
        let mask = dataset.samples[0]
            .load_mask(8, 8, &DecodeOptions::default())
            .unwrap();
        assert_eq!(mask.row(0), [0, 0, 0, 0, 0, 255, 255, 255]);
    }
}
