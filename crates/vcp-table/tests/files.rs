//! Tables in files: written, read again, damaged.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, TimestampMillisecondType};
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vcp_clip::photos::Found;
use vcp_clip::record::{FailureRecord, Line};
use vcp_history::{Filter, History, HistoryOptions, NewResult, Verdict};
use vcp_table::{Error, TableFormat, TablePhotos, TableWriter, export_history};

fn failure(number: usize) -> Line {
    Line::Failed(FailureRecord {
        path: format!("photos/{number:06}.png"),
        error: "It is none.".to_owned(),
        page: None,
    })
}

fn done() -> Line {
    let json = r#"{"path":"a.png","score":0.7,"score_threshold":0.6,"anomalous":true,"max":0.9,
        "pixel_threshold":0.5,"regions":[{"box":{"x":1,"y":2,"width":3,"height":4},"area":11,
        "centroid":[2.25,3.5],"peak":0.9,"peak_position":[2,4],"mean":0.75}],"width":640,"height":480,
        "files":{},"milliseconds":41.3,"decision":"defect"}"#;
    serde_json::from_str(json).unwrap()
}

fn parquet(rows: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let notes = [("vcp-clip.settings", "{}")];
    let mut writer = TableWriter::new(&mut bytes, TableFormat::Parquet, &notes).unwrap();
    writer.append(&done()).unwrap();
    for row in 1..rows {
        writer.append(&failure(row)).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

fn paths(table: &Path, column: &str) -> Result<Vec<Found>, Error> {
    Ok(TablePhotos::open(table, column)?.take(100_000).collect())
}

#[test]
fn parquet_is_read_again_in_bounded_row_groups() {
    let bytes = bytes::Bytes::from(parquet(25_000));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let groups = builder.metadata().row_groups();
    assert!(groups.len() >= 3 && groups.iter().all(|it| it.num_rows() <= 10_000));
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 25_000);
    let first = &batches[0];
    let score = first["score"].as_primitive::<Float32Type>();
    assert_eq!(
        (score.value(0).to_bits(), score.is_null(1)),
        (0.7_f32.to_bits(), true)
    );
    assert_eq!(first["regions"].as_list::<i32>().value_length(0), 1);
    assert_eq!(first["error"].as_string::<i32>().value(1), "It is none.");
}

#[test]
fn a_table_names_photos_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    std::fs::write(&table, parquet(3000)).unwrap();
    let found = paths(&table, "path").unwrap();
    assert_eq!(found.len(), 3000);
    let Found::Photo(photo) = &found[2999] else {
        panic!("{:?}", found[2999]);
    };
    assert_eq!(photo.path, folder.path().join("photos/002999.png"));
    assert_eq!(photo.relative, Path::new("photos/002999.png"));
    std::fs::write(&table, "x,image\n1,a.png\n2,\n3\n4,\"b\nc.png\"\n").unwrap();
    let found = paths(&table, "image").unwrap();
    let is_photo = |found: &Found| matches!(found, Found::Photo(_));
    assert_eq!(
        found.iter().map(is_photo).collect::<Vec<_>>(),
        [true, false, false, true]
    );
}

#[test]
fn other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    std::fs::write(&table, parquet(3)).unwrap();
    assert!(matches!(
        paths(&table, "image"),
        Err(Error::NoColumn { .. })
    ));
    for column in ["score", "anomalous", "warnings.list.element", "width"] {
        assert!(
            matches!(paths(&table, column), Err(Error::WrongColumn { .. })),
            "{column}"
        );
    }
    std::fs::write(&table, "").unwrap();
    assert!(matches!(
        paths(&table, "image"),
        Err(Error::NoColumn { .. })
    ));
    assert!(matches!(
        paths(folder.path(), "image"),
        Err(Error::File { .. })
    ));
}

#[test]
fn an_endless_row_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let long = format!("image\na.png\n\"{}", "x".repeat(17 << 20));
    std::fs::write(&table, long).unwrap();
    let found = paths(&table, "image").unwrap();
    assert_eq!(found.len(), 2);
    assert!(matches!(&found[1], Found::Unreadable { is_cut: true, .. }));
}

#[test]
fn damaged_parquet_gives_errors_and_no_panics() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    let whole = parquet(50);
    for length in (4..whole.len()).step_by(whole.len() / 60) {
        std::fs::write(&table, &whole[..length]).unwrap();
        assert!(paths(&table, "path").is_err(), "cut to {length}");
    }
    vcp_clip::hush_caught();
    for place in (4..whole.len()).step_by(11) {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[place] ^= change;
            std::fs::write(&table, &damaged).unwrap();
            let _ = paths(&table, "path");
        }
    }
}

#[test]
fn a_history_becomes_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path(), HistoryOptions::default()).unwrap();
    let Line::Done(record) = done() else {
        panic!("it is done");
    };
    let json = serde_json::to_string(&record).unwrap();
    for record in [
        &json,
        r#"{"score":0.9,"score_threshold":0.5,"pixel_threshold":0.5,"decision":"defect",
        "regions":[],"milliseconds":4.0}"#,
    ] {
        let id = history
            .add(&NewResult {
                source: "http",
                name: "a.png",
                photo: b"the file",
                record,
                model_name: "built-in",
                ..NewResult::default()
            })
            .unwrap();
        history
            .set_verdict(&id, Some(Verdict::Good), "Ada")
            .unwrap();
    }
    let mut bytes = Vec::new();
    assert_eq!(
        export_history(&history, &Filter::default(), &mut bytes).unwrap(),
        2
    );
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch["verdict_who"].as_string::<i32>().value(0), "Ada");
    assert!(
        batch["time"]
            .as_primitive::<TimestampMillisecondType>()
            .value(0)
            > 0
    );
    let width = &batch["width"];
    assert_eq!((width.is_null(0), width.is_null(1)), (false, true));
    assert!(batch["error"].is_valid(1));
}
