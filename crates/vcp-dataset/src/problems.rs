//! What is wrong with a data set, all in all.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::Problem;

/// The problems of a data set, in the order in which they were met: all are counted, and the first
/// [`Problems::KEPT`] of each kind are kept. A list of millions of lines may be wrong in each of them.
///
/// As a slice, these are the problems that were kept.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    counts: HashMap<Discriminant<Problem>, usize>,
}

impl Problems {
    /// How many of each kind are kept.
    pub const KEPT: usize = 100;

    /// Counts a problem, and keeps it if it is among the first of its kind.
    pub fn push(&mut self, problem: Problem) {
        let count = self.counts.entry(discriminant(&problem)).or_default();
        *count += 1;
        if *count <= Self::KEPT {
            self.kept.push(problem);
        }
    }

    /// How many problems there are, with those that were not kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many problems were counted, but not kept.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.count() - self.kept.len()
    }
}

impl Deref for Problems {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        &self.kept
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        for problem in problems {
            self.push(problem);
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.iter()
    }
}

impl PartialEq for Problems {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept && self.counts == other.counts
    }
}

impl Eq for Problems {}

impl<const COUNT: usize> PartialEq<[Problem; COUNT]> for Problems {
    fn eq(&self, other: &[Problem; COUNT]) -> bool {
        self.left_out() == 0 && self.kept == other
    }
}

/// Writes the problems that were kept.
impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_of_each_kind_kept() {
        let bad = |line: usize| Problem::BadEntry {
            list: "list.csv".into(),
            line: Some(line as u64),
            reason: "it is odd".to_owned(),
        };
        let mut problems = Problems::default();
        problems.extend((0..1000).map(bad));
        let other = Problem::UnplacedImage {
            image: "1.png".into(),
        };
        problems.push(other.clone());
        assert_eq!((problems.count(), problems.len()), (1001, 101));
        assert_eq!((&problems[0], &problems[99]), (&bad(0), &bad(99)));
        // What is rare is not crowded out by what is frequent.
        assert_eq!(problems.last(), Some(&other));
        assert_eq!(problems.left_out(), 900);
    }
}
