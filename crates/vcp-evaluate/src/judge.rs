//! From what was seen of a category to its figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use vcp_dataset::{Label, Sample};
use vcp_metrics::{Collector, ImageMap, ImageReport, Outcome, PixelReport, StreamingCollector};
use vcp_predict::Predictor;

use crate::calibrated::{Calibrated, Decided, Marked};
use crate::category::{CASES, Case, CategoryReport, CategoryResult, Failure, ImageRecord, Row};
use crate::error::Error;
use crate::figures::Figures;
use crate::image::Look;
use crate::protocol::Protocol;
use crate::scaling::Scaling;
use crate::truth::Truth;

/// Maps that are in memory at a time while they are collected.
const MAPS_AT_A_TIME: usize = 8;

/// An image and what was seen in it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The image.
    pub sample: Arc<Sample>,
    /// What is kept of it.
    pub look: Look,
}

/// The figures of a category from all of its images. `failures` are handed through.
///
/// # Errors
/// When the maps cannot be made again, or the protocol's constants are outside their range.
pub fn judge(
    dataset: &str,
    category: &str,
    observed: &[Observed],
    failures: Vec<Failure>,
    predictor: &Predictor,
    protocol: &Protocol,
) -> Result<CategoryReport, Error> {
    let images: Vec<Image<'_>> = observed
        .iter()
        .map(|observed| Image {
            label: observed.sample.label,
            defect: &observed.sample.defect,
            truth: &observed.look.truth,
            score: observed.look.score,
            range: observed.look.range,
            marked: observed.look.marked,
        })
        .collect();
    let side = predictor.image_size();
    let map = |index: usize| -> Result<Vec<f32>, Error> {
        Ok(observed[index].look.seen.map(predictor)?.into_owned())
    };
    // On the model's threads, so that --threads holds for metrics as well.
    let judged = predictor
        .cpu()
        .run(|| figures(category, &images, side, &map, protocol))?;
    let Judged {
        mut result,
        pixels,
        scores,
    } = judged;
    dataset.clone_into(&mut result.dataset);
    result.failures = failures;
    result.notes = empty_masks(observed, side);
    result.notes.extend(warnings(observed));
    let mut records: Vec<ImageRecord> = observed
        .iter()
        .map(|Observed { sample, look }| ImageRecord {
            id: sample.id.clone(),
            anomalous: ImageRecord::label(sample.label),
            defect: sample.defect.clone(),
            score: look.score,
            max: look.range[1],
            aupimo: None,
        })
        .collect();
    let known = (0..images.len()).filter(|&index| images[index].truth.is_known());
    for (index, &aupimo) in known.zip(&pixels.aupimo_by_image) {
        records[index].aupimo = aupimo;
    }
    let cases = |label: Label, worst_is_largest: bool| {
        let mut order: Vec<usize> = (0..observed.len())
            .filter(|&index| observed[index].sample.label == label)
            .collect();
        order.sort_by(|&a, &b| {
            let by_score = observed[a].look.score.total_cmp(&observed[b].look.score);
            if worst_is_largest {
                by_score.reverse()
            } else {
                by_score
            }
        });
        order.truncate(CASES);
        let case = |image: usize| Case::new(image, &observed[image].look.seen);
        order.into_iter().map(case).collect()
    };
    Ok(CategoryReport {
        result,
        pixel_curve: pixels.curve.iter().map(Into::into).collect(),
        image_curve: scores.curve.iter().map(Into::into).collect(),
        false_alarms: cases(Label::Normal, true),
        misses: cases(Label::Anomalous, false),
        images: records,
    })
}

/// Anomalous images that look normal to pixel figures.
fn empty_masks(observed: &[Observed], side: usize) -> Vec<String> {
    let is_empty = |look: &Look| matches!(&look.truth, Truth::Mask(bits) if bits.is_empty());
    let empty = observed.iter().filter(|observed| is_empty(&observed.look));
    empty
        .map(|Observed { sample, .. }| {
            let mask = sample.mask.path().unwrap_or(&sample.image);
            format!(
                "{} is anomalous, but its mask {} has no defect at {side} pixels a side; its \
                 pixels count as normal ones, and AUPIMO leaves it out.",
                sample.image.display(),
                mask.display()
            )
        })
        .collect()
}

