//! From the tensors of files to a complete model: geometry from shapes, then every tensor checked
//! against the table of names, all problems collected.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Problem, ProblemKind, shorten};
use crate::geometry::CLIP_VOCABULARY;
use crate::names::{TOKEN_EMBEDDING, TensorSpec, VCP, clip_specs, vcp_specs};
use crate::naming::{Clip, Naming, Piece};
use crate::scaling::Scaling;
use crate::tensor::{Block, Content, Layout};
use crate::wrapping::{Telling, Unwrapped};
use crate::{
    ElementType, Geometry, Kind, LearnedGeometry, LoadOptions, TensorFile, TowerGeometry, shard,
};

/// Blocks looked for; far beyond any CLIP, and keeps a hostile index from making a list without end.
const MAX_BLOCKS: usize = 512;

/// Whose names are known, the end of a sentence about tensors.
const CLIP_NAMES: &str = "OpenAI, open_clip, Hugging Face or the official VCP-CLIP code give";

/// A model's tensors in canonical order.
pub(crate) type Tensors = Vec<(String, Layout)>;

/// Joins CLIP and checkpoint. In the layouts, CLIP's storages come first.
pub(crate) fn from_parts(
    clip: &TensorFile,
    checkpoint: &TensorFile,
    options: LoadOptions,
) -> Result<(Geometry, Collected), Error> {
    let (naming, clip) = clip_within(clip)?;
    let vcp = vcp_within(checkpoint)?;
    let mut geometry = clip_geometry(&clip, &naming);
    complete(&vcp, &mut geometry);

    let mut collector = Collector::new(options);
    let mut tensors = collect_clip(&mut collector, &clip, &naming, &geometry);
    let first_storage = clip.file.storages().len();
    tensors.extend(collector.collect(
        &vcp,
        first_storage,
        &vcp_specs(&geometry),
        vcp_pieces,
        |_| false,
    ));
    let collected = collector
        .finish(tensors)
        .map_err(|error| or_part(clip.file, error))
        .map_err(|error| or_part(vcp.file, error))?;
    geometry
        .validate()
        .map_err(|kind| Error::in_file(clip.file.label(), kind))?;
    Ok((geometry, collected))
}

/// CLIP alone. What the learned parts' number says about the geometry comes from `learned`.
pub(crate) fn from_clip(
    clip: &TensorFile,
    learned: LearnedGeometry,
    options: LoadOptions,
) -> Result<(Geometry, Collected), Error> {
    let (naming, clip) = clip_within(clip)?;
    let geometry = Geometry {
        context_vectors: learned.context_vectors,
        deep_prompts: learned.deep_prompts,
        deep_prompting: learned.deep_prompting,
        tap_count: learned.tap_count,
        ..clip_geometry(&clip, &naming)
    };
    let mut collector = Collector::new(options);
    let tensors = collect_clip(&mut collector, &clip, &naming, &geometry);
    let collected = collector
        .finish(tensors)
        .map_err(|error| or_part(clip.file, error))?;
    geometry
        .validate()
        .map_err(|kind| Error::in_file(clip.file.label(), kind))?;
    Ok((geometry, collected))
}

/// The learned part of a model of this geometry alone.
pub(crate) fn from_checkpoint(file: &TensorFile, geometry: &Geometry) -> Result<Tensors, Error> {
    let vcp = vcp_within(file)?;
    let mut collector = Collector::new(LoadOptions::default());
    let tensors = collector.collect(&vcp, 0, &vcp_specs(geometry), vcp_pieces, |_| false);
    Ok(collector.finish(tensors)?.tensors)
}

/// CLIP within a file.
///
/// # Errors
/// If there is none, or more than one.
fn clip_within(file: &TensorFile) -> Result<(Naming, Clip<'_>), Error> {
    let (naming, clip) = Naming::of(file)?;
    if clip.found == 0 {
        return Err(none_of_it(file, "CLIP's weights", CLIP_NAMES));
    }
    Ok((naming, clip))
}

/// The learned part within a file.
///
/// # Errors
/// As [`clip_within`].
fn vcp_within(file: &TensorFile) -> Result<Vcp<'_>, Error> {
    let vcp = Unwrapped::of(file, &VCP_TELLING)?;
    if vcp.found == 0 {
        return Err(none_of_it(file, "a VCP-CLIP checkpoint", CLIP_NAMES));
    }
    Ok(vcp)
}

