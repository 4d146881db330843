//! Several data sets that are read for one purpose.

use std::path::PathBuf;

use crate::{Dataset, Error, Layout, Options, read};

/// Data sets that are evaluated, trained on or converted together: where they lie, and what is wanted of
/// them. Nothing is read before [`Collection::read`].
#[derive(Clone)]
pub struct Collection {
    /// Layout and folder of each data set.
    pub places: Vec<(&'static dyn Layout, PathBuf)>,
    /// How all of them are read.
    pub options: Options,
    /// The categories that are kept; all if empty. Each has to be in one of the data sets at least.
    pub categories: Vec<String>,
    /// Whether images of one object are kept on one side of the split
    /// ([`Dataset::split_by_group`]).
    pub split_by_object: bool,
}

/// A data set of a [`Collection`], as it was read.
#[derive(Clone, Debug)]
pub struct Member {
    /// Name of the layout as which it was read.
    pub layout: &'static str,
    /// The data set with the categories that were asked for. Its name differs from those of the other
    /// data sets of the collection.
    pub dataset: Dataset,
    /// Why not one of its images can be used, as full sentences; `None` if one can be, also if it is in
    /// a category that was not asked for.
    pub why_empty: Option<String>,
}

impl Collection {
    /// Reads the data sets. Each keeps the categories that were asked for and that it has. Where two have
    /// the same name, `-2`, `-3` … is added to that of the later one.
    ///
    /// # Errors
    /// When one cannot be read ([`read`]); [`Error::NoCategory`] if no data set has a category that was
    /// asked for, or [`Error::NothingUsable`] if one of them has no image that can be used, which
    /// explains it.
    pub fn read(&self) -> Result<Vec<Member>, Error> {
        let mut all: Vec<Member> = Vec::with_capacity(self.places.len());
        for (layout, root) in &self.places {
            let mut dataset = read(*layout, root, &self.options)?;
            if self.split_by_object {
                dataset.split_by_group();
            }
            if let Some(limit) = self.options.mask_threshold {
                dataset.set_mask_threshold(limit);
            }
            let taken = |name: &str| all.iter().any(|member| member.dataset.name == name);
            if taken(&dataset.name) {
                let mut numbered = (2_usize..).map(|number| format!("{}-{number}", dataset.name));
                dataset.name = numbered.find(|name| !taken(name)).unwrap_or_default();
            }
            all.push(Member {
                layout: layout.name(),
                why_empty: dataset.why_empty(),
                dataset,
            });
        }
        self.keep_categories(&mut all)?;
        Ok(all)
    }

    fn keep_categories(&self, all: &mut [Member]) -> Result<(), Error> {
        if self.categories.is_empty() {
            return Ok(());
        }
        let known: Vec<Vec<String>> = all.iter().map(|it| it.dataset.categories()).collect();
        for name in &self.categories {
            if !known.iter().any(|own| own.contains(name)) {
                if let Some(reason) = all.iter().find_map(|member| member.why_empty.clone()) {
                    return Err(Error::NothingUsable { reason });
                }
                return Err(Error::NoCategory {
                    category: name.clone(),
                    known: known.concat(),
                });
            }
        }
        for member in all {
            let samples = &mut member.dataset.samples;
            samples.retain(|sample| self.categories.contains(&sample.category));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;
    use crate::testing::Fixture;

    fn collection(fixture: &Fixture, categories: &[&str]) -> Collection {
        let mvtec = layout("mvtec").unwrap();
        let place = |name: &str| (mvtec, fixture.root().join(name));
        Collection {
            places: ["one", "two"].map(place).into(),
            options: Options::default(),
            categories: categories.iter().map(|&name| name.to_owned()).collect(),
            split_by_object: false,
        }
    }

    #[test]
    fn each_keeps_its_own_of_the_categories_that_were_asked_for() {
        let fixture = Fixture::new();
        for place in ["one/bolt", "one/nut", "two/nut", "two/screw"] {
            fixture.picture(&format!("{place}/train/good/0.png"), 4, 4);
            fixture.picture(&format!("{place}/test/good/0.png"), 4, 4);
        }
        let read = collection(&fixture, &["nut", "bolt"]).read().unwrap();
        let categories = |at: usize| read[at].dataset.categories();
        assert_eq!(categories(0), ["bolt", "nut"]);
        assert_eq!(categories(1), ["nut"]);
        assert_eq!(read[0].dataset.name, "mvtec");
        assert_eq!(read[1].dataset.name, "mvtec-2");

        let read = collection(&fixture, &["screw"]).read().unwrap();
        assert!(read[0].dataset.samples.is_empty());
        assert_eq!(read[0].why_empty, None);
        assert_eq!(read[1].dataset.samples.len(), 2);

        let error = collection(&fixture, &["nut", "gear"]).read().unwrap_err();
        assert!(matches!(&error, Error::NoCategory { category, .. } if category == "gear"));
        assert_eq!(
            error.to_string(),
            "There is no category 'gear'; there are bolt, nut, screw, nut."
        );
    }
}
