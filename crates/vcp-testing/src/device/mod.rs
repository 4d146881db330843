//! One suite for all devices: what an implementation of [`vcp_model::Operations`] has to do, and
//! [`Probe`], a device to test the users of devices with.
//!
//! A crate that implements the operations makes tests of all of it with [`device_suite`](crate::device_suite), so
//! that no device can leave a part out; [`gradients`] is for those that have any. Each part takes a name for
//! messages and a function that makes a device, because a device may hold the parameters of one model only.
//!
//! ```
//! use std::num::NonZero;
//! use vcp_cpu::Cpu;
//!
//! /// Runs a part of the suite on each kind of this device.
//! fn each(part: impl Fn(&str, &dyn Fn() -> Cpu)) {
//!     part("CPU", &|| Cpu::new(NonZero::new(2)).expect("threads start"));
//! }
//!
//! vcp_testing::device_suite!(each);
//!
//! // Or one of them:
//! each(|name, make| vcp_testing::device::refusals(name, make));
//! ```

mod convolutional;
mod gradients;
mod layers;
mod maps;
mod operations;
mod plain;
mod probe;
mod refusals;
mod stages;

pub use convolutional::{convolutional, convolutional_weights};
pub use gradients::{Trained, WITHOUT_EFFECT, distance, features, gradients};
pub use layers::{layers, small_weights};
pub use maps::{StoredKernels, maps};
pub use operations::{broadcasting, functions, movements};
pub use plain::Plain;
pub use probe::{Probe, ProbeTensor};
pub use refusals::refusals;
pub use stages::{batches, stages};

/// A test for each part of the suite that holds for all devices: every operation against a plain statement of it
/// on shapes drawn at random (`broadcasting`, `movements`, `functions`, `layers`, `maps`), what does not fit
/// (`refusals`), the model against the numbers of the official code (`stages`), the convolutional tower against
/// PyTorch's and a plain statement (`convolutional`), and batches against their images alone (`batches`). The function that is named runs a part on each kind of the device.
#[macro_export]
macro_rules! device_suite {
    ($each:ident) => {
        $crate::device_suite!(
            $each: broadcasting, movements, functions, layers, maps, refusals, stages, convolutional, batches
        );
    };
    ($each:ident: $($part:ident),+) => {
        $(
            #[test]
            fn $part() {
                $each(|name, make| $crate::device::$part(name, make));
            }
        )+
    };
}
