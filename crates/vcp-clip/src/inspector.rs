//! From photos to inspections.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use vcp_checkpoint::{Calibration, ReferenceDescription, References};
use vcp_image::{
    Bits, DecodeOptions, Photo, PhotoFile, PhotoRows as _, SampleDepth, decode_bytes, decode_file,
};
use vcp_predict::references::{Comparison, Copies, ReferenceMemory};
use vcp_predict::tiling::Tiling;
use vcp_predict::{Prediction, Predictor, PredictorOptions, PreparedPhoto};

use crate::calibration::{CalibrationSource, Mismatch, Viewing};
use crate::cost::Estimate;
use crate::device::{Device, DeviceName};
use crate::error::Error;
use crate::inspection::{Inspection, Part};
use crate::inspection_mask::InspectionMask;
use crate::model::{Applicable, Model, ModelError, ModelName, ModelOptions};
use crate::photos::{Decoding, Found, SettledBits};
use crate::pipeline::{Item, Pipeline, Stop, guarded};
use crate::references::ReferenceChoice;
use crate::thresholds::{DecisionThresholds, ThresholdOptions};

/// How photos are inspected. The defaults are those of `vcp-clip segment`.
#[derive(Debug, Clone, Default)]
pub struct InspectorOptions {
    /// Threads that compute, and constants by which maps and scores are made.
    pub predictor: PredictorOptions,
    /// How photos are decoded.
    pub decode: DecodeOptions,
    /// How photos are cut into windows; processed whole if `None`.
    pub tiling: Option<Tiling>,
    /// The part of photos that counts; everything if `None`.
    pub mask: Option<InspectionMask>,
    /// Pixels of the smallest region that is reported and drawn: all regions with 0 or 1. The score does not depend
    /// on it.
    pub min_area: u64,
    /// Thresholds in place of the calibration's.
    pub thresholds: ThresholdOptions,
    /// A calibration in place of the model's own.
    pub calibration: Option<CalibrationSource>,
    /// The good photos that others are compared with.
    pub references: ReferenceChoice,
    /// What [`Inspector::remember`] remembers of each good photo beside itself.
    pub reference_copies: Copies,
    /// Whether a model may take whatever it will. If not, one that is estimated to take more than 10 minutes
    /// or 32 GiB for a photo on the CPU is refused.
    pub no_cost_limit: bool,
}

impl InspectorOptions {
    /// How photos are processed.
    #[must_use]
    pub fn viewing(&self) -> Viewing {
        Viewing {
            constants: self.predictor,
            ..Viewing::of(&self.decode, self.tiling).with_mask(self.mask.as_ref())
        }
    }
}

