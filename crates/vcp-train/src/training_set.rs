//! Data sets as they are trained on.

use vcp_dataset::{Member, Official, RecognisedBy, Sample, Split, digest_of_listing};
use vcp_image::DecodeOptions;

use crate::session::DataSource;
use crate::{Augmentation, hold_out};

/// The samples of a data set that are trained on, and the official recipe for it.
#[derive(Clone, Debug)]
pub struct TrainingSet {
    /// Name of the layout as which it was read.
    pub layout: &'static str,
    /// Its name.
    pub name: String,
    /// Its samples.
    pub samples: Vec<Sample>,
    /// Which of the data sets it is that the official code trains on, if it is one of them.
    pub official: Option<(Official, RecognisedBy)>,
}

impl TrainingSet {
    /// The samples of a data set in `split`; all if `None`.
    #[must_use]
    pub fn of(member: Member, split: Option<Split>) -> Self {
        let belongs = |sample: &Sample| split.is_none_or(|split| sample.split.belongs_to(split));
        Self {
            layout: member.layout,
            official: Official::recognise(member.layout, &member.dataset),
            name: member.dataset.name,
            samples: member.dataset.samples.into_iter().filter(belongs).collect(),
        }
    }

    /// The data set whose official recipe is taken: `VisA` for those that the official code does not know.
    #[must_use]
    pub fn recipe(&self) -> Official {
        self.official
            .map_or(Official::Visa, |(official, _)| official)
    }

    /// Why [`TrainingSet::recipe`] is that of its data set, as a clause that follows "because".
    #[must_use]
    pub fn reason(&self) -> String {
        match self.official {
            Some((_, RecognisedBy::Layout)) => format!("it is read as '{}'", self.layout),
            Some((_, RecognisedBy::Name)) => format!("its list is called '{}'", self.name),
            Some((_, RecognisedBy::Categories)) => {
                "it has categories of that data set only".to_owned()
            }
            None => format!("'{}' is taken for neither MVTec-AD nor VisA", self.layout),
        }
    }

    /// The augmentation of the official recipe.
    #[must_use]
    pub fn augmentation(&self) -> Augmentation {
        match self.recipe() {
            Official::Mvtec => Augmentation::official_mvtec(),
            Official::Visa => Augmentation::default(),
        }
    }

    /// The learning rate of the official recipe for these data sets together: that of MVTec-AD if they are
    /// nothing else, else that of `VisA`.
    #[must_use]
    pub fn learning_rate(sets: &[Self]) -> f32 {
        if sets.iter().all(|set| set.recipe() == Official::Mvtec) {
            2e-5
        } else {
            4e-5
        }
    }

    /// Takes about this fraction of the samples away to judge by ([`hold_out`]), each with the name under
    /// which its category is judged.
    pub fn hold_out(&mut self, fraction: f64, seed: u64) -> Vec<(String, Sample)> {
        let held_out = hold_out(&mut self.samples, fraction, seed);
        judged(&self.name, held_out)
    }

    /// All samples, to judge by, each with the name under which its category is judged.
    #[must_use]
    pub fn into_judged(self) -> Vec<(String, Sample)> {
        judged(&self.name, self.samples)
    }

    /// The data set as it stands in a run's configuration.
    #[must_use]
    pub fn source(&self, augmentation: &Augmentation, decode: &DecodeOptions) -> DataSource {
        DataSource {
            layout: self.layout.to_owned(),
            name: self.name.clone(),
            images: self.samples.len(),
            digest: digest_of_listing(&self.samples),
            augmentation: augmentation.clone(),
            orientation: decode.apply_orientation,
            bits: DataSource::bits(decode),
        }
    }
}

/// Samples under the names of their categories, which two data sets may share.
fn judged(set: &str, samples: Vec<Sample>) -> Vec<(String, Sample)> {
    let samples = samples.into_iter();
    let named = samples.map(|sample| (format!("{set}/{}", sample.category), sample));
    named.collect()
}

#[cfg(test)]
mod tests {
    use vcp_dataset::{Collection, Options, layout_or_error};

    use super::*;

    #[test]
    fn the_recipe_follows_the_data_set() {
        let folder = tempfile::tempdir().unwrap();
        for place in ["train/good", "test/good", "ground_truth"] {
            let place = folder.path().join("bolt").join(place);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("0.png"), "").unwrap();
        }
        let read = |name: &str| {
            let collection = Collection {
                places: vec![(layout_or_error(name).unwrap(), folder.path().to_owned())],
                options: Options {
                    normal: Some(folder.path().join("bolt/test/good")),
                    ..Options::default()
                },
                categories: Vec::new(),
                split_by_object: false,
            };
            collection.read().unwrap().remove(0)
        };
        let mut mvtec = TrainingSet::of(read("mvtec"), Some(Split::Test));
        assert_eq!(mvtec.recipe(), Official::Mvtec);
        assert_eq!(mvtec.reason(), "it is read as 'mvtec'");
        assert_eq!(mvtec.augmentation(), Augmentation::official_mvtec());
        assert!(mvtec.samples.iter().all(|it| it.split == Split::Test));
        let own = TrainingSet::of(read("folder"), None);
        assert_eq!(own.recipe(), Official::Visa);
        assert_eq!(
            own.reason(),
            "'folder' is taken for neither MVTec-AD nor VisA"
        );
        assert_eq!(own.augmentation(), Augmentation::default());
        let rates = [vec![mvtec.clone()], vec![mvtec.clone(), own]];
        let rates = rates.map(|sets| TrainingSet::learning_rate(&sets).to_bits());
        assert_eq!(rates, [2e-5_f32, 4e-5].map(f32::to_bits));
        let held_out = mvtec.hold_out(1.0, 3);
        assert_eq!(held_out.len(), 1);
        assert_eq!(held_out[0].0, "mvtec/bolt");
        assert!(mvtec.samples.is_empty());
    }
}
