//! What is known of one training step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;

/// What is known of one training step; what is not known is left out of the line.
///
/// A line of `metrics.jsonl`, for instance:
///
/// ```json
/// {"step":40,"epoch":2,"seconds":81.5,"loss":5.1,"branch1":2.6,"branch2":2.5,"validation":{"pixel_ap":0.31}}
/// ```
///
/// Several records may share one step: the loss may be written when the step is done and the
/// validation figures once they have been computed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Optimiser steps done so far, this one included: the first step of a run is 1.
    pub step: u64,
    /// The epoch the step belongs to, counted from 1.
    pub epoch: u64,
    /// Seconds of training so far, without the time between a break and its resumption.
    #[serde(default)]
    pub seconds: f64,
    /// The loss of the step's batch: the sum over the taps of both branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The first branch's part of the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch1: Option<f64>,
    /// The second branch's part of the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch2: Option<f64>,
    /// Length of the gradients, all together, where it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Images trained on per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// Validation figures by name, such as `pixel_ap`; a figure that is undefined is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub validation: BTreeMap<String, f64>,
}

impl Record {
    /// The record's figures under the tags they have in `TensorBoard`, which groups them by what
    /// stands before the stroke: `loss/total`, `loss/branch1`, `loss/branch2`,
    /// `gradient/norm`, `speed/images_per_second`, `validation/NAME`, in this order.
    #[must_use]
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let fixed = [
            ("loss/total", self.loss),
            ("loss/branch1", self.branch1),
            ("loss/branch2", self.branch2),
            ("gradient/norm", self.gradient_norm),
            ("speed/images_per_second", self.images_per_second),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(tag, value)| Some((tag.to_owned(), value?)));
        let validation = self
            .validation
            .iter()
            .map(|(name, value)| (format!("validation/{name}"), *value));
        fixed.chain(validation).collect()
    }

    /// Refuses a figure that JSON has no word for.
    pub(super) fn check_finite(&self) -> Result<(), Error> {
        let seconds = std::iter::once(("seconds".to_owned(), self.seconds));
        match seconds
            .chain(self.scalars())
            .find(|(_, value)| !value.is_finite())
        {
            Some((name, value)) => Err(Error::NotFinite {
                name,
                step: self.step,
                value,
            }),
            None => Ok(()),
        }
    }
}