/// If the error is that tensors are missing in a file that is a part of a larger one, that instead.
fn or_part(file: &TensorFile, error: Error) -> Error {
    let is_missing_here = |problem: &Problem| {
        matches!(problem.kind, ProblemKind::Missing { .. }) && problem.file == file.label()
    };
    match (error.kind(), shard::error(file)) {
        (ErrorKind::Mismatch { problems }, Some(part)) if problems.iter().any(is_missing_here) => {
            Error::in_file(file.label(), part)
        }
        _ => error,
    }
}

/// That a file does not hold what was expected, which has the names that `known_names` says.
pub(crate) fn none_of_it(
    file: &TensorFile,
    expected: &'static str,
    known_names: &'static str,
) -> Error {
    if let Some(kind) = shard::error(file) {
        return Error::in_file(file.label(), kind);
    }
    let names: Vec<String> = file.names().take(3).map(shorten).collect();
    let found = match (file.kind(), file.names().count()) {
        (Kind::Tensors, 0) => "it holds no tensors".to_owned(),
        (Kind::Tensors, count) => format!(
            "its {count} tensors have other names, such as {}",
            names.join(", ")
        ),
        (kind, _) => format!("it is {kind}"),
    };
    Error::in_file(
        file.label(),
        ErrorKind::OtherWeights {
            expected,
            found,
            names: known_names,
        },
    )
}

fn collect_clip(
    collector: &mut Collector,
    clip: &Clip<'_>,
    naming: &Naming,
    geometry: &Geometry,
) -> Tensors {
    collector.collect(
        clip,
        0,
        &clip_specs(geometry),
        |spec| naming.pieces(&spec.name),
        Naming::is_ignored,
    )
}

/// The tensors of a file that has them under canonical names and whose geometry is known, and those that it has
/// `beside` the model's, at the end. Narrow matrices may be stored as codes where `has_codes`.
pub(crate) fn from_bundle(
    file: &TensorFile,
    geometry: &Geometry,
    beside: &[TensorSpec],
    has_codes: bool,
    options: LoadOptions,
) -> Result<Collected, Error> {
    geometry
        .validate()
        .map_err(|kind| Error::in_file(file.label(), kind))?;
    let mut collector = Collector::new(options);
    let own = crate::names::tensor_specs(geometry);
    let scales = if has_codes {
        collector.expect_codes(file, &own)
    } else {
        Vec::new()
    };
    let specs = [&own[..], beside, &scales].concat();
    let same = |spec: &TensorSpec| {
        vec![Piece {
            name: spec.name.clone(),
            transposed: false,
        }]
    };
    let plain = Unwrapped::plain(file);
    let mut tensors = collector.collect(&plain, 0, &specs, same, |_| false);
    collector.attach_scales(&plain, &mut tensors, &scales);
    collector.finish(tensors)
}

/// A model's tensors, and those that its files hold beside them.
pub(crate) struct Collected {
    pub(crate) tensors: Tensors,
    pub(crate) ignored: Vec<Problem>,
}

pub(crate) struct Collector {
    options: LoadOptions,
    problems: Vec<Problem>,
    ignored: Vec<Problem>,
    /// Tensors that may be stored as codes.
    pub(crate) codes: HashSet<String>,
}

impl Collector {
    pub(crate) fn new(options: LoadOptions) -> Self {
        Self {
            options,
            problems: Vec::new(),
            ignored: Vec::new(),
            codes: HashSet::new(),
        }
    }

    pub(crate) fn finish(self, tensors: Tensors) -> Result<Collected, Error> {
        if self.problems.is_empty() {
            Ok(Collected {
                tensors,
                ignored: self.ignored,
            })
        } else {
            Err(Error::new(ErrorKind::Mismatch {
                problems: self.problems,
            }))
        }
    }

