//! Rail Surface Discrete Defects (Gan et al. 2017, A hierarchical extractor-based visual rail surface
//! inspection system).

use std::path::Path;

use crate::pairing::MaskFolder;
use crate::{Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Sample, Split, files};

pub(super) struct Rsdds;

const IMAGES: &str = "Rail surface images";
const MASKS: &str = "GroundTruth";
const SUFFIXES: [&str; 2] = ["", "_gt"];

fn is_type(folder: &Path) -> bool {
    folder.join(IMAGES).is_dir() && folder.join(MASKS).is_dir()
}

impl Layout for Rsdds {
    fn name(&self) -> &'static str {
        "rsdds"
    }

    fn title(&self) -> &'static str {
        "Rail Surface Discrete Defects (RSDDs), types I and II"
    }

    fn describe(&self) -> &'static str {
        "ROOT/Type-I RSDDs dataset/Rail surface images/rail_1.jpg
ROOT/Type-I RSDDs dataset/GroundTruth/rail_1.jpg
ROOT/Type-II RSDDs dataset/...
Two categories, Type-I and Type-II. All images are anomalous. Masks are JPEG: values above 127 are
defect."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        let fits = |folder: &Path| {
            is_type(folder)
                || files::list(folder)
                    .is_ok_and(|listing| listing.folders.iter().any(|folder| is_type(folder)))
        };
        let root = files::find_root(root, fits)?.ok_or_else(|| Error::Layout {
            layout: self.name(),
            root: root.to_owned(),
            found: format!("no folder in it has the folders '{IMAGES}' and '{MASKS}'"),
            expected: self.describe(),
        })?;
        let mut dataset = Dataset::new(self.name(), &root);
        dataset.notes.push(
            "RSDDs has no normal images, so that figures per image are undefined.".to_owned(),
        );
        let types = if is_type(&root) {
            vec![root.clone()]
        } else {
            files::folders(&root, &mut dataset.problems)?
        };
        for folder in types.iter().filter(|folder| is_type(folder)) {
            let name = files::folder_name(folder, self.name());
            let category = name.split(" RSDDs").next().unwrap_or(&name);
            let mut masks = MaskFolder::read(&folder.join(MASKS), &mut dataset.problems)?;
            for image in files::images(&folder.join(IMAGES), &mut dataset.problems)? {
                let mask = masks.require(&image, &SUFFIXES, &mut dataset.problems);
                dataset.samples.push(Sample {
                    id: files::id(&root, &image),
                    image,
                    mask: mask.map_or(MaskSource::Unknown, |path| MaskSource::File {
                        path,
                        rule: MaskRule::AboveHalf,
                    }),
                    label: Label::Anomalous,
                    category: category.to_owned(),
                    defect: "defect".to_owned(),
                    split: Split::Unassigned,
                    group: None,
                });
            }
            masks.finish(&folder.join(IMAGES), &SUFFIXES, &mut dataset.problems);
        }
        Ok(dataset)
    }
}

#[cfg(test)]
mod tests {
    use vcp_image::DecodeOptions;

    use crate::Problem;
    use crate::testing::{Fixture, defect_pixels, summary};

    #[test]
    fn masks_are_jpeg() {
        let fixture = Fixture::new();
        for kind in ["Type-II", "Type-I"] {
            let folder = format!("RSDDs dataset/{kind} RSDDs dataset");
            fixture.picture(&format!("{folder}/Rail surface images/rail_1.jpg"), 16, 40);
            fixture.mask(&format!("{folder}/GroundTruth/rail_1.jpg"), 16, 40, 16 * 13);
        }
        let folder = "RSDDs dataset/Type-I RSDDs dataset";
        fixture.picture(&format!("{folder}/Rail surface images/rail_2.jpg"), 16, 40);
        let dataset = fixture.read("rsdds");
        assert_eq!(
            summary(&dataset).replace(" RSDDs dataset/", "/"),
            "unassigned Type-I defect Type-I/Rail surface images/rail_1.jpg Type-I/GroundTruth/rail_1.jpg
             unassigned Type-I defect Type-I/Rail surface images/rail_2.jpg ?
             unassigned Type-II defect Type-II/Rail surface images/rail_1.jpg Type-II/GroundTruth/rail_1.jpg"
        );
        assert!(matches!(
            dataset.problems[..],
            [Problem::MissingMask { .. }]
        ));
        // The specks that JPEG leaves along the edge are not defect.
        let options = DecodeOptions::default();
        let mask = dataset.samples[0].load_mask(16, 40, &options).unwrap();
        assert_eq!(defect_pixels(mask.pixels()), 16 * 13);
        assert!(dataset.samples[1].load_mask(16, 40, &options).is_err());
    }
}
