//! `vcp-clip model inspect FILE`.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use vcp_checkpoint::{Kind, References, Source, TensorFile, Weights};

use vcp_clip::ModelName;
use vcp_clip::model::{built_in_file, cached_bundle, describe};

use super::choice::named_or_file;
use crate::args::InspectArgs;
use crate::console;
use crate::exit::Exit;

/// What is said about a file. The order of the fields is the order of the keys.
#[derive(Debug, Serialize)]
struct Description {
    path: String,
    /// The file format.
    format: String,
    bytes: u64,
    kind: Kind,
    tensor_count: usize,
    /// Numbers in all tensors together.
    parameter_count: u64,
    /// Lengths by name; empty for files of no known model.
    geometry: Value,
    /// The next three of bundles only.
    settings: Value,
    calibration: Value,
    /// Of bundles that have one: what their memory of good photos holds.
    #[serde(skip_serializing_if = "Value::is_null")]
    references: Value,
    sources: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<TensorDescription>>,
}

#[derive(Debug, Serialize)]
struct TensorDescription {
    name: String,
    #[serde(rename = "type")]
    element_type: String,
    shape: Vec<usize>,
}

pub(crate) fn run(arguments: &InspectArgs) -> anyhow::Result<Exit> {
    let (file, path) = match named_or_file(&arguments.file, arguments.cache.cache.as_deref())? {
        ModelName::BuiltIn => (built_in_file()?, arguments.file.clone()),
        ModelName::Cached { cache, name } => {
            let path = cached_bundle(&cache, &name);
            (TensorFile::open(&path)?, path)
        }
        _ => (TensorFile::open(&arguments.file)?, arguments.file.clone()),
    };
    let description = description(&file, &path, arguments.tensors)?;
    if arguments.json {
        console::print_json(&description)?;
    } else {
        console::print_text(&text(&description))?;
    }
    Ok(Exit::Done)
}

fn description(file: &TensorFile, path: &Path, list_tensors: bool) -> anyhow::Result<Description> {
    let tensors: Vec<TensorDescription> = file
        .names()
        .filter_map(|name| {
            let tensor = file.tensor(name)?;
            Some(TensorDescription {
                name: name.to_owned(),
                element_type: tensor.element_type().to_string(),
                shape: tensor.shape().to_vec(),
            })
        })
        .collect();
    let parameter_count = tensors
        .iter()
        .map(|tensor| {
            tensor
                .shape
                .iter()
                .map(|&length| length as u64)
                .product::<u64>()
        })
        .sum();
    let mut description = Description {
        path: path.display().to_string(),
        format: file.format().to_string(),
        bytes: file.file_length(),
        kind: file.kind(),
        tensor_count: tensors.len(),
        parameter_count,
        geometry: Value::Null,
        settings: Value::Null,
        calibration: Value::Null,
        references: Value::Null,
        sources: Value::Null,
        tensors: list_tensors.then_some(tensors),
    };
    if description.kind == Kind::Bundle {
        let weights = Weights::from_bundle(file)?;
        description.geometry = serde_json::to_value(weights.geometry())?;
        description.settings = serde_json::to_value(weights.settings())?;
        description.calibration = serde_json::to_value(weights.calibration())?;
        description.references = weights.references().map_or(Value::Null, references);
        description.sources = weights.sources().iter().map(source).collect();
    } else {
        let lengths: Map<String, Value> = file
            .lengths()
            .into_iter()
            .map(|(name, length)| (name.to_owned(), json!(length)))
            .collect();
        description.geometry = Value::Object(lengths);
    }
    Ok(description)
}

fn source(source: &Source) -> Value {
    json!({
        "file_name": source.file_name(),
        "bytes": source.bytes(),
        "sha256": source.sha256(),
    })
}

fn references(references: &References) -> Value {
    let description = references.description();
    json!({
        "photos": description.photos.len(),
        "patches": description.row_count(),
        "groups": references.groups(),
        "channels": description.channels,
        "bytes": references.bytes(),
        "data": description.data,
        "date": description.date,
        "windows": description.windows,
        "apply_orientation": description.apply_orientation,
        "bits": description.bits,
        "sha256": references.digest(),
    })
}

fn text(description: &Description) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", console::printable(&description.path));
    let _ = writeln!(text, "  is          {}", describe(description.kind));
    let _ = writeln!(
        text,
        "  format      {}, {}",
        description.format,
        indicatif::BinaryBytes(description.bytes)
    );
    let _ = writeln!(
        text,
        "  tensors     {}, of {} numbers",
        description.tensor_count,
        indicatif::HumanCount(description.parameter_count)
    );
    for (title, value) in [
        ("geometry", &description.geometry),
        ("settings", &description.settings),
        ("calibration", &description.calibration),
        ("references", &description.references),
        ("sources", &description.sources),
    ] {
        write_value(&mut text, title, value);
    }
    for tensor in description.tensors.iter().flatten() {
        let _ = writeln!(
            text,
            "  {:6} {:?} {}",
            tensor.element_type,
            tensor.shape,
            console::printable(&tensor.name)
        );
    }
    text
}

/// One line per entry of an object.
fn write_value(text: &mut String, title: &str, value: &Value) {
    let mut title = title;
    let mut line = |content: String| {
        let _ = writeln!(text, "  {title:11} {content}");
        title = "";
    };
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            for (name, value) in entries {
                line(format!("{}: {}", name.replace('_', " "), plain(value)));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| line(plain(value))),
        other => line(plain(other)),
    }
}

/// A value without JSON's quotes and braces. Texts are whatever the file holds.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => console::printable(text).into_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| format!("{} {}", console::printable(name), plain(value)));
            entries.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
