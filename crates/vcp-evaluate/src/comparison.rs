//! Two results side by side.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::category::CategoryResult;
use crate::figures::Figures;
use crate::results::Results;

/// Differences between two results, second minus first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Categories that both have, in the first one's order.
    pub categories: Vec<ComparedRow>,
    /// The means as each file states them, over all of its own categories.
    pub mean: ComparedRow,
    /// Categories that only the first has.
    pub only_first: Vec<String>,
    /// Categories that only the second has.
    pub only_second: Vec<String>,
    /// What differs in model and protocol.
    pub settings: Vec<SettingChange>,
}

/// Figures of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRow {
    /// The category, with its data set in front where a file has several.
    pub name: String,
    /// The figures in the first results.
    pub first: Figures,
    /// The figures in the second results.
    pub second: Figures,
    /// Second minus first; `None` where either is undefined.
    pub difference: Figures,
}

/// Something that differs in model or protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingChange {
    /// The setting's name, such as `protocol.smoothing`.
    pub name: String,
    /// The value in the first results.
    pub first: Value,
    /// The value in the second results.
    pub second: Value,
}

impl ComparedRow {
    pub(crate) fn new(name: String, first: &Figures, second: &Figures) -> Self {
        let difference = Figures::from_fn(|key| Some(second.get(key)? - first.get(key)?));
        Self {
            name,
            first: first.clone(),
            second: second.clone(),
            difference,
        }
    }
}

impl Comparison {
    /// Compares two results, category by category: those with the same name in data sets of the same
    /// name, or of whatever name if each file has only one data set.
    #[must_use]
    pub fn of(first: &Results, second: &Results) -> Self {
        let with_dataset = [first, second].iter().any(|results| datasets(results) > 1);
        let name = |category: &CategoryResult| {
            if with_dataset {
                format!("{}/{}", category.dataset, category.row.name)
            } else {
                category.row.name.clone()
            }
        };
        let mut others: BTreeMap<String, &CategoryResult> = second
            .categories
            .iter()
            .map(|category| (name(category), category))
            .collect();
        let mut categories = Vec::new();
        let mut only_first = Vec::new();
        for category in &first.categories {
            let name = name(category);
            match others.remove(&name) {
                Some(other) => categories.push(ComparedRow::new(
                    name,
                    &category.row.figures,
                    &other.row.figures,
                )),
                None => only_first.push(name),
            }
        }
        let mut settings = Vec::new();
        differences("model", &first.model, &second.model, &mut settings);
        differences("protocol", &first.protocol, &second.protocol, &mut settings);
        let mean = ComparedRow::new("mean".to_owned(), &first.mean.figures, &second.mean.figures);
        Self {
            categories,
            mean,
            only_first,
            only_second: others.into_keys().collect(),
            settings,
        }
    }
}

fn datasets(results: &Results) -> usize {
    let mut names: Vec<&str> = results
        .categories
        .iter()
        .map(|category| category.dataset.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// Objects are entered; everything else is compared whole.
fn differences(name: &str, first: &Value, second: &Value, found: &mut Vec<SettingChange>) {
    if let (Value::Object(a), Value::Object(b)) = (first, second) {
        let further = b.keys().filter(|key| !a.contains_key(*key));
        for key in a.keys().chain(further) {
            let null = Value::Null;
            let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
            differences(&format!("{name}.{key}"), a, b, found);
        }
    } else if first != second {
        found.push(SettingChange {
            name: name.to_owned(),
            first: first.clone(),
            second: second.clone(),
        });
    }
}
