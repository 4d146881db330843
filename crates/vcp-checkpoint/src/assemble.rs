//! From the tensors of files to a complete model: geometry from shapes, then every tensor checked
//! against the table of names, all problems collected.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Problem, ProblemKind};
use crate::geometry::CLIP_VOCABULARY;
use crate::names::{TOKEN_EMBEDDING, TensorSpec, VCP, clip_specs, vcp_specs};
use crate::naming::{Naming, Piece};
use crate::tensor::{Block, Content, Layout};
use crate::{Geometry, LearnedGeometry, TensorFile, TowerGeometry};

/// Blocks looked for; far beyond any CLIP, and keeps a hostile index from making a list without end.
const MAX_BLOCKS: usize = 512;

/// A model's tensors in canonical order.
pub(crate) type Tensors = Vec<(String, Layout)>;

/// Joins CLIP and checkpoint. Storage 0 of the layouts is CLIP's file, storage 1 the checkpoint's.
pub(crate) fn from_parts(
    clip: &TensorFile,
    checkpoint: &TensorFile,
) -> Result<(Geometry, Tensors), Error> {
    let naming = Naming::of(clip);
    let vcp = VcpNaming::of(checkpoint);
    let mut geometry = clip_geometry(clip, &naming);
    vcp.complete(checkpoint, &mut geometry);

    let mut collector = Collector::default();
    let mut tensors = collect_clip(&mut collector, clip, &naming, &geometry);
    tensors.extend(collector.collect(
        checkpoint,
        1,
        &vcp_specs(&geometry),
        |spec| vcp.pieces(spec),
        |_| false,
    ));
    collector.finish()?;
    geometry
        .validate()
        .map_err(|kind| Error::in_file(clip.label(), kind))?;
    Ok((geometry, tensors))
}

/// CLIP alone. What the learned parts' number says about the geometry comes from `learned`.
pub(crate) fn from_clip(
    clip: &TensorFile,
    learned: LearnedGeometry,
) -> Result<(Geometry, Tensors), Error> {
    let naming = Naming::of(clip);
    let geometry = Geometry {
        context_vectors: learned.context_vectors,
        deep_prompts: learned.deep_prompts,
        deep_prompting: learned.deep_prompting,
        tap_count: learned.tap_count,
        ..clip_geometry(clip, &naming)
    };
    let mut collector = Collector::default();
    let tensors = collect_clip(&mut collector, clip, &naming, &geometry);
    collector.finish()?;
    geometry
        .validate()
        .map_err(|kind| Error::in_file(clip.label(), kind))?;
    Ok((geometry, tensors))
}

/// The learned part of a model of this geometry alone.
pub(crate) fn from_checkpoint(file: &TensorFile, geometry: &Geometry) -> Result<Tensors, Error> {
    let naming = VcpNaming::of(file);
    let mut collector = Collector::default();
    let tensors = collector.collect(
        file,
        0,
        &vcp_specs(geometry),
        |spec| naming.pieces(spec),
        |_| false,
    );
    collector.finish()?;
    Ok(tensors)
}

fn collect_clip(
    collector: &mut Collector,
    clip: &TensorFile,
    naming: &Naming,
    geometry: &Geometry,
) -> Tensors {
    collector.collect(
        clip,
        0,
        &clip_specs(geometry),
        |spec| naming.pieces(&spec.name),
        |name| naming.is_ignored(name),
    )
}

/// The tensors of a file that has them under canonical names and whose geometry is known.
pub(crate) fn from_bundle(file: &TensorFile, geometry: &Geometry) -> Result<Tensors, Error> {
    geometry
        .validate()
        .map_err(|kind| Error::in_file(file.label(), kind))?;
    let mut collector = Collector::default();
    let specs = crate::names::tensor_specs(geometry);
    let same = |spec: &TensorSpec| {
        vec![Piece {
            name: spec.name.clone(),
            transposed: false,
        }]
    };
    let tensors = collector.collect(file, 0, &specs, same, |_| false);
    collector.finish()?;
    Ok(tensors)
}

#[derive(Default)]
struct Collector {
    problems: Vec<Problem>,
}

