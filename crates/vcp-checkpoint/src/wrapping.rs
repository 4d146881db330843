//! Where in a file the weights are: dictionaries around them, and what wrappers of modules add to
//! their names.

use std::collections::BTreeMap;

use crate::TensorFile;
use crate::error::{Error, ErrorKind, shorten};
use crate::tensor::Layout;

/// Parts of names that wrappers of modules add, for training on several devices, compiling and saving
/// memory. They may stand anywhere, and no model here has modules of these names.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// What training programs store beside the dictionary that holds the weights.
const COMPANIONS: [&str; 16] = [
    "amp",
    "callbacks",
    "grad_scaler",
    "hparams",
    "hyper_parameters",
    "loops",
    "lr_scheduler",
    "lr_schedulers",
    "optim",
    "optimizer",
    "optimizer_state_dict",
    "optimizer_states",
    "optimizers",
    "random_state",
    "scaler",
    "scheduler",
];

/// A few tensors that tell what a file holds: files with these names follow `convention`.
pub(crate) struct Telling<C> {
    pub(crate) convention: C,
    pub(crate) names: [&'static str; 4],
}

/// A file seen from where its weights are.
pub(crate) struct Unwrapped<'a, C> {
    pub(crate) file: &'a TensorFile,
    pub(crate) convention: C,
    /// How many of the convention's telling tensors there are.
    pub(crate) found: usize,
    /// What stands in front of the names, wrappers left out.
    prefix: String,
    /// Names after the prefix and without wrappers, to those in the file.
    names: BTreeMap<String, &'a str>,
    /// Tensors beside the weights that are not a training program's.
    beside: Vec<&'a str>,
}

/// A name without what wrappers have added.
fn without_wrappers(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| !WRAPPERS.contains(part))
        .collect();
    parts.join(".")
}

impl<'a, C: Copy> Unwrapped<'a, C> {
    /// Finds the weights by the convention and the prefix under which most telling tensors are found;
    /// if there are none, the first convention without a prefix.
    ///
    /// # Errors
    /// If there are two complete sets of them, or if two tensors have one name but for wrappers.
    pub(crate) fn of(file: &'a TensorFile, telling: &[Telling<C>]) -> Result<Self, Error> {
        let bare: Vec<(String, &str)> = file
            .names()
            .map(|name| (without_wrappers(name), name))
            .collect();
        let mut counts: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for (name, _) in &bare {
            for (index, Telling { names, .. }) in telling.iter().enumerate() {
                for prefix in names.iter().filter_map(|end| name.strip_suffix(end)) {
                    if prefix.is_empty() || prefix.ends_with('.') {
                        *counts.entry((index, prefix)).or_default() += 1;
                    }
                }
            }
        }
        let complete: Vec<&str> = counts
            .iter()
            .filter(|((index, _), count)| **count == telling[*index].names.len())
            .map(|((_, prefix), _)| *prefix)
            .collect();
        if let [one, other, ..] = complete[..] {
            let place = |prefix: &str| match prefix.trim_end_matches('.') {
                "" => "at the top".to_owned(),
                prefix => format!("under {}", shorten(prefix)),
            };
            let places = [place(one), place(other)];
            return Err(Error::in_file(
                file.label(),
                ErrorKind::Ambiguous { places },
            ));
        }
        // With as many found, the shorter prefix and the earlier convention.
        let best = counts.iter().max_by_key(|((index, prefix), count)| {
            (**count, std::cmp::Reverse((prefix.len(), *index)))
        });
        let ((index, prefix), found) = best.map_or(((0, ""), 0), |((index, prefix), count)| {
            ((*index, *prefix), *count)
        });

        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        let mut beside = Vec::new();
        for (bare, stored) in &bare {
            let Some(name) = bare.strip_prefix(prefix) else {
                let outermost = bare.split('.').next().unwrap_or_default();
                if !COMPANIONS.contains(&outermost) {
                    beside.push(*stored);
                }
                continue;
            };
            if let Some(other) = names.insert(name.to_owned(), stored) {
                let problem = format!("the file holds it twice, once as {}", shorten(other));
                let tensor = shorten(stored);
                let kind = ErrorKind::Tensor { tensor, problem };
                return Err(Error::in_file(file.label(), kind));
            }
        }
        Ok(Self {
            file,
            convention: telling[index].convention,
            found,
            prefix: prefix.to_owned(),
            names,
            beside,
        })
    }

    /// The tensor that has this name within the weights.
    pub(crate) fn layout(&self, name: &str) -> Option<&'a Layout> {
        self.file.layout(self.names.get(name)?)
    }

    /// All names within the weights.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The name within the file of what has this name within the weights, or would have.
    pub(crate) fn stored_name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(stored) => (*stored).to_owned(),
            None => format!("{}{name}", self.prefix),
        }
    }

    /// Tensors beside the weights that are not a training program's.
    pub(crate) fn beside(&self) -> &[&'a str] {
        &self.beside
    }
}

impl<'a> Unwrapped<'a, ()> {
    /// A file in which tensors stand under the very names that are looked for.
    pub(crate) fn plain(file: &'a TensorFile) -> Self {
        Self {
            file,
            convention: (),
            found: 0,
            prefix: String::new(),
            names: file.names().map(|name| (name.to_owned(), name)).collect(),
            beside: Vec::new(),
        }
    }
}