/// A model with thresholds, ready for photos. Many threads may use one at a time; cloning is cheap.
#[derive(Clone)]
pub struct Inspector {
    predictor: Arc<Predictor>,
    decode: DecodeOptions,
    tiling: Option<Tiling>,
    part: Part,
    memory: Option<Arc<ReferenceMemory>>,
    leaves_out_own: bool,
    copies: Copies,
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
        let model = ModelOptions::from(name.clone()).open()?;
        let precision = model.weights().settings().precision;
        let device = Device::find_for(DeviceName::Auto, precision)?;
        Self::new(&model, &device, &InspectorOptions::default())
    }

    /// With a model that has been opened, on this device. The model may be let go, or serve others, afterwards.
    ///
    /// The model's own calibration is not used if it was found in another way than photos are processed now:
    /// [`Inspector::set_aside`] says so. 16-bit photos are read as the calibration says, if it does and the
    /// options do not.
    ///
    /// # Errors
    /// When thresholds are no numbers, or that of review is above that of defects, a calibration that is given cannot be used, the model would take too much,
    /// or it cannot be put on the device.
    pub fn new(model: &Model, device: &Device, options: &InspectorOptions) -> Result<Self, Error> {
        options.thresholds.check().map_err(Error::Thresholds)?;
        if device.is_cpu() && !options.no_cost_limit {
            Estimate::of(model.weights(), options.predictor.threads).check()?;
        }
        // What is wrong with a calibration is said before the model is loaded.
        let references = options.references.of(model);
        let settled = Settled::new(model, references.as_deref(), options)?;
        let predictor = device.predictor(model.weights(), &options.predictor)?;
        let memory =
            references.map(|it| ReferenceMemory::new(predictor.cpu(), &it, model.weights()));
        let memory = memory.transpose()?;
        Ok(Self {
            predictor: Arc::new(predictor),
            decode: settled.decode,
            tiling: options.tiling,
            part: Part {
                mask: options.mask.clone(),
                min_area: options.min_area,
                references: memory.as_ref().map(|memory| memory.digest().into()),
            },
            memory: memory.map(Arc::new),
            leaves_out_own: false,
            copies: options.reference_copies,
            thresholds: settled.thresholds,
            calibration: settled.calibration,
            set_aside: settled.set_aside,
        })
    }

    /// The same, comparing photos with these good ones, which were remembered with the same model
    /// ([`Inspector::remember`]). The options are those that the inspector was made with.
    ///
    /// # Errors
    /// When these photos were processed in another way or with another model, or a calibration that is given was found
    /// without them.
    pub fn with_references(
        self,
        model: &Model,
        references: &References,
        options: &InspectorOptions,
    ) -> Result<Self, Error> {
        let settled = Settled::new(model, Some(references), options)?;
        let cpu = self.predictor.cpu();
        let memory = ReferenceMemory::new(cpu, references, model.weights())?;
        Ok(Self {
            decode: settled.decode,
            part: Part {
                references: Some(memory.digest().into()),
                ..self.part
            },
            memory: Some(Arc::new(memory)),
            thresholds: settled.thresholds,
            calibration: settled.calibration,
            set_aside: settled.set_aside,
            ..self
        })
    }

    /// The same model on the same device, which is not loaded again, with what other options say of thresholds,
    /// calibration and reference photos. The rest of the options is that which the inspector was made with.
    ///
    /// # Errors
    /// As [`Inspector::new`] for these options, and as [`Inspector::with_references`].
    pub fn settled_anew(&self, model: &Model, options: &InspectorOptions) -> Result<Self, Error> {
        options.thresholds.check().map_err(Error::Thresholds)?;
        let references = options.references.of(model);
        let settled = Settled::new(model, references.as_deref(), options)?;
        let cpu = self.predictor.cpu();
        let memory = references.map(|it| ReferenceMemory::new(cpu, &it, model.weights()));
        let memory = memory.transpose()?.map(Arc::new);
        Ok(Self {
            decode: settled.decode,
            part: Part {
                references: memory.as_ref().map(|memory| memory.digest().into()),
                ..self.part.clone()
            },
            memory,
            thresholds: settled.thresholds,
            calibration: settled.calibration,
            set_aside: settled.set_aside,
            ..self.clone()
        })
    }

    /// The same, comparing photos that are reference photos themselves with the others alone, as new ones would be;
    /// [`Error::OnlyReference`] where there is no other. Each file is read once more, to find out which it is. Photos
    /// that come decoded ([`Inspector::inspect_photo`]) are taken for new ones.
    #[must_use]
    pub fn leaving_out_own(mut self) -> Self {
        self.leaves_out_own = true;
        self
    }

    /// What is known about the good photos that others are compared with, if they are.
    #[must_use]
    pub fn references(&self) -> Option<&ReferenceDescription> {
        self.memory.as_ref().map(|memory| memory.description())
    }

    /// The digest of what is remembered of them ([`References::digest`]).
    #[must_use]
    pub fn references_digest(&self) -> Option<&str> {
        self.memory.as_ref().map(|memory| memory.digest())
    }

    /// What is remembered of each good photo beside itself.
    pub(crate) fn copies(&self) -> Copies {
        self.copies
    }

    /// How a photo is compared with good ones, of which it may be one itself; `sha256` gives the digest of its file.
    fn comparison(
        &self,
        sha256: impl FnOnce() -> Result<String, Error>,
    ) -> Result<Option<Comparison>, Error> {
        let Some(memory) = self.memory.as_ref().map(Arc::clone) else {
            return Ok(None);
        };
        if !self.leaves_out_own {
            return Ok(Some(Comparison::with(memory)));
        }
        let comparison = Comparison::leaving_out(memory, &sha256()?);
        comparison.map(Some).ok_or(Error::OnlyReference)
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

    /// How the photos of a run are decoded: by the inspector's options. `tell` learns what the first photo
    /// settles about bits, if it does.
    pub fn decoding(&self, tell: impl Fn(&SettledBits) + Send + Sync + 'static) -> Decoding {
        Decoding::new(self.decode.clone(), tell)
    }

    /// How photos are cut into windows, if they are.
    #[must_use]
    pub fn tiling(&self) -> Option<&Tiling> {
        self.tiling.as_ref()
    }

    /// How a photo is decoded.
    #[must_use]
    pub fn decode_options(&self) -> &DecodeOptions {
        &self.decode
    }

    /// Inspects the photo in a file.
    ///
    /// # Errors
    /// When it cannot be read, cannot go through the model, or has another shape than the mask.
    pub fn inspect_file(&self, path: &Path) -> Result<Inspection, Error> {
        self.inspect_decoded(self.decode_file(path, &self.decode)?, &mut unwatched)
    }

    /// Inspects a photo whose file is in memory, in any of the formats that are read from files. `label` is
    /// what errors call it.
    ///
    /// # Errors
    /// As [`Inspector::inspect_file`].
    pub fn inspect_bytes(&self, bytes: &[u8], label: &str) -> Result<Inspection, Error> {
        self.inspect_decoded(
            self.decode_bytes(bytes, label, &self.decode)?,
            &mut unwatched,
        )
    }

    /// Inspects a photo in memory.
    ///
    /// # Errors
    /// When it cannot go through the model.
    pub fn inspect_photo(&self, photo: Photo) -> Result<Inspection, Error> {
        self.inspect_decoded(self.decode_photo(photo)?, &mut unwatched)
    }

    /// What the model says of images that were resized and normalised elsewhere, each [3, side, side] with the model's
    /// image size as the side. They are compared with reference photos as photos are; all of them counts, whatever the
    /// mask says, since where it lies in them is not known.
    ///
    /// # Errors
    /// When an image has another size, or the model's device fails or gives something that is no number.
    pub fn predict_normalised(&self, images: Vec<Vec<f32>>) -> Result<Vec<Prediction>, Error> {
        let comparison = self.memory.as_ref().map(Arc::clone).map(Comparison::with);
        let prepared = images
            .into_iter()
            .map(|image| self.predictor.prepared_from_normalised(image));
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        Ok(self
            .predictor
            .predict_compared(&prepared, comparison.as_ref())?)
    }

    /// The first part of [`Inspector::inspect_file`], which may run on another thread than the model:
    /// everything before it. `options` are usually the inspector's own ([`Inspector::decode_options`]), but for
    /// the page: a calibration was found with photos that were decoded like those.
    ///
    /// # Errors
    /// When the photo cannot be read, or has another shape than the mask.
    pub fn decode_file(&self, path: &Path, options: &DecodeOptions) -> Result<DecodedPhoto, Error> {
        // Windows may come from a file that is never in memory whole.
        let photo = guarded(|| -> Result<PhotoFile, Error> {
            if self.tiling.is_some() {
                Ok(PhotoFile::open(path, options)?)
            } else {
                Ok(decode_file(path, options)?.into())
            }
        })?;
        let comparison = self.comparison(|| {
            let digest = vcp_checkpoint::sha256_of_file(path);
            Ok(digest.map_err(ModelError::from)?)
        })?;
        Ok(self.prepared(photo)?.compared_with(comparison))
    }

    /// As [`Inspector::decode_file`], of a file in memory, which errors call `label`.
    ///
    /// # Errors
    /// When the photo cannot be read, or has another shape than the mask.
    pub fn decode_bytes(
        &self,
        bytes: &[u8],
        label: &str,
        options: &DecodeOptions,
    ) -> Result<DecodedPhoto, Error> {
        let photo = guarded(|| Ok::<_, Error>(decode_bytes(bytes, label, options)?))?;
        let comparison = self.comparison(|| Ok(vcp_files::sha256(bytes)))?;
        Ok(self.prepared(photo.into())?.compared_with(comparison))
    }

    /// As [`Inspector::decode_file`], of a photo in memory.
    ///
    /// # Errors
    /// When it has another shape than the mask, or cannot be cut into windows.
    pub fn decode_photo(&self, photo: Photo) -> Result<DecodedPhoto, Error> {
        let comparison = self.memory.as_ref().map(Arc::clone).map(Comparison::with);
        Ok(self.prepared(photo.into())?.compared_with(comparison))
    }

    fn prepared(&self, photo: PhotoFile) -> Result<DecodedPhoto, Error> {
        let size = (photo.width(), photo.height());
        let region = self.part.mask.as_ref().map(|mask| mask.fitted(size));
        let region = region.transpose()?;
        let photo = self.predictor.prepare_photo(photo, self.tiling.as_ref())?;
        Ok(photo.within(region))
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
            self.tiling.is_some(),
            self.part.clone(),
        ))
    }

    /// Inspects many photos: decoding, the model and whoever takes the results work at a time. Each photo that
    /// `photos` finds, and each place where it found none, gives one item, in that order. After `stop` was
    /// requested no further photo is begun, and one amid its windows gives no item. `on_window` learns how many of
    /// how many windows of the present photo are done.
    ///
    /// `photos` runs on a thread of its own, which is waited for at the end unless `stop` was requested: an
    /// iterator that blocks for ever keeps [`Inspections::finish`] waiting.
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

