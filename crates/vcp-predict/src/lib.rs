//! From a photo to a defect map and a score: the one Predictor.