impl Collector {
    fn finish(self) -> Result<(), Error> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Mismatch {
                problems: self.problems,
            }))
        }
    }

    /// Finds every tensor of `specs` in the file, and notes what is missing, wrong, or left over.
    fn collect(
        &mut self,
        file: &TensorFile,
        storage: usize,
        specs: &[TensorSpec],
        pieces: impl Fn(&TensorSpec) -> Vec<Piece>,
        is_ignored: impl Fn(&str) -> bool,
    ) -> Tensors {
        let mut used = HashSet::new();
        let mut tensors = Vec::new();
        for spec in specs {
            let pieces = pieces(spec);
            used.extend(pieces.iter().map(|piece| piece.name.clone()));
            if let Some(layout) = self.assemble(file, storage, spec, &pieces) {
                tensors.push((spec.name.clone(), layout));
            }
        }
        for name in file
            .names()
            .filter(|name| !used.contains(*name) && !is_ignored(name))
        {
            if let Some(layout) = file.layout(name) {
                self.note(
                    file,
                    name,
                    ProblemKind::Unknown {
                        found: layout.shape.clone(),
                    },
                );
            }
        }
        tensors
    }

    fn assemble(
        &mut self,
        file: &TensorFile,
        storage: usize,
        spec: &TensorSpec,
        pieces: &[Piece],
    ) -> Option<Layout> {
        // Rows are shared out evenly: queries, keys and values.
        let mut shape = spec.shape.clone();
        if pieces.len() > 1 {
            shape[0] /= pieces.len();
        }
        let mut parts = Vec::new();
        for piece in pieces {
            parts.extend(self.part(file, spec, piece, &shape));
        }
        if parts.len() != pieces.len() {
            return None;
        }
        let element_type = parts
            .iter()
            .map(|part| part.element_type)
            .reduce(crate::ElementType::widest)?;
        let mut blocks: Vec<Block> = parts.into_iter().flat_map(|part| part.blocks).collect();
        for block in &mut blocks {
            if let Content::View(view) = &mut block.content {
                view.storage = storage;
            }
        }
        let rows: usize = blocks.iter().map(|block| block.rows).sum();
        let wanted = spec.shape.first().copied().unwrap_or(1);
        if wanted > rows {
            blocks.push(Block {
                rows: wanted - rows,
                content: Content::Zeros,
            });
        }
        Some(Layout {
            shape: spec.shape.clone(),
            element_type,
            blocks,
        })
    }

    /// One stored tensor, turned the canonical way round, if it is as it should be.
    fn part(
        &mut self,
        file: &TensorFile,
        spec: &TensorSpec,
        piece: &Piece,
        canonical: &[usize],
    ) -> Option<Layout> {
        let mut expected = canonical.to_vec();
        if piece.transposed {
            expected.reverse();
        }
        let Some(layout) = file.layout(&piece.name) else {
            if !spec.optional {
                self.note(file, &piece.name, ProblemKind::Missing { expected });
            }
            return None;
        };
        if !layout.element_type.is_float() {
            self.note(
                file,
                &piece.name,
                ProblemKind::Type {
                    found: layout.element_type,
                },
            );
            return None;
        }
        let same = |expected: &[usize]| {
            layout.shape.len() == expected.len()
                && layout
                    .shape
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| *expected == 0 || found == expected)
        };
        // OpenAI's files lack the row of <|class|>, which is zero and always replaced.
        let lacks_class_row = spec.name == TOKEN_EMBEDDING
            && expected[0] == CLIP_VOCABULARY + 1
            && same(&[CLIP_VOCABULARY, expected[1]]);
        // Some programs save a scalar as a tensor of one element.
        let scalar = expected.is_empty() && layout.shape == [1];
        if !same(&expected) && !lacks_class_row && !scalar {
            self.note(
                file,
                &piece.name,
                ProblemKind::Shape {
                    found: layout.shape.clone(),
                    expected,
                },
            );
            return None;
        }
        let mut layout = layout.clone();
        if piece.transposed {
            transpose(&mut layout);
        }
        Some(layout)
    }

    fn note(&mut self, file: &TensorFile, tensor: &str, kind: ProblemKind) {
        self.problems.push(Problem {
            file: file.label().to_owned(),
            tensor: tensor.to_owned(),
            kind,
        });
    }
}