/// What was said of images when they were read: each thing once, with how many it is true of.
fn warnings(observed: &[Observed]) -> Vec<String> {
    let mut by_words: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for Observed { sample, look } in observed {
        for warning in &look.warnings {
            by_words
                .entry(warning.to_string())
                .or_default()
                .push(sample);
        }
    }
    let note = |(words, samples): (String, Vec<&Sample>)| {
        let first = samples.first()?.image.display();
        Some(match samples.len() - 1 {
            0 => format!("{first}: {words}"),
            others => format!("{first} and {others} more: {words}"),
        })
    };
    by_words.into_iter().filter_map(note).collect()
}

/// What figures are computed from, beside the maps.
struct Image<'a> {
    label: Label,
    defect: &'a str,
    truth: &'a Truth,
    score: f32,
    range: [f32; 2],
    marked: Option<Marked>,
}

struct Judged {
    result: CategoryResult,
    pixels: PixelReport,
    scores: ImageReport,
}

type MakeMap<'a> = dyn Fn(usize) -> Result<Vec<f32>, Error> + Sync + 'a;

fn figures(
    category: &str,
    images: &[Image<'_>],
    side: usize,
    map: &MakeMap<'_>,
    protocol: &Protocol,
) -> Result<Judged, Error> {
    let maps = Scaling::over(images.iter().flat_map(|image| image.range));
    let scores = Scaling::over(images.iter().map(|image| image.score));
    let scaled = |index: usize| -> Result<Vec<f32>, Error> {
        let mut map = map(index)?;
        if let Some(scaling) = maps {
            for value in &mut map {
                *value = scaling.apply(*value);
            }
        }
        Ok(map)
    };
    let known: Vec<usize> = (0..images.len())
        .filter(|&index| images[index].truth.is_known())
        .collect();
    let mut parts = Parts {
        scores,
        pixels: Pixels {
            images,
            known: &known,
            side,
            scaled: &scaled,
            protocol,
            exact: None,
        },
    };
    let all = parts.judged(category, &|_| true)?;
    let mut defects = Vec::new();
    if protocol.by_defect {
        for defect in defect_types(images) {
            let wanted = |image: &Image<'_>| image.label == Label::Normal || image.defect == defect;
            defects.push(parts.judged(defect, &wanted)?.row);
        }
    }
    let undo = |scaling: Option<Scaling>, threshold: Option<f64>| Some(scaling?.undo(threshold?));
    let result = CategoryResult {
        threshold_unscaled: undo(maps, all.row.figures.threshold),
        image_threshold_unscaled: undo(scores, all.row.figures.image_threshold),
        row: all.row,
        defects,
        images_without_mask: images.len() - known.len(),
        map_range: maps.map(Scaling::range),
        score_range: scores.map(Scaling::range),
        ..CategoryResult::default()
    };
    Ok(Judged {
        result,
        pixels: all.pixels,
        scores: all.scores,
    })
}

/// Whether an image belongs to the part of a category that is judged.
type Wanted<'a> = dyn Fn(&Image<'_>) -> bool + 'a;

/// Figures of parts of a category.
struct Parts<'a> {
    /// The scaling of the scores, over the whole category.
    scores: Option<Scaling>,
    pixels: Pixels<'a>,
}

/// The row of a part, and what it is made from.
struct Part {
    row: Row,
    pixels: PixelReport,
    scores: ImageReport,
}

