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
}
