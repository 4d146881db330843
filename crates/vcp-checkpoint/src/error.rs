//! The error of this crate: which file, what was found, what was expected.

use std::fmt;
use std::path::Path;

use crate::ElementType;

/// Why a file could not be read or written.
///
/// The message names the file and is a full sentence; text taken from the file is escaped and cut,
/// so that a hostile name cannot reach a terminal unescaped.
#[derive(Debug)]
pub struct Error {
    file: Option<String>,
    kind: Box<ErrorKind>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            file: None,
            kind: Box::new(kind),
        }
    }

    pub(crate) fn in_file(file: &str, kind: ErrorKind) -> Self {
        Self {
            file: Some(file.to_owned()),
            kind: Box::new(kind),
        }
    }

    pub(crate) fn at_path(path: &Path, kind: ErrorKind) -> Self {
        Self::in_file(&path.display().to_string(), kind)
    }

    /// The same about this file.
    pub(crate) fn within(self, file: &str) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..self
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The file concerned, if there is exactly one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{file}: ")?;
        }
        self.kind.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.kind)
    }
}

/// The kinds of [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("Could not {action}: {source}.")]
    Io {
        /// What was tried, as an infinitive without "to".
        action: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is none of the supported formats.
    #[error(
        "This is not a weight file of a known kind: {found}. Expected a TorchScript archive, a \
         torch.save file or a safetensors file."
    )]
    UnknownFormat {
        /// What the file looks like.
        found: String,
    },
    /// A file of PyTorch, a zip archive or of the older format, is damaged or uses what is not supported.
    #[error("The file cannot be used: {problem}.")]
    Archive {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// The pickle names a function or class that is not on the short list of permitted ones.
    #[error(
        "The pickle at byte {position} asks for {global}, which is not permitted: only tensors, \
         parameters, ordered dictionaries and TorchScript modules are read, and nothing is executed. \
         {}", advice_for(.global)
    )]
    ForbiddenGlobal {
        /// Byte offset within the pickle; in torch.save's older format within the file.
        position: usize,
        /// Module and name, escaped and cut.
        global: String,
    },
    /// The pickle is damaged or uses what is not supported.
    #[error("The pickle cannot be read at byte {position}: {problem}.")]
    Pickle {
        /// Byte offset within the pickle; in torch.save's older format within the file.
        position: usize,
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// The header of the safetensors file is damaged or uses what is not supported.
    #[error("The safetensors file cannot be read: {problem}.")]
    Safetensors {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// One tensor's description contradicts the file.
    #[error("Tensor {tensor} cannot be read: {problem}.")]
    Tensor {
        /// The tensor's name, escaped and cut.
        tensor: String,
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// The file holds other weights than were looked for, or none.
    #[error(
        "This file does not hold {expected}: {found}. Expected tensors with the names that {names}, also within \
         dictionaries such as state_dict."
    )]
    OtherWeights {
        /// What was looked for.
        expected: &'static str,
        /// What was found, a clause.
        found: String,
        /// Whose names tensors should have, the end of a sentence.
        names: &'static str,
    },
    /// The weights looked for are there more than once.
    #[error(
        "The file holds the weights looked for more than once, {} and {}; save those that are meant \
         in a file of their own.", .places[0], .places[1]
    )]
    Ambiguous {
        /// Where, such as "under `state_dict`".
        places: [String; 2],
    },
    /// The file is one of the parts of a larger file.
    #[error(
        "The file is part {part} of {parts} of a larger one; {}.",
        match .index {
            Some(index) => format!("name the parts' index instead, {index}"),
            None => "fetch the index of the parts as well, a file that ends in .index.json, and name \
                     that instead".to_owned(),
        }
    )]
    Part {
        /// Which part, counted from 1.
        part: u32,
        /// How many parts there are.
        parts: u32,
        /// The index beside it, if there is one.
        index: Option<String>,
    },
    /// The index of parts is damaged or names what it must not.
    #[error("The index of parts cannot be used: {problem}.")]
    Index {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// Tensors are missing, unknown, or have the wrong shape or element type.
    #[error("{}", list(.problems))]
    Mismatch {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A geometry that no model of this kind can have.
    #[error("The model's geometry is not usable: {problem}.")]
    Geometry {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// Settings that do not fit the geometry.
    #[error("The settings do not fit the model: {problem}.")]
    Settings {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// A bundle's own description is missing or damaged.
    #[error("The bundle cannot be used: {problem}.")]
    Bundle {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// Matrices that cannot be smoothed as asked for.
    #[error("The matrices cannot be smoothed: {problem}.")]
    Smoothing {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// A calibration that cannot be right.
    #[error("The calibration is not usable: {problem}.")]
    Calibration {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// A memory of good photos that cannot be right, or is another model's.
    #[error("The memory of reference photos is not usable: {problem}.")]
    References {
        /// What is wrong, without the closing full stop.
        problem: String,
    },
    /// A value does not fit the element type asked for.
    #[error(
        "Tensor {tensor} holds {value:e} at element {index}, which does not fit {element_type}; \
         write the file as f32 instead."
    )]
    Overflow {
        /// The tensor's canonical name.
        tensor: String,
        /// Index in row-major order.
        index: usize,
        /// The value.
        value: f32,
        /// The type it does not fit.
        element_type: ElementType,
    },
    /// A tensor was asked for by a name the model does not have.
    #[error("The model has no tensor named {name}.")]
    NoSuchTensor {
        /// The name asked for.
        name: String,
    },
    /// Values for a tensor have the wrong length.
    #[error("Tensor {name} takes {expected} values; {found} were given.")]
    WrongLength {
        /// The tensor's canonical name.
        name: String,
        /// Values given.
        found: usize,
        /// Values expected.
        expected: usize,
    },
}

/// What to do with a file that holds more than tensors.
fn advice_for(global: &str) -> &'static str {
    if global.starts_with("numpy.") {
        "The file holds NumPy numbers or arrays beside or instead of PyTorch's tensors; if you trust \
         it, load it in Python and save its tensors alone: torch.save(torch.load(FILE, \
         weights_only=False)[\"state_dict\"], NEW), or whatever its key is."
    } else {
        "The file holds other objects beside or instead of tensors, such as a whole module; if you \
         trust it, load it in Python and save its tensors alone, with torch.save(MODEL.state_dict(), \
         NEW) or safetensors."
    }
}

/// One tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file looked into.
    pub file: String,
    /// The name of the tensor within that file.
    pub tensor: String,
    /// What is wrong with it.
    pub kind: ProblemKind,
}

/// What is wrong with one tensor. In expected shapes, 0 stands for a length that could not be
/// found out because the tensors that tell it are missing as well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file lacks the tensor.
    Missing {
        /// The shape that the tensor should have had.
        expected: Vec<usize>,
    },
    /// The model has no use for the tensor.
    Unknown {
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// The tensor has another shape than the model needs.
    Shape {
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the tensor should have.
        expected: Vec<usize>,
    },
    /// The tensor holds integers where weights are expected.
    Type {
        /// The element type in the file.
        found: ElementType,
    },
    /// The tensor holds 8-bit codes, or scales of such, that cannot be.
    Codes {
        /// What it holds and what was expected, as a predicate.
        problem: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = shorten(&self.tensor);
        match &self.kind {
            ProblemKind::Missing { expected } => {
                write!(formatter, "{name} is missing, expected {}", Shape(expected))
            }
            ProblemKind::Unknown { found } => {
                write!(formatter, "{name} is unknown, found {}", Shape(found))
            }
            ProblemKind::Shape { found, expected } => write!(
                formatter,
                "{name} has the wrong shape, found {}, expected {}",
                Shape(found),
                Shape(expected)
            ),
            ProblemKind::Type { found } => {
                write!(formatter, "{name} holds {found}, expected floating point")
            }
            ProblemKind::Codes { problem } => write!(formatter, "{name} {problem}"),
        }
    }
}

/// Tensors that a message lists; the error holds all of them.
const MOST_LISTED: usize = 12;

fn list(problems: &[Problem]) -> String {
    use fmt::Write as _;
    let mut text = match problems.len() {
        1 => "1 tensor does not fit the model:".to_owned(),
        n => format!("{n} tensors do not fit the model:"),
    };
    let mut file = None;
    for problem in problems.iter().take(MOST_LISTED) {
        if file != Some(&problem.file) {
            file = Some(&problem.file);
            let _ = write!(text, "\n in {}:", problem.file);
        }
        let _ = write!(text, "\n  {problem}");
    }
    if problems.len() > MOST_LISTED {
        let _ = write!(text, "\n  … and {} more", problems.len() - MOST_LISTED);
    }
    text
}

/// A shape as `[768, 1024]`, unknown lengths as `?`.
pub(crate) struct Shape<'a>(pub(crate) &'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[")?;
        for (index, length) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            if *length == 0 {
                formatter.write_str("?")?;
            } else {
                write!(formatter, "{length}")?;
            }
        }
        formatter.write_str("]")
    }
}

/// Text from a file, made fit for a message: escaped, and cut at 120 characters.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 120;
    let mut short: String = text
        .chars()
        .take(LIMIT)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short
}