impl Parts<'_> {
    fn judged(&mut self, name: &str, wanted: &Wanted<'_>) -> Result<Part, Error> {
        let pixels = self.pixels.report(wanted)?;
        let scores = self.image_report(wanted)?;
        let row = Row {
            calibrated: self.calibrated(wanted),
            ..row(name, &pixels, &scores)
        };
        Ok(Part {
            row,
            pixels,
            scores,
        })
    }

    fn image_report(&self, wanted: &Wanted<'_>) -> Result<ImageReport, Error> {
        let wanted = || self.pixels.images.iter().filter(|image| wanted(image));
        let scaled = |score: f32| self.scores.map_or(0.0, |scaling| scaling.apply(score));
        let values: Vec<f32> = wanted().map(|image| scaled(image.score)).collect();
        let labels: Vec<bool> = wanted()
            .map(|image| image.label == Label::Anomalous)
            .collect();
        Ok(ImageReport::new(&values, &labels)?)
    }

    fn calibrated(&self, wanted: &Wanted<'_>) -> Option<Calibrated> {
        let calibration = self.pixels.protocol.calibration.as_ref()?;
        let wanted = self.pixels.images.iter().filter(|image| wanted(image));
        let decided = wanted.map(|image| Decided {
            label: image.label,
            score: image.score,
            marked: image.marked,
        });
        Some(Calibrated::of(decided, calibration))
    }
}

/// The types of defect, sorted.
fn defect_types<'a>(images: &[Image<'a>]) -> Vec<&'a str> {
    let anomalous = images
        .iter()
        .filter(|image| image.label == Label::Anomalous);
    let mut types: Vec<&str> = anomalous.map(|image| image.defect).collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn row(name: &str, pixels: &PixelReport, scores: &ImageReport) -> Row {
    let outcomes: BTreeMap<&'static str, Outcome> = pixels
        .figures()
        .into_iter()
        .chain(scores.figures())
        .collect();
    let (figures, undefined, error_bounds) = Figures::of_outcomes(&outcomes);
    Row {
        name: name.to_owned(),
        images: scores.images,
        figures,
        anomalous_images: scores.anomalous_images,
        undefined,
        error_bounds,
        calibrated: None,
    }
}

/// Pixel figures of parts of a category.
struct Pixels<'a> {
    images: &'a [Image<'a>],
    /// Images whose truth is known.
    known: &'a [usize],
    side: usize,
    scaled: &'a (dyn Fn(usize) -> Result<Vec<f32>, Error> + Sync),
    protocol: &'a Protocol,
    /// All images whose truth is known, once they have been collected.
    exact: Option<Collector>,
}

impl Pixels<'_> {
    /// The figures of the images that `wanted` says yes to.
    fn report(&mut self, wanted: &Wanted<'_>) -> Result<PixelReport, Error> {
        let options = self.protocol.pixel_options();
        if self.protocol.streaming {
            let mut collector = StreamingCollector::new(options)?;
            let wanted = self
                .known
                .iter()
                .filter(|&&index| wanted(&self.images[index]));
            for &index in wanted {
                let (map, mask) = ((self.scaled)(index)?, self.images[index].truth.mask());
                collector.add(&self.image_map(&map, mask.as_deref()))?;
            }
            return Ok(collector.report());
        }
        let collector = match self.exact.take() {
            Some(collector) => collector,
            None => self.collect(Collector::new(options)?)?,
        };
        let report = collector.report_of(|at| wanted(&self.images[self.known[at]]));
        self.exact = Some(collector);
        Ok(report)
    }

    fn collect(&self, mut collector: Collector) -> Result<Collector, Error> {
        for some in self.known.chunks(MAPS_AT_A_TIME) {
            let mut maps = Vec::with_capacity(some.len());
            for &index in some {
                maps.push(((self.scaled)(index)?, self.images[index].truth.mask()));
            }
            let images: Vec<ImageMap<'_>> = maps
                .iter()
                .map(|(map, mask)| self.image_map(map, mask.as_deref()))
                .collect();
            collector.add_all(&images)?;
        }
        Ok(collector)
    }

    fn image_map<'m>(&self, map: &'m [f32], mask: Option<&'m [u8]>) -> ImageMap<'m> {
        ImageMap {
            map,
            mask,
            width: self.side,
            height: self.side,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]
mod tests;
