//! Names of defect types that every layout gives.

/// The defect type of normal images, in every layout.
pub(crate) const GOOD: &str = "good";
/// The defect type of anomalous images whose layout names none.
pub(crate) const ANOMALY: &str = "anomaly";
