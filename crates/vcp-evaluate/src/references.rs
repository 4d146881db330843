//! Few-shot evaluation: good photos of each category, and figures over several choices of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::Serialize;
use vcp_checkpoint::{CalibrationWindows, Weights};
use vcp_image::Bits;
use vcp_predict::Predictor;
use vcp_predict::references::{MemoryBuilder, MemoryDetails, ReferenceMemory};

use crate::error::Error;
use crate::figures::Figures;
use crate::image::load;
use crate::plan::PlannedCategory;
use crate::protocol::Protocol;
use crate::results::Results;

/// A memory of a category's reference images, with the model that `predictor` was made of; none if the category has none.
/// `watch` is asked after each window whether to go on.
///
/// # Errors
/// When an image cannot be read or processed, or `watch` breaks off ([`vcp_predict::Error::Stopped`]).
pub fn remember(
    category: &PlannedCategory,
    predictor: &Predictor,
    weights: &Weights,
    protocol: &Protocol,
    watch: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Arc<ReferenceMemory>>, Error> {
    let samples = &category.references;
    if samples.is_empty() {
        return Ok(None);
    }
    let cpu = predictor.cpu();
    let mut builder = MemoryBuilder::new(cpu, weights, samples.len()).with_copies(
        protocol
            .references
            .map(|few| few.copies)
            .unwrap_or_default(),
    );
    for sample in samples {
        let photo = load(sample, predictor, protocol)?.into_photo();
        predictor.remember(photo, sample.id.clone(), &mut builder, watch)?;
    }
    let details = MemoryDetails {
        data: format!("{} good images of {}", samples.len(), category.title()),
        date: String::new(),
        apply_orientation: protocol.apply_orientation,
        windows: protocol.tiling.map(|tiling| CalibrationWindows {
            tile: tiling.tile(),
            overlap: tiling.overlap(),
            global_weight: tiling.global_weight(),
        }),
        bits: match protocol.bits {
            Bits::Auto => None,
            Bits::Settled(depth) | Bits::Fixed(depth) => Some(depth.bits()),
        },
    };
    let references = builder.finish(cpu, details)?;
    let memory = ReferenceMemory::new(cpu, &references, weights)?;
    Ok(Some(Arc::new(memory)))
}

/// Figures over several choices of reference images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seeds {
    /// Reference images of each category.
    pub references: usize,
    /// A seed for each choice.
    pub seeds: Vec<u64>,
    /// Every category, in order.
    pub categories: Vec<Spread>,
    /// The mean over the categories.
    pub mean: Spread,
}

/// Figures of a category over several choices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The category.
    pub name: String,
    /// The mean of each figure over the choices that define it.
    pub mean: Figures,
    /// The standard deviation of each figure over these choices, that of the choices themselves (divided by their
    /// number).
    pub deviation: Figures,
}

impl Seeds {
    /// Of the results of each choice, in the order of the seeds.
    #[must_use]
    pub fn new(references: usize, seeds: &[u64], results: &[Results]) -> Self {
        let categories = results.first().map_or(0, |it| it.categories.len());
        let spread = |name: &str, of: &dyn Fn(&Results) -> Option<Figures>| {
            let all: Vec<Figures> = results.iter().filter_map(of).collect();
            Spread::of(name, &all)
        };
        Self {
            references,
            seeds: seeds.to_vec(),
            categories: (0..categories)
                .map(|index| {
                    let row = |it: &Results| it.categories.get(index).map(|it| it.row.clone());
                    let name = results.first().and_then(row).map(|row| row.name);
                    spread(&name.unwrap_or_default(), &|it| {
                        row(it).map(|row| row.figures)
                    })
                })
                .collect(),
            mean: spread("mean", &|it| Some(it.mean.figures.clone())),
        }
    }
}

impl Spread {
    fn of(name: &str, all: &[Figures]) -> Self {
        let moments = |key: &str| {
            let values: Vec<f64> = all.iter().filter_map(|figures| figures.get(key)).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares = values.iter().map(|value| (value - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            (!values.is_empty()).then_some((mean, deviation))
        };
        Self {
            name: name.to_owned(),
            mean: Figures::from_fn(|key| moments(key).map(|(mean, _)| mean)),
            deviation: Figures::from_fn(|key| moments(key).map(|(_, deviation)| deviation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_choices() {
        let figures = |pixel_ap: f64, pixel_auroc: Option<f64>| Figures {
            pixel_ap: Some(pixel_ap),
            pixel_auroc,
            ..Figures::default()
        };
        let spread = Spread::of("a", &[figures(0.2, None), figures(0.6, Some(0.5))]);
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
        };
        close(spread.mean.pixel_ap, 0.4);
        close(spread.deviation.pixel_ap, 0.2);
        close(spread.mean.pixel_auroc, 0.5);
        close(spread.deviation.pixel_auroc, 0.0);
        assert_eq!(spread.mean.image_ap, None);
    }
}
