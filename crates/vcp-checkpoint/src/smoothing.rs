//! Smoothing: ranges are moved from a layer norm's outputs into the matrices that take them
//! (`SmoothQuant`, Xiao et al. 2023, arXiv 2211.10438).

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, shorten};
use crate::{ElementType, Tensor, Weights};

/// What a call of [`Weights::smooth`] changes, found before anything is changed.
struct Smoothing {
    /// The norm's tensors and their new values.
    norm: [(String, Vec<f32>); 2],
    /// Places of the matrices, and their new factors.
    matrices: Vec<(usize, Arc<[f32]>)>,
}

impl Weights {
    /// Divides channels of a layer norm by `factors`, and multiplies the matrices that take its output with them, so that
    /// the model stays the same function while the ranges of channels become more alike. `norm` is the name of the
    /// norm, whose tensors are `{norm}.weight` and `{norm}.bias`; `linears` are the names of all matrices
    /// [outputs, inputs] that take its output; there is one factor for each channel.
    ///
    /// The matrices are multiplied when they are read and are [`ElementType::F32`] from then on; nothing is copied.
    /// Further calls multiply on top. Bundles are written with the smoothed values. A memory of reference photos stays:
    /// features change by no more than `f32` rounds.
    ///
    /// # Errors
    /// If there is no such tensor, if factors are not as many as a norm's or a matrix's channels, if a factor is not a
    /// finite number above 0 or leads to values of the norm that are none, or if a matrix is named twice. Nothing is changed then.
    pub fn smooth(&mut self, norm: &str, linears: &[&str], factors: &[f32]) -> Result<(), Error> {
        let Smoothing { norm, matrices } = self.smoothing(norm, linears, factors)?;
        for (place, columns) in matrices {
            let layout = &mut self.tensors[place].1;
            layout.element_type = ElementType::F32;
            layout.scaling.columns = Some(columns);
        }
        // The memory of reference photos stays, which replacing would take away.
        let references = self.references.take();
        for (name, values) in norm {
            self.replace(&name, values)?;
        }
        self.references = references;
        Ok(())
    }

    fn smoothing(&self, norm: &str, linears: &[&str], factors: &[f32]) -> Result<Smoothing, Error> {
        let refuse = |problem: String| Err(Error::new(ErrorKind::Smoothing { problem }));
        let is_factor = |factor: &f32| factor.is_finite() && *factor > 0.0;
        if let Some(channel) = factors.iter().position(|factor| !is_factor(factor)) {
            return refuse(format!(
                "the factor of channel {channel} is {}, expected a finite number above 0",
                factors[channel]
            ));
        }
        let divided = |part: &str| {
            let name = format!("{norm}.{part}");
            let tensor = self.tensor(&name)?;
            if tensor.shape() != [factors.len()] {
                return Err(other_channels(&tensor, factors.len()));
            }
            let mut values = tensor.to_f32();
            for (channel, (value, factor)) in values.iter_mut().zip(factors).enumerate() {
                let before = *value;
                *value /= factor;
                if before.is_finite() && !value.is_finite() {
                    return Err(Error::new(ErrorKind::Smoothing {
                        problem: format!(
                            "{} is {before} for channel {channel}, which divided by {factor} is no finite number",
                            shorten(&name)
                        ),
                    }));
                }
            }
            Ok((name, values))
        };
        let norm = [divided("weight")?, divided("bias")?];
        let mut matrices = Vec::new();
        let mut seen = HashSet::new();
        for name in linears {
            let tensor = self.tensor(name)?;
            let inputs = match tensor.shape() {
                [_, inputs, rest @ ..] if rest.iter().all(|length| *length == 1) => Some(*inputs),
                _ => None,
            };
            if inputs != Some(factors.len()) {
                return Err(other_channels(&tensor, factors.len()));
            }
            if !seen.insert(*name) {
                return refuse(format!("{} is named twice", shorten(name)));
            }
            let columns: Arc<[f32]> = match &tensor.layout.scaling.columns {
                Some(before) => before.iter().zip(factors).map(|(a, b)| a * b).collect(),
                None => factors.into(),
            };
            if let Some(channel) = columns.iter().position(|factor| !is_factor(factor)) {
                return refuse(format!(
                    "the factors of channel {channel} of {} are {} together, expected a finite number above 0",
                    shorten(name),
                    columns[channel]
                ));
            }
            // The tensor is one of the model's.
            matrices.extend(self.index.get(*name).map(|place| (*place, columns)));
        }
        Ok(Smoothing { norm, matrices })
    }
}

fn other_channels(tensor: &Tensor<'_>, factors: usize) -> Error {
    let problem = format!(
        "{} has the shape {:?}, which does not fit {factors} factors: expected a norm of {factors} channels and matrices \
         [outputs, {factors}]",
        shorten(tensor.name()),
        tensor.shape()
    );
    Error::new(ErrorKind::Smoothing { problem })
}
