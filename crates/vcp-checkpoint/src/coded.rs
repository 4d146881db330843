//! Narrow matrices that a bundle stores as 8-bit codes: found, checked, and joined with their scales.

use std::collections::HashMap;
use std::sync::Arc;

use crate::assemble::{Collector, Tensors};
use crate::codes::{is_scale, scale_name, scaled_name};
use crate::error::ProblemKind;
use crate::names::TensorSpec;
use crate::tensor::{Content, Layout, Tensor};
use crate::wrapping::Unwrapped;
use crate::{ElementType, NarrowMatrix, TensorFile};

/// The byte of the code -128, which has no negative.
const NO_CODE: u8 = 0x80;
/// Codes looked at before their pages may leave memory.
const BLOCK: usize = 64 << 20;

impl Collector {
    /// Takes the narrow matrices among `specs` that the file stores as codes for such. The tensors of their scales.
    pub(crate) fn expect_codes(
        &mut self,
        file: &TensorFile,
        specs: &[TensorSpec],
    ) -> Vec<TensorSpec> {
        let has_codes = |spec: &&TensorSpec| {
            let stored = file.layout(&spec.name);
            NarrowMatrix::of(&spec.name).is_some()
                && stored.is_some_and(|layout| layout.element_type == ElementType::I8)
        };
        let coded: Vec<&TensorSpec> = specs.iter().filter(has_codes).collect();
        self.codes
            .extend(coded.iter().map(|spec| spec.name.clone()));
        let scales = coded.iter().map(|spec| TensorSpec {
            name: scale_name(&spec.name),
            shape: spec.shape.iter().take(1).copied().collect(),
            optional: false,
        });
        scales.collect()
    }

    /// Takes the tensors of `scales` out of those collected, and gives each matrix its own.
    pub(crate) fn attach_scales<C: Copy>(
        &mut self,
        file: &Unwrapped<'_, C>,
        tensors: &mut Tensors,
        scales: &[TensorSpec],
    ) {
        let first = tensors.len()
            - tensors
                .iter()
                .rev()
                .take_while(|(name, _)| scales.iter().any(|spec| spec.name == *name))
                .count();
        let mut found: HashMap<String, Layout> = tensors.drain(first..).collect();
        for (name, layout) in tensors {
            if !self.codes.contains(name) {
                continue;
            }
            // A matrix without scales is a problem that is noted already.
            let Some((scale, stored)) = found.remove_entry(&scale_name(name)) else {
                continue;
            };
            match read_scales(file.file, &scale, &stored) {
                Ok(values) => layout.scaling.rows = Some(values),
                Err(problem) => self.note(file, &scale, ProblemKind::Codes { problem }),
            }
            if let Err(problem) = check_codes(file.file, layout) {
                self.note(file, name, ProblemKind::Codes { problem });
            }
        }
    }
}

fn read_scales(file: &TensorFile, name: &str, layout: &Layout) -> Result<Arc<[f32]>, String> {
    if layout.element_type != ElementType::F32 {
        return Err(format!("holds {}, expected f32", layout.element_type));
    }
    let tensor = Tensor {
        name,
        layout,
        storages: file.storages(),
    };
    let values = tensor.to_f32();
    match values.iter().position(|scale| !is_scale(*scale)) {
        Some(row) => Err(format!(
            "holds {} for row {row} of {}, expected a number above 0 of which 127 times is finite",
            values[row],
            crate::error::shorten(scaled_name(name))
        )),
        None => Ok(values.into()),
    }
}

/// Refuses the code -128, so that whoever computes with codes can change their sign.
fn check_codes(file: &TensorFile, layout: &Layout) -> Result<(), String> {
    let elements = layout.rows() * layout.row_length();
    for block in &layout.blocks {
        let Content::View(view) = &block.content else {
            continue;
        };
        let storage = &file.storages()[view.storage];
        for start in (0..elements).step_by(BLOCK) {
            let end = elements.min(start + BLOCK);
            let range = view.start + start..view.start + end;
            let codes = &storage.bytes()[range.clone()];
            if codes.contains(&NO_CODE) {
                let first = codes.iter().position(|code| *code == NO_CODE);
                return Err(format!(
                    "holds the code -128 at element {}, expected -127 to 127",
                    start + first.unwrap_or_default()
                ));
            }
            storage.release(range);
        }
    }
    Ok(())
}
