//! The mean of several states of a model in training.

use std::collections::BTreeMap;
use std::path::Path;

use vcp_checkpoint::{TensorFile, Weights};

use crate::Error;

/// Sets weights to the mean over files of the same model, each counting the same: the learned part to
/// that of checkpoints in the official layout, all of it to that of bundles. Sums are made in `f64`, so
/// that the order hardly matters; the mean of one is that one.
///
/// # Errors
/// When a file cannot be read or is of another model.
pub fn average(weights: &mut Weights, files: &[impl AsRef<Path>]) -> Result<(), Error> {
    let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for path in files {
        let file = TensorFile::open(path.as_ref())?;
        let values = if file.is_bundle() {
            let bundle = Weights::from_bundle(&file)?;
            let tensors = bundle.tensors();
            let values = tensors.map(|tensor| (tensor.name().to_owned(), tensor.to_f32()));
            values.collect()
        } else {
            weights.read_checkpoint(&file)?
        };
        for (name, values) in values {
            let sum = sums.entry(name).or_insert_with(|| vec![0.0; values.len()]);
            if sum.len() != values.len() {
                return Err(Error::Recipe(format!(
                    "{} is of another model than the files before it, so it cannot be averaged with \
                     them.",
                    path.as_ref().display()
                )));
            }
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += f64::from(value);
            }
        }
    }
    let count = files.len() as f64;
    for (name, sum) in sums {
        let mean = sum.iter().map(|sum| (sum / count) as f32);
        weights.replace(&name, mean.collect())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_checkpoint::{Geometry, Settings, Storing, TowerGeometry};

    #[test]
    fn every_checkpoint_counts_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let geometry = Geometry {
            embedding_width: 64,
            vision: TowerGeometry::new(2, 64),
            text: TowerGeometry::new(2, 64),
            tap_count: 2,
            ..Geometry::vit_b_16()
        };
        let settings = Settings::for_geometry(&geometry);
        let model = |seed| Weights::random(geometry, settings.clone(), seed).unwrap();
        let paths: Vec<_> = (1..4)
            .map(|seed| {
                let path = folder.path().join(format!("{seed}.pth"));
                model(seed).write_checkpoint(&path).unwrap();
                path
            })
            .collect();
        let mut found = model(9);
        average(&mut found, &paths).unwrap();
        for tensor in found.tensors() {
            let name = tensor.name();
            let of = |seed| model(seed).tensor(name).unwrap().to_f32();
            let expected: Vec<f32> = if name.starts_with("vcp.") {
                let all = [of(1), of(2), of(3)];
                (0..all[0].len())
                    .map(|i| {
                        let sum: f64 = all.iter().map(|one| f64::from(one[i])).sum();
                        (sum / 3.0) as f32
                    })
                    .collect()
            } else {
                of(9)
            };
            assert_eq!(tensor.to_f32(), expected, "{name}");
        }
        let bundle = folder.path().join("7.safetensors");
        model(7).write_bundle(&bundle, Storing::AsStored).unwrap();
        average(&mut found, &[bundle]).unwrap();
        for tensor in found.tensors() {
            let expected = model(7).tensor(tensor.name()).unwrap().to_f32();
            assert_eq!(tensor.to_f32(), expected, "{}", tensor.name());
        }
        average(&mut found, &paths[1..2]).unwrap();
        for tensor in found.tensors() {
            let name = tensor.name();
            let source = if name.starts_with("vcp.") { 2 } else { 7 };
            let expected = model(source).tensor(name).unwrap().to_f32();
            assert_eq!(tensor.to_f32(), expected, "{name}");
        }
    }
}
