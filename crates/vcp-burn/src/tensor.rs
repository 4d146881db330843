//! Tensors that may have failed.

use std::sync::Arc;

use burn_tensor::Tensor as Held;
use vcp_model::{DeviceError, DeviceErrorKind};

/// A tensor [batch, rows, channels] on a device of Burn, or why it could not be computed.
#[derive(Clone, Debug)]
pub struct Tensor(State);

#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all tensors are the large variant"
)]
enum State {
    Held(Held<3>),
    Failed {
        shape: [usize; 3],
        error: Arc<DeviceError>,
    },
}

impl Tensor {
    pub(crate) fn shape(&self) -> [usize; 3] {
        match &self.0 {
            State::Held(tensor) => tensor.dims(),
            State::Failed { shape, .. } => *shape,
        }
    }

    /// The tensor itself.
    pub(crate) fn held(&self) -> Result<&Held<3>, DeviceError> {
        match &self.0 {
            State::Held(tensor) => Ok(tensor),
            State::Failed { error, .. } => Err((**error).clone()),
        }
    }

    /// What `work` makes of some tensors, which is of this shape. If one of them has failed, the result
    /// has failed with it; if `work` panics, as Burn's operations do when they fail, it is the first.
    pub(crate) fn made(
        shape: [usize; 3],
        from: &[&Self],
        work: impl FnOnce(&[&Held<3>]) -> Held<3>,
    ) -> Self {
        let mut tensors = Vec::with_capacity(from.len());
        for tensor in from {
            match &tensor.0 {
                State::Held(tensor) => tensors.push(tensor),
                State::Failed { error, .. } => {
                    let error = Arc::clone(error);
                    return Self(State::Failed { shape, error });
                }
            }
        }
        let checked = || {
            let tensor = work(&tensors);
            assert_eq!(tensor.dims(), shape, "the shape that was announced");
            tensor
        };
        match guarded(checked) {
            Ok(tensor) => Self(State::Held(tensor)),
            Err(error) => Self(State::Failed {
                shape,
                error: Arc::new(error),
            }),
        }
    }
}

impl From<Held<3>> for Tensor {
    fn from(tensor: Held<3>) -> Self {
        Self(State::Held(tensor))
    }
}

/// What `work` gives, or the failure that it reports by a panic: the only way that Burn's operations have.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, DeviceError> {
    vcp_panics::caught(work).map_err(|said| failure(&said))
}

/// All values of a tensor in row-major order. What was computed while the program went on may turn out
/// to have failed only here.
pub(crate) fn read<const D: usize>(x: Held<D>) -> Result<Vec<f32>, DeviceError> {
    let data = guarded(|| x.try_into_data())?;
    let data = data.map_err(|error| failure(&error.to_string()))?;
    data.try_into_vec()
        .map_err(|error| failure(&format!("a tensor is not of f32: {error:?}")))
}

/// A failure by what Burn or its backend says, which is text only by the time it arrives here.
fn failure(said: &str) -> DeviceError {
    /// How cubecl, the drivers and wgpu name a lack of memory.
    const OUT_OF_MEMORY: [&str; 6] = [
        "can't allocate buffer",
        "out-of-memory",
        "out of device memory",
        "out of memory",
        "outofmemory",
        "buffertoobig",
    ];
    let lower = said.to_lowercase();
    let kind = if OUT_OF_MEMORY.iter().any(|name| lower.contains(name)) {
        DeviceErrorKind::OutOfMemory
    } else {
        DeviceErrorKind::Failed
    };
    // What follows is of use in a debugger only.
    let told = lower.find("backtrace").and_then(|at| said.get(..at));
    let words: Vec<&str> = told.unwrap_or(said).split_whitespace().collect();
    let message = match words.join(" ") {
        said if said.is_empty() => "its driver does not say why".to_owned(),
        said => said,
    };
    DeviceError { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_memory_is_told_from_other_failures() {
        let kind = |said: &str| failure(said).kind;
        // As cubecl 0.11 says it, by itself and within what Burn makes of it.
        for said in [
            "can't allocate buffer of size: 17179869184\n",
            "An error happened during execution\nCaused by:\n  out of device memory allocating 8 bytes\n",
            "called `Result::unwrap()` on an `Err` value: BufferTooBig { size: 8 }",
            "An out-of-memory error happened during launch\nCaused by:\n  reserve\nBacktrace\n",
            "wgpu error: Out of Memory",
        ] {
            assert_eq!(kind(said), DeviceErrorKind::OutOfMemory, "{said}");
        }
        for said in ["", "index out of bounds", "Parent device is lost"] {
            assert_eq!(kind(said), DeviceErrorKind::Failed, "{said}");
        }
    }

    #[test]
    fn what_is_said_is_one_line_without_backtrace() {
        let error = failure("It failed\nCaused by:\n  a kernel\nBacktrace\n  0: main\n");
        assert_eq!(error.message, "It failed Caused by: a kernel");
        assert_eq!(failure(" \n").message, "its driver does not say why");
    }
}
