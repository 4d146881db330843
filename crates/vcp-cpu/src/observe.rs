//! What goes into linear layers behind layer norms: the largest values of each channel, while they are asked for.
//!
//! From them and the weights follows how ranges are shared between both, before either is brought to 8 bits
//! (`SmoothQuant`, Xiao et al. 2023).

use crate::pack::{Normalise, normalise_row};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use vcp_simd::Supported;

/// The largest absolute value in each channel of what a layer norm gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// The norm's weight, as it is called where it is stored.
    pub norm: String,
    /// One for each channel.
    pub largest: Vec<f32>,
}

/// The observations of a device; off until they are asked for.
#[derive(Default)]
pub(crate) struct Observer(Mutex<Option<BTreeMap<String, Vec<f32>>>>);

impl Observer {
    pub(crate) fn start(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
    }

    pub(crate) fn stop(&self) -> Vec<Ranges> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = found.unwrap_or_default().into_iter();
        found
            .map(|(norm, largest)| Ranges { norm, largest })
            .collect()
    }

    /// Looks at what a norm makes of rows, if anybody asks.
    pub(crate) fn look(
        &self,
        instruction_set: Supported,
        name: &str,
        x: &[f32],
        normalise: Normalise<'_>,
    ) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = &mut *found else { return };
        let width = normalise.weight.len();
        let largest = found
            .entry(name.to_owned())
            .or_insert_with(|| vec![0.0; width]);
        let mut normalised = vec![0.0; width];
        for row in x.chunks_exact(width) {
            normalise_row(instruction_set, row, &mut normalised, normalise);
            for (largest, value) in largest.iter_mut().zip(&normalised) {
                *largest = largest.max(value.abs());
            }
        }
    }
}
