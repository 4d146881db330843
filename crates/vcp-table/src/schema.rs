//! The columns of a table of records.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

/// Columns that a table of records has only on demand, since they are large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Columns {
    /// `mask_rle`, the pixels at or above the pixel threshold as lengths of runs: see
    /// [`run_lengths`](crate::run_lengths).
    pub mask_rle: bool,
    /// `map`, the map as numbers.
    pub map: bool,
}

/// The columns of a table of records, which mirror the keys of the JSON record; `docs/tables.md` of the repository
/// describes each.
///
/// Every column but `path` is null in the row of a photo that failed, where `error` says why; `error` is null in all
/// other rows. Whole numbers are `Int64`, which every engine knows.
#[must_use]
pub fn schema(columns: Columns) -> SchemaRef {
    let mut fields = vec![
        Arc::new(Field::new("path", DataType::Utf8, false)),
        nullable("score", DataType::Float32),
        nullable("score_threshold", DataType::Float32),
        nullable("anomalous", DataType::Boolean),
        nullable("max", DataType::Float32),
        nullable("pixel_threshold", DataType::Float32),
        nullable("regions", DataType::List(region_item())),
        nullable("width", DataType::Int64),
        nullable("height", DataType::Int64),
        nullable("files", DataType::Struct(file_fields())),
        nullable("milliseconds", DataType::Float64),
        nullable("warnings", DataType::List(item(DataType::Utf8))),
        nullable("page", DataType::Int64),
        nullable("decision", DataType::Utf8),
        nullable("review_threshold", DataType::Float32),
        nullable("min_area", DataType::Int64),
        nullable("mask_sha256", DataType::Utf8),
        nullable("references_sha256", DataType::Utf8),
        nullable("error", DataType::Utf8),
    ];
    if columns.mask_rle {
        fields.push(nullable("mask_rle", DataType::List(item(DataType::Int64))));
    }
    if columns.map {
        fields.push(nullable("map", DataType::Struct(map_fields())));
    }
    Arc::new(Schema::new(fields))
}

fn nullable(name: &str, kind: DataType) -> FieldRef {
    Arc::new(Field::new(name, kind, true))
}

fn required(name: &str, kind: DataType) -> FieldRef {
    Arc::new(Field::new(name, kind, false))
}

/// What a list holds; the name is that which Parquet and other programs give it.
pub(crate) fn item(kind: DataType) -> FieldRef {
    required("element", kind)
}

/// What the list of regions holds.
pub(crate) fn region_item() -> FieldRef {
    item(DataType::Struct(region_fields()))
}

/// The columns of a region.
pub(crate) fn region_fields() -> Fields {
    [
        required("box", DataType::Struct(box_fields())),
        required("area", DataType::Int64),
        required("centroid", DataType::List(item(DataType::Float64))),
        required("peak", DataType::Float32),
        required("peak_position", DataType::List(item(DataType::Int64))),
        required("mean", DataType::Float32),
    ]
    .into_iter()
    .collect()
}

/// The columns of a rectangle.
pub(crate) fn box_fields() -> Fields {
    ["x", "y", "width", "height"]
        .map(|name| required(name, DataType::Int64))
        .into_iter()
        .collect()
}

/// The columns of the files of a photo.
pub(crate) fn file_fields() -> Fields {
    FILES
        .map(|name| nullable(name, DataType::Utf8))
        .into_iter()
        .collect()
}

/// The files of a photo, as [`vcp_clip::record::Files`] names them.
pub(crate) const FILES: [&str; 7] = [
    "overlay", "heatmap", "mask", "map", "branch1", "branch2", "json",
];

/// The columns of a map.
pub(crate) fn map_fields() -> Fields {
    [
        required("width", DataType::Int64),
        required("height", DataType::Int64),
        required("values", DataType::List(item(DataType::Float32))),
    ]
    .into_iter()
    .collect()
}
