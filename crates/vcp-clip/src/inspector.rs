//! From photos to inspections.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vcp_checkpoint::Calibration;
use vcp_image::{DecodeOptions, Photo, PhotoFile, decode_bytes, decode_file};
use vcp_predict::tiling::Tiling;
use vcp_predict::{Predictor, PredictorOptions, PreparedPhoto};

use crate::calibration::{Mismatch, Viewing};
use crate::device::{Device, DeviceName};
use crate::error::Error;
use crate::inspection::Inspection;
use crate::model::{Model, ModelName, ModelOptions};
use crate::photos::{Decoding, Found};
use crate::pipeline::{Item, Pipeline, Stop, guarded};
use crate::thresholds::{DecisionThresholds, ThresholdOptions};

/// How photos are inspected. The defaults are those of `vcp-clip segment`.
#[derive(Debug, Clone, Default)]
pub struct InspectorOptions {
    /// Threads that compute; one per processor core if `None`.
    pub threads: Option<NonZeroUsize>,
    /// How photos are decoded.
    pub decode: DecodeOptions,
    /// How photos are cut into windows; processed whole if `None`.
    pub tiling: Option<Tiling>,
    /// Thresholds in place of the calibration's.
    pub thresholds: ThresholdOptions,
    /// A file with a calibration in place of the model's own.
    pub calibration: Option<PathBuf>,
}

/// A model with thresholds, ready for photos. Many threads may use one at a time; cloning is cheap.
#[derive(Clone)]
pub struct Inspector {
    predictor: Arc<Predictor>,
    decode: DecodeOptions,
    tiling: Option<Tiling>,
    thresholds: DecisionThresholds,
    calibration: Option<Calibration>,
    set_aside: Option<Mismatch>,
}

/// A photo that has been decoded and settled how to go through the model.
pub type DecodedPhoto = PreparedPhoto<PhotoFile>;

/// Learns after every few windows of a photo how many of how many are done, and may end the work.
pub type Watch<'a> = &'a mut dyn FnMut(usize, usize) -> ControlFlow<()>;

impl std::fmt::Debug for Inspector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inspector")
            .field("image_size", &self.predictor.image_size())
            .field("tiling", &self.tiling)
            .field("thresholds", &self.thresholds)
            .finish_non_exhaustive()
    }
}

impl Inspector {
    /// With this model, on the best device there is, and the defaults.
    ///
    /// # Errors
    /// When the model cannot be opened or put on the device.
    pub fn open(name: &ModelName) -> Result<Self, Error> {
        let mut model = ModelOptions::from(name.clone()).open()?;
        let device = Device::find(DeviceName::Auto)?;
        Self::new(&mut model, &device, &InspectorOptions::default())
    }

    /// With a model that has been opened, on this device. The model's own calibration is set aside if it was
    /// found in another way than photos are processed now: [`Inspector::set_aside`] says so.
    ///
    /// # Errors
    /// When the calibration in a file cannot be used, or the model cannot be put on the device.
    pub fn new(
        model: &mut Model,
        device: &Device,
        options: &InspectorOptions,
    ) -> Result<Self, Error> {
        let viewing = Viewing::of(&options.decode, options.tiling);
        model.calibrate(options.calibration.as_deref(), &viewing)?;
        let predictor_options = PredictorOptions {
            threads: options.threads,
            ..PredictorOptions::default()
        };
        let predictor = device.predictor(model.weights(), &predictor_options)?;
        let calibration = model.weights().calibration().cloned();
        Ok(Self {
            predictor: Arc::new(predictor),
            decode: options.decode.clone(),
            tiling: options.tiling,
            thresholds: DecisionThresholds::settle(&options.thresholds, calibration.as_ref()),
            calibration,
            set_aside: model.set_aside(),
        })
    }

    /// What values are compared with.
    #[must_use]
    pub fn thresholds(&self) -> DecisionThresholds {
        self.thresholds
    }

    /// The calibration that applies, if there is one.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// In which way the model's own calibration was found otherwise than photos are processed, so that it is
    /// not used; none if it is used, or there is none.
    #[must_use]
    pub fn set_aside(&self) -> Option<Mismatch> {
        self.set_aside
    }

