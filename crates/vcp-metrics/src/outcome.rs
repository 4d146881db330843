//! A figure, or why there is none.

use std::fmt;

/// A figure, or the reason why the data define none.
pub type Outcome = Result<Figure, Undefined>;

/// A figure from 0 to 1 (or a threshold, in the units of the map).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// How far it can be from the exact figure, rounding apart: 0 where every value was looked
    /// at, more where values were counted in bins.
    pub error_bound: f64,
}

impl Figure {
    /// A figure without error.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            value,
            error_bound: 0.0,
        }
    }

    /// The figure whose error is smallest, known that the exact one is in `low..=high`.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        Self {
            value: f64::midpoint(low, high),
            error_bound: (high - low).max(0.0) / 2.0,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, formatter)
    }
}

/// Why a figure does not exist.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// No pixel is marked as anomalous.
    #[error("undefined: no anomalous pixels")]
    NoAnomalousPixels,
    /// Every pixel is marked as anomalous.
    #[error("undefined: no normal pixels")]
    NoNormalPixels,
    /// No image is labelled as anomalous.
    #[error("undefined: no anomalous images")]
    NoAnomalousImages,
    /// No image is normal.
    #[error("undefined: no normal images")]
    NoNormalImages,
    /// Evenly spaced thresholds need two different values.
    #[error("undefined: all values of the maps are equal")]
    ConstantMaps,
    /// The curve over evenly spaced thresholds has no two points below the limit.
    #[error(
        "undefined: fewer than two of the evenly spaced thresholds have different false-positive \
         rates below {limit}"
    )]
    TooFewThresholds {
        /// Limit of the false-positive rate.
        limit: f64,
    },
    /// The largest values of the normal images are too many to tell small rates apart.
    #[error(
        "undefined: the smallest false-positive rate that the normal images can tell from 0 is \
         {smallest:.1e}, above the lower bound {bound:.1e}"
    )]
    UnresolvedRate {
        /// Smallest rate above 0.
        smallest: f64,
        /// Lower bound of the rates integrated over.
        bound: f64,
    },
    /// Counts in bins do not tell the figure closely enough.
    #[error(
        "undefined: in fixed memory the figure can only be told to within {error_bound:.1e}; \
         compute it exactly"
    )]
    TooCoarse {
        /// Proven bound of the error, larger than [`ERROR_BOUND`](crate::ERROR_BOUND).
        error_bound: f64,
    },
    /// A mean over nothing.
    #[error("undefined: none of the figures to average is defined")]
    NothingToAverage,
}

/// A mean that says how many figures it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Mean of the figures that are defined, its error bound being the mean of theirs.
    pub figure: Outcome,
    /// Number of figures in the mean.
    pub defined: usize,
    /// Number of figures left out because they are undefined.
    pub undefined: usize,
}

impl Mean {
    /// The mean of all outcomes that are defined.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let (mut value, mut error_bound) = (0.0, 0.0);
        let (mut defined, mut undefined) = (0, 0);
        for outcome in outcomes {
            match outcome {
                Ok(figure) => {
                    value += figure.value;
                    error_bound += figure.error_bound;
                    defined += 1;
                }
                Err(_) => undefined += 1,
            }
        }
        let figure = if defined == 0 {
            Err(Undefined::NothingToAverage)
        } else {
            Ok(Figure {
                value: value / defined as f64,
                error_bound: error_bound / defined as f64,
            })
        };
        Self {
            figure,
            defined,
            undefined,
        }
    }
}

impl fmt::Display for Mean {
    /// The figure in the format asked for, then what it is the mean of, unless that is everything.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.figure {
            Ok(figure) => fmt::Display::fmt(figure, formatter)?,
            Err(reason) => fmt::Display::fmt(reason, formatter)?,
        }
        if self.defined > 0 && self.undefined > 0 {
            let all = self.defined + self.undefined;
            write!(
                formatter,
                " (mean of {} of {all}, {} undefined)",
                self.defined, self.undefined
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_say_what_is_missing() {
        let some = [
            Ok(Figure::exact(0.5)),
            Err(Undefined::NoAnomalousPixels),
            Ok(Figure::between(0.7, 0.9)),
        ];
        let mean = Mean::of(&some);
        assert_eq!((mean.defined, mean.undefined), (2, 1));
        let figure = mean.figure.unwrap();
        assert!((figure.value - 0.65).abs() < 1e-12, "{figure:?}");
        assert!((figure.error_bound - 0.05).abs() < 1e-12, "{figure:?}");
        assert_eq!(format!("{mean:.2}"), "0.65 (mean of 2 of 3, 1 undefined)");
        assert_eq!(format!("{:.1}", Mean::of(&some[..1])), "0.5");
        let nothing = Mean::of(&some[1..2]);
        assert_eq!(nothing.figure, Err(Undefined::NothingToAverage));
        assert_eq!(
            nothing.to_string(),
            "undefined: none of the figures to average is defined"
        );
    }
}