/// Inspections of many photos, as they are done, in order: an iterator that waits for each.
#[derive(Debug)]
pub struct Inspections(Pipeline<Option<Item<Inspection>>>);

impl Iterator for Inspections {
    type Item = Item<Inspection>;

    /// None when all are done or the work was stopped.
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().flatten()
    }
}

impl Inspections {
    /// Reports a thread that ended before its time.
    ///
    /// # Errors
    /// [`Error::Internal`] if there was one.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }
}

/// What follows from a model, the photos that are compared with and the options.
struct Settled {
    decode: DecodeOptions,
    thresholds: DecisionThresholds,
    calibration: Option<Calibration>,
    set_aside: Option<Mismatch>,
}

impl Settled {
    fn new(
        model: &Model,
        references: Option<&References>,
        options: &InspectorOptions,
    ) -> Result<Self, Error> {
        let viewing = options.viewing();
        if let Some(references) = references
            && let Some(mismatch) = Mismatch::of_references(references.description(), &viewing)
        {
            return Err(Error::OtherReferences { mismatch });
        }
        let viewing = Viewing {
            references: references.map(References::digest),
            ..viewing
        };
        let Applicable {
            calibration,
            set_aside,
        } = model.applicable(options.calibration.as_ref(), &viewing)?;
        let mut decode = options.decode.clone();
        let bits = calibration.as_ref().and_then(|it| it.bits);
        let bits = bits.or(references.and_then(|it| it.description().bits));
        if let (Bits::Auto, Some(depth)) = (decode.bits, bits.and_then(SampleDepth::of)) {
            decode.bits = Bits::Settled(depth);
        }
        let thresholds = DecisionThresholds::settle(&options.thresholds, calibration.as_ref());
        thresholds.check().map_err(Error::Thresholds)?;
        Ok(Self {
            decode,
            thresholds,
            calibration,
            set_aside,
        })
    }
}

/// Nobody watches the windows.
fn unwatched(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Servers share one among their threads.
const _: () = {
    const fn shared<T: Send + Sync + 'static>() {}
    shared::<Inspector>();
    shared::<Inspection>();
};