    /// The model on its device.
    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Inspects the photo in a file.
    ///
    /// # Errors
    /// When it cannot be read, or cannot go through the model.
    pub fn inspect_file(&self, path: &Path) -> Result<Inspection, Error> {
        let photo = guarded(|| self.decode_file(path, &self.decode))?;
        self.inspect_decoded(photo, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Inspects a photo whose file is in memory, in any of the formats that are read from files. `label` is
    /// what errors call it.
    ///
    /// # Errors
    /// As [`Inspector::inspect_file`].
    pub fn inspect_bytes(&self, bytes: &[u8], label: &str) -> Result<Inspection, Error> {
        let photo = guarded(|| Ok::<_, Error>(decode_bytes(bytes, label, &self.decode)?))?;
        self.inspect_photo(photo)
    }

    /// Inspects a photo in memory.
    ///
    /// # Errors
    /// When it cannot go through the model.
    pub fn inspect_photo(&self, photo: Photo) -> Result<Inspection, Error> {
        let photo = self
            .predictor
            .prepare_photo(PhotoFile::from(photo), self.tiling.as_ref())?;
        self.inspect_decoded(photo, &mut |_, _| ControlFlow::Continue(()))
    }

    /// The first part of [`Inspector::inspect_file`], which may run on another thread than the model:
    /// everything before it.
    ///
    /// # Errors
    /// When the photo cannot be read.
    pub fn decode_file(&self, path: &Path, options: &DecodeOptions) -> Result<DecodedPhoto, Error> {
        // Windows may come from a file that is never in memory whole.
        let photo = if self.tiling.is_some() {
            PhotoFile::open(path, options)?
        } else {
            decode_file(path, options)?.into()
        };
        Ok(self.predictor.prepare_photo(photo, self.tiling.as_ref())?)
    }

    /// The second part of [`Inspector::inspect_file`]: the model.
    ///
    /// # Errors
    /// When the photo cannot be read on or cannot go through the model, and when `watch` ends the work.
    pub fn inspect_decoded(
        &self,
        photo: DecodedPhoto,
        watch: Watch<'_>,
    ) -> Result<Inspection, Error> {
        let (photo, prediction) = self.predictor.predict_photo(photo, watch)?;
        Ok(Inspection::new(
            photo,
            prediction,
            Arc::clone(&self.predictor),
            self.thresholds,
        ))
    }

    /// Inspects many photos: decoding, the model and whoever takes the results work at a time. Each photo that
    /// `photos` finds, and each place where it found none, gives one item, in that order; a photo during
    /// which `stop` was requested gives none, as do those after it. `on_window` learns how many of how many
    /// windows of the present photo are done.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn inspect_all(
        &self,
        photos: impl Iterator<Item = Found> + Send + 'static,
        decoding: Decoding,
        stop: &Stop,
        on_window: impl Fn(usize, usize) + Send + 'static,
    ) -> Result<Inspections, Error> {
        let inspector = self.clone();
        let decode = move |found| {
            Item::decoded(found, |photo| {
                inspector.decode_file(&photo.path, &decoding.of(photo))
            })
        };
        let (inspector, stopped) = (self.clone(), stop.clone());
        let inspect = move |item: Item<DecodedPhoto>| {
            // A photo may take hours: it is not finished when the user has had enough.
            let mut watch = |done, all| {
                on_window(done, all);
                stopped.flow()
            };
            let item = item.and_then(|photo| inspector.inspect_decoded(photo, &mut watch));
            match item.outcome {
                Err(Error::Predict(vcp_predict::Error::Stopped)) => None,
                _ => Some(item),
            }
        };
        Ok(Inspections(Pipeline::start(photos, decode, inspect, stop)?))
    }
}

/// Inspections of many photos, as they are done.
#[derive(Debug)]
pub struct Inspections(Pipeline<Option<Item<Inspection>>>);

impl Inspections {
    /// The next one, in order; none when all are done or the work was stopped. Waits for it.
    #[must_use]
    pub fn next(&self) -> Option<Item<Inspection>> {
        self.0.next().flatten()
    }

    /// Reports a thread that ended before its time.
    ///
    /// # Errors
    /// [`Error::Internal`] if there was one.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }
}

/// Servers share one among their threads.
const _: () = {
    const fn shared<T: Send + Sync + 'static>() {}
    shared::<Inspector>();
    shared::<Inspection>();
};