    /// Finds every tensor of `specs` in the file, and notes what is missing, wrong, or left over.
    /// `first_storage` is the number of the file's first storage among the model's.
    pub(crate) fn collect<C: Copy>(
        &mut self,
        file: &Unwrapped<'_, C>,
        first_storage: usize,
        specs: &[TensorSpec],
        pieces: impl Fn(&TensorSpec) -> Vec<Piece>,
        is_ignored: impl Fn(&str) -> bool,
    ) -> Tensors {
        let mut used = HashSet::new();
        let mut tensors = Vec::new();
        for spec in specs {
            let pieces = pieces(spec);
            used.extend(pieces.iter().map(|piece| piece.name.clone()));
            if let Some(layout) = self.assemble(file, first_storage, spec, &pieces) {
                tensors.push((spec.name.clone(), layout));
            }
        }
        let left_over = file
            .names()
            .filter(|name| !used.contains(*name) && !is_ignored(name))
            .map(|name| file.stored_name(name));
        let beside = file.beside().iter().map(|name| (*name).to_owned());
        for name in left_over.chain(beside) {
            let Some(layout) = file.file.layout(&name) else {
                continue;
            };
            let problem = Problem {
                file: file.file.label().to_owned(),
                tensor: name,
                kind: ProblemKind::Unknown {
                    found: layout.shape.clone(),
                },
            };
            if self.options.ignore_unknown_tensors {
                self.ignored.push(problem);
            } else {
                self.problems.push(problem);
            }
        }
        tensors
    }

    fn assemble<C: Copy>(
        &mut self,
        file: &Unwrapped<'_, C>,
        first_storage: usize,
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
            .reduce(ElementType::widest)?;
        let mut blocks: Vec<Block> = parts.into_iter().flat_map(|part| part.blocks).collect();
        for block in &mut blocks {
            if let Content::View(view) = &mut block.content {
                view.storage += first_storage;
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
            scaling: Scaling::default(),
        })
    }

    /// One stored tensor, turned the canonical way round, if it is as it should be.
    fn part<C: Copy>(
        &mut self,
        file: &Unwrapped<'_, C>,
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
        let is_codes = layout.element_type == ElementType::I8 && self.codes.contains(&spec.name);
        if !layout.element_type.is_float() && !is_codes {
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

    /// `tensor` is its name within the weights.
    pub(crate) fn note<C: Copy>(
        &mut self,
        file: &Unwrapped<'_, C>,
        tensor: &str,
        kind: ProblemKind,
    ) {
        self.problems.push(Problem {
            file: file.file.label().to_owned(),
            tensor: file.stored_name(tensor),
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
pub(crate) fn clip_geometry(file: &Clip<'_>, naming: &Naming) -> Geometry {
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
        vision: TowerGeometry::new(count(file, naming.block_prefix(true)), vision_width),
        patch_size: length(&[("visual.conv1.weight", 4, 3), ("visual.conv1.weight", 4, 2)]),
        backbone: None,
        native_grid: rows.saturating_sub(1).isqrt(),
        text: TowerGeometry::new(count(file, naming.block_prefix(false)), text_width),
        context_length: length(&[("positional_embedding", 2, 0)]),
        vocabulary: CLIP_VOCABULARY + 1,
        context_vectors: 0,
        deep_prompts: 0,
        deep_prompting: true,
        tap_count: 0,
    }
}

/// One more than the largest number that follows `prefix` in a name.
fn count<C: Copy>(file: &Unwrapped<'_, C>, prefix: &str) -> usize {
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

/// The learned part within a file, under the official names.
pub(crate) type Vcp<'a> = Unwrapped<'a, ()>;

/// The tensors that tell a checkpoint.
pub(crate) const VCP_TELLING: [Telling<()>; 1] = [Telling {
    convention: (),
    names: [
        "Zero_try.q_proj_pre.weight",
        "prompt_proj.weight",
        "New_Lan_Embed.prompt_query",
        "trainable_linearlayer.fc.0.weight",
    ],
}];

fn vcp_pieces(spec: &TensorSpec) -> Vec<Piece> {
    let name = spec.name.strip_prefix(VCP).unwrap_or(&spec.name);
    vec![Piece {
        name: name.to_owned(),
        transposed: false,
    }]
}

/// Adds what only the checkpoint tells.
pub(crate) fn complete(vcp: &Vcp<'_>, geometry: &mut Geometry) {
    let length = |name: &str, rank: usize, axis: usize| {
        vcp.layout(name)
            .filter(|layout| layout.shape.len() == rank)
            .map(|layout| layout.shape[axis])
    };
    geometry.context_vectors = length("New_Lan_Embed.prompt_query", 3, 1)
        .or_else(|| length("New_Lan_Embed.prompt_linear1.fc.bias", 1, 0))
        .unwrap_or(0);
    geometry.deep_prompts = length("prompt_embeddings", 3, 1)
        .or_else(|| length("deep_prompt_embeddings", 3, 1))
        .unwrap_or(0);
    geometry.deep_prompting = vcp.layout("deep_prompt_embeddings").is_some();
    geometry.tap_count = count(vcp, "trainable_linearlayer.fc.");
}
