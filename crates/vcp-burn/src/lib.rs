//! The operations of [`vcp_model`] on Burn: with gradients, and on whatever device Burn knows.
//!
//! [`Burn`] keeps the parameters of a model under their names. A model that is loaded on it takes its
//! tensors from there, so that after a step of [`Adam`] loading it again gives the model with the new
//! values. That copies nothing, but for the matrices that are trained in mixed precision. [`losses`]
//! says what a step is to make smaller.
//!
//! # Example
//!
//! ```
//! use vcp_burn::{Burn, Device};
//! use vcp_model::Operations as _;
//!
//! # fn main() -> Result<(), vcp_model::DeviceError> {
//! let burn = Burn::new(Device::flex());
//! let x = burn.constant([1, 2, 2], &[0.0, 1.0, 2.0, 3.0])?;
//! assert_eq!(burn.values(&burn.add(&x, &x))?, [0.0, 2.0, 4.0, 6.0]);
//! # Ok(())
//! # }
//! ```

mod adam;
mod burn;
mod fused;
#[cfg(feature = "wgpu")]
pub mod gpu;
mod layers;
pub mod losses;
mod maps;
mod operations;
mod parameters;
mod tensor;

pub use adam::{Adam, AdamOptions, AdamState};
pub use burn::{Burn, Gradients};
pub use burn_tensor::Device;
pub use layers::{Depthwise, Linear, Norm};
pub use tensor::Tensor;
