//! What every device of [`vcp_model::Operations`] has to do, and a device to test its users with.

mod probe;

pub use probe::{Probe, ProbeTensor};
