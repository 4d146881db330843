//! Whether samples are still the same.

use std::path::Path;
use std::time::UNIX_EPOCH;

use vcp_files::Sha256;

use crate::{MaskSource, Sample};

/// A digest that changes when images are added or taken away, when labels, types or masks change,
/// or when a file changes its length or time. Contents are not read.
#[must_use]
pub fn digest_of_listing<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> String {
    let stamp = |path: Option<&Path>| {
        let metadata = std::fs::metadata(path?).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((metadata.len(), changed.as_nanos()))
    };
    let mut hasher = Sha256::new();
    for sample in samples {
        let Sample {
            id,
            image,
            mask,
            label,
            defect,
            ..
        } = sample;
        // Not the folders: the same data set may be named in several ways.
        let rule = match mask {
            MaskSource::File { rule, .. } => format!("{rule:?}"),
            MaskSource::Files { paths, rule } => {
                let stamps: Vec<_> = paths.iter().map(|path| stamp(Some(path))).collect();
                format!("{rule:?} {stamps:?}")
            }
            MaskSource::Ellipse { ellipse, .. } => format!("{ellipse:?}"),
            MaskSource::None => "none".to_owned(),
            MaskSource::Unknown => "unknown".to_owned(),
            MaskSource::Labelme { .. } => "labelme".to_owned(),
        };
        let name = mask.path().and_then(Path::file_name);
        let (image, mask) = (stamp(Some(image)), stamp(mask.path()));
        let facts = (id, label, defect, rule, name, image, mask);
        hasher.update(format!("{facts:?}\n"));
    }
    hasher.hexadecimal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn every_change_of_a_sample_shows() {
        let fixture = Fixture::new();
        fixture.picture("bolt/train/good/0.png", 4, 4);
        fixture.picture("bolt/test/bent/0.png", 4, 4);
        fixture.mask("bolt/ground_truth/bent/0_mask.png", 4, 4, 3);
        let samples = fixture.read("mvtec").samples;
        let before = digest_of_listing(&samples);
        assert_eq!(digest_of_listing(&fixture.read("mvtec").samples), before);
        assert_ne!(digest_of_listing(&samples[1..]), before);
        let mut relabelled = samples.clone();
        relabelled[0].defect = "rust".to_owned();
        assert_ne!(digest_of_listing(&relabelled), before);
        let mut unmasked = samples.clone();
        for sample in &mut unmasked {
            sample.mask = MaskSource::Unknown;
        }
        assert_ne!(digest_of_listing(&unmasked), before);
        // The file itself is not read, but has another length.
        fixture.text("bolt/ground_truth/bent/0_mask.png", "x");
        assert_ne!(digest_of_listing(&samples), before);
    }
}
