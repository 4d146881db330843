//! The words by which people call good photos, bad ones and masks: as names of folders, and in lists.

use crate::Label;

const NORMAL: [&str; 12] = [
    "normal",
    "normals",
    "good",
    "ok",
    "okay",
    "pass",
    "passed",
    "defect_free",
    "defectfree",
    "no_defect",
    "non_defective",
    "non_anomalous",
];
const ANOMALOUS: [&str; 21] = [
    "anomalous",
    "anomaly",
    "anomalies",
    "abnormal",
    "abnormals",
    "abnormality",
    "abnormalities",
    "defect",
    "defects",
    "defective",
    "defected",
    "bad",
    "ng",
    "nok",
    "not_ok",
    "not_good",
    "ko",
    "fail",
    "failed",
    "faulty",
    "reject",
];
const MASKS: [&str; 13] = [
    "mask",
    "masks",
    "ground_truth",
    "ground_truths",
    "groundtruth",
    "groundtruths",
    "gt",
    "gts",
    "label",
    "labels",
    "annotation",
    "annotations",
    "segmentation",
];

/// What may stand at the end of a mask's name, after a `_`, `-`, `.` or space.
const SUFFIXES: [&str; 9] = [
    "mask",
    "masks",
    "ground_truth",
    "groundtruth",
    "gt",
    "label",
    "labels",
    "seg",
    "segmentation",
];
/// Folders that hold images, and say no more.
const IMAGES: [&str; 8] = [
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures",
];

/// One spelling of a word: `Not-Good`, `not good` and `NOT_GOOD` are the same.
fn plain(word: &str) -> String {
    word.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Whether a folder of this name, in any case, holds good photos or bad ones.
pub(crate) fn label(word: &str) -> Option<Label> {
    let word = plain(word);
    if NORMAL.contains(&word.as_str()) {
        Some(Label::Normal)
    } else if ANOMALOUS.contains(&word.as_str()) {
        Some(Label::Anomalous)
    } else {
        None
    }
}

/// Whether a folder of this name, in any case, holds masks.
pub(crate) fn means_masks(word: &str) -> bool {
    MASKS.contains(&plain(word).as_str())
}

/// Whether a folder of this name, in any case, holds images of whatever kind.
pub(crate) fn means_images(word: &str) -> bool {
    IMAGES.contains(&plain(word).as_str())
}

/// The name of the image to which a mask of this name belongs, if the name ends as masks' names do:
/// `x` for `x_mask`, `x-GT` or `x.label`. All without ending.
pub(crate) fn image_of_mask(stem: &str) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| {
        let at = stem.len().checked_sub(suffix.len() + 1)?;
        let (image, end) = (stem.get(..at)?, stem.get(at..)?);
        let fits =
            end.starts_with(['_', '-', '.', ' ']) && end.get(1..)?.eq_ignore_ascii_case(suffix);
        (fits && !image.is_empty()).then_some(image)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_and_any_separator() {
        for word in ["OK", "Good", "defect-free", "No Defect", " normal "] {
            assert_eq!(label(word), Some(Label::Normal), "{word}");
        }
        for word in ["NG", "Bad", "ANOMALIES", "not-ok", "Not Good", "Defective"] {
            assert_eq!(label(word), Some(Label::Anomalous), "{word}");
        }
        for word in ["Masks", "GroundTruth", "ground-truth", "GT", "Label"] {
            assert!(means_masks(word) && label(word).is_none(), "{word}");
        }
        for word in ["", "scratch", "goods", "bottle", "0"] {
            assert!(label(word).is_none() && !means_masks(word), "{word}");
        }
    }

    #[test]
    fn names_of_masks() {
        for (mask, image) in [
            ("x_mask", Some("x")),
            ("a b-GT", Some("a b")),
            ("x.mask", Some("x")),
            ("x_ground_truth", Some("x")),
            ("ü_Label", Some("ü")),
            ("x", None),
            ("xmask", None),
            ("_mask", None),
            ("ümasks", None),
        ] {
            assert_eq!(image_of_mask(mask), image, "{mask}");
        }
    }
}