/// Swaps the two dimensions of a tensor by swapping its strides.
fn transpose(layout: &mut Layout) {
    layout.shape.reverse();
    for block in &mut layout.blocks {
        block.rows = layout.shape.first().copied().unwrap_or(1);
        if let Content::View(view) = &mut block.content {
            view.strides.reverse();
        }
    }
}

/// The geometry as far as CLIP's shapes tell it; lengths that they do not tell are 0.
fn clip_geometry(file: &TensorFile, naming: &Naming) -> Geometry {
    // The length of the first of these tensors that is there with that number of dimensions.
    let length = |candidates: &[(&str, usize, usize)]| {
        candidates
            .iter()
            .find_map(|&(name, rank, axis)| {
                let pieces = naming.pieces(name);
                let [piece] = &pieces[..] else { return None };
                let shape = &file.layout(&piece.name)?.shape;
                let axis = if piece.transposed {
                    rank - 1 - axis
                } else {
                    axis
                };
                (shape.len() == rank).then(|| shape[axis])
            })
            .unwrap_or(0)
    };
    let vision_width = length(&[
        ("visual.conv1.weight", 4, 0),
        ("visual.class_embedding", 1, 0),
        ("visual.ln_pre.weight", 1, 0),
        ("visual.ln_post.weight", 1, 0),
        ("visual.proj", 2, 0),
    ]);
    let text_width = length(&[
        ("token_embedding.weight", 2, 1),
        ("positional_embedding", 2, 1),
        ("ln_final.weight", 1, 0),
        ("text_projection", 2, 0),
    ]);
    let rows = length(&[("visual.positional_embedding", 2, 0)]);
    Geometry {
        embedding_width: length(&[("text_projection", 2, 1), ("visual.proj", 2, 1)]),
        vision: TowerGeometry::new(count(file, &naming.block_prefix(true)), vision_width),
        patch_size: length(&[("visual.conv1.weight", 4, 3), ("visual.conv1.weight", 4, 2)]),
        native_grid: rows.saturating_sub(1).isqrt(),
        text: TowerGeometry::new(count(file, &naming.block_prefix(false)), text_width),
        context_length: length(&[("positional_embedding", 2, 0)]),
        vocabulary: CLIP_VOCABULARY + 1,
        context_vectors: 0,
        deep_prompts: 0,
        deep_prompting: true,
        tap_count: 0,
    }
}

/// One more than the largest number that follows `prefix` in a name.
fn count(file: &TensorFile, prefix: &str) -> usize {
    file.names()
        .filter_map(|name| {
            name.strip_prefix(prefix)?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .filter(|index| *index < MAX_BLOCKS)
        .max()
        .map_or(0, |index| index + 1)
}

/// The names of a checkpoint: the official ones, after a prefix that all of them share.
struct VcpNaming {
    prefix: &'static str,
}

impl VcpNaming {
    fn of(file: &TensorFile) -> Self {
        let prefix = ["module.", VCP].into_iter().find(|prefix| {
            file.names().next().is_some() && file.names().all(|name| name.starts_with(prefix))
        });
        Self {
            prefix: prefix.unwrap_or_default(),
        }
    }

    fn pieces(&self, spec: &TensorSpec) -> Vec<Piece> {
        let name = spec.name.strip_prefix(VCP).unwrap_or(&spec.name);
        vec![Piece {
            name: format!("{}{name}", self.prefix),
            transposed: false,
        }]
    }

    /// Adds what only the checkpoint tells.
    fn complete(&self, file: &TensorFile, geometry: &mut Geometry) {
        let length = |name: &str, rank: usize, axis: usize| {
            file.layout(&format!("{}{name}", self.prefix))
                .filter(|layout| layout.shape.len() == rank)
                .map(|layout| layout.shape[axis])
        };
        geometry.context_vectors = length("New_Lan_Embed.prompt_query", 3, 1)
            .or_else(|| length("New_Lan_Embed.prompt_linear1.fc.bias", 1, 0))
            .unwrap_or(0);
        geometry.deep_prompts = length("prompt_embeddings", 3, 1)
            .or_else(|| length("deep_prompt_embeddings", 3, 1))
            .unwrap_or(0);
        geometry.deep_prompting = file
            .layout(&format!("{}deep_prompt_embeddings", self.prefix))
            .is_some();
        geometry.tap_count = count(file, &format!("{}trainable_linearlayer.fc.", self.prefix));
    }
}
