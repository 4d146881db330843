//! Record batches have what the JSON records have.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array as _, RecordBatch, StructArray};
use vcp_clip::Decision;
use vcp_clip::record::{BoxRecord, FailureRecord, Files, Line, Record, RegionRecord};
use vcp_table::{Columns, Error, Large, Map, RecordBatchBuilder, schema};

fn record(path: &str) -> Record {
    Record {
        path: path.to_owned(),
        score: 0.7,
        score_threshold: 0.6,
        anomalous: true,
        max: 0.9,
        pixel_threshold: 0.5,
        regions: vec![
            RegionRecord {
                bounding_box: BoxRecord {
                    x: 1,
                    y: 2,
                    width: 3,
                    height: 4,
                },
                area: 11,
                centroid: [2.25, 3.5],
                peak: 0.9,
                peak_position: [2, 4],
                mean: 0.75,
            };
            2
        ],
        width: 640,
        height: 480,
        files: Files {
            mask: Some("out/a.mask.png".to_owned()),
            ..Files::default()
        },
        milliseconds: 41.3,
        warnings: vec!["It is damaged.".to_owned()],
        page: Some(3),
        decision: Decision::Defect,
        review_threshold: Some(0.4),
        min_area: Some(5),
        mask_sha256: Some("ab".to_owned()),
        references_sha256: None,
    }
}

fn failure(path: &str) -> Line {
    Line::Failed(FailureRecord {
        path: path.to_owned(),
        error: "It is none.".to_owned(),
        page: None,
    })
}

fn batch(lines: &[Line]) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new(Columns::default());
    for line in lines {
        builder.append(line).unwrap();
    }
    assert_eq!(builder.rows(), lines.len());
    builder.finish().unwrap()
}

#[test]
fn every_key_is_a_column_in_the_order_of_the_keys() {
    let mut whole = record("a.png");
    whole.references_sha256 = Some("cd".to_owned());
    let json = serde_json::to_value(&whole).unwrap();
    let mut keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.push("error");
    let schema = schema(Columns::default());
    let columns: Vec<&str> = schema
        .fields()
        .iter()
        .map(|it| it.name().as_str())
        .collect();
    assert_eq!(columns, keys);
    let batch = batch(&[Line::Done(Box::new(whole))]);
    let regions = batch["regions"].as_list::<i32>().value(0);
    let region = json["regions"][0].as_object().unwrap();
    assert_eq!(
        regions.as_struct().column_names(),
        region.keys().collect::<Vec<_>>()
    );
    let bounds = region["box"].as_object().unwrap();
    let column = regions.as_struct().column_by_name("box").unwrap();
    assert_eq!(
        column.as_struct().column_names(),
        bounds.keys().collect::<Vec<_>>()
    );
}

#[test]
fn values_are_those_of_the_record() {
    let rows = [
        Line::Done(Box::new(record("a.png"))),
        failure("b.png"),
        Line::Done(Box::new(Record {
            regions: Vec::new(),
            page: None,
            ..record("c.png")
        })),
    ];
    let batch = batch(&rows);
    let text = |name: &str, row: usize| {
        let column = batch[name].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    assert_eq!(text("path", 2).unwrap(), "c.png");
    assert_eq!(text("decision", 0).unwrap(), "defect");
    assert_eq!(text("mask_sha256", 0).unwrap(), "ab");
    assert_eq!(text("references_sha256", 0), None);
    assert_eq!(text("error", 0), None);
    assert_eq!(text("error", 1).unwrap(), "It is none.");
    for name in batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
    {
        let is_said = ["path", "error"].contains(&name.as_str());
        assert_eq!(
            batch[&*name].is_valid(1),
            is_said,
            "{name} of a photo that failed"
        );
    }
    assert_eq!(
        batch["score"]
            .as_primitive::<Float32Type>()
            .value(0)
            .to_bits(),
        0.7_f32.to_bits()
    );
    let milliseconds = batch["milliseconds"].as_primitive::<Float64Type>();
    assert_eq!(milliseconds.value(2).to_bits(), 41.3_f64.to_bits());
    let page = batch["page"].as_primitive::<Int64Type>();
    assert_eq!((page.value(0), page.is_null(2)), (3, true));
    let files: &StructArray = batch["files"].as_struct();
    assert_eq!(files["mask"].as_string::<i32>().value(0), "out/a.mask.png");
    assert!(files["overlay"].is_null(0));
    let warnings = batch["warnings"].as_list::<i32>();
    assert_eq!(
        warnings.value(0).as_string::<i32>().value(0),
        "It is damaged."
    );
    let regions = batch["regions"].as_list::<i32>();
    assert_eq!((regions.value_length(0), regions.value_length(2)), (2, 0));
    let second = regions.value(0);
    let second = second.as_struct();
    let position = second["peak_position"].as_list::<i32>().value(1);
    assert_eq!(position.as_primitive::<Int64Type>().values(), &[2, 4]);
    let centroid = second["centroid"].as_list::<i32>().value(1);
    assert_eq!(
        centroid.as_primitive::<Float64Type>().values(),
        &[2.25, 3.5]
    );
    let bounds = second["box"].as_struct();
    assert_eq!(bounds["height"].as_primitive::<Int64Type>().value(1), 4);
}

#[test]
fn a_builder_begins_anew_after_each_batch() {
    let mut builder = RecordBatchBuilder::new(Columns::default());
    for path in ["a.png", "b.png"] {
        builder.append(&Line::Done(Box::new(record(path)))).unwrap();
        let batch = builder.finish().unwrap();
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(batch["path"].as_string::<i32>().value(0), path);
        assert_eq!(batch["regions"].as_list::<i32>().value_length(0), 2);
        assert_eq!((builder.rows(), builder.bytes()), (0, 0));
    }
    assert_eq!(builder.finish().unwrap().num_rows(), 0);
}

#[test]
fn masks_and_maps_come_where_they_are_asked_for() {
    let columns = Columns {
        mask_rle: true,
        map: true,
    };
    let mut builder = RecordBatchBuilder::new(columns);
    let line = Line::Done(Box::new(record("a.png")));
    let values = [0.0, 0.25, 0.5, f32::NAN, 1.0, 0.125];
    let map = |width, height| Map {
        width,
        height,
        values: &values,
    };
    let large = Large {
        mask_rle: Some(&[4, 2]),
        map: Some(map(3, 2)),
    };
    builder.append_with(&line, large).unwrap();
    builder.append(&failure("b.png")).unwrap();
    let wrong = Large {
        map: Some(map(4, 2)),
        ..large
    };
    assert!(matches!(
        builder.append_with(&line, wrong),
        Err(Error::MapShape { values: 6, .. })
    ));
    let batch = builder.finish().unwrap();
    let counts = batch["mask_rle"].as_list::<i32>();
    assert_eq!(
        counts.value(0).as_primitive::<Int64Type>().values(),
        &[4, 2]
    );
    assert!(counts.is_null(1) && batch["map"].is_null(1));
    let maps = batch["map"].as_struct();
    assert_eq!(maps["width"].as_primitive::<Int64Type>().value(0), 3);
    let found = maps["values"].as_list::<i32>().value(0);
    let bits = |values: &[f32]| values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    assert_eq!(
        bits(found.as_primitive::<Float32Type>().values()),
        bits(&values)
    );
}

#[test]
fn a_batch_is_bounded() {
    let columns = Columns {
        map: true,
        ..Columns::default()
    };
    let mut builder = RecordBatchBuilder::new(columns);
    // Not touched, so it takes no memory.
    let values = vec![0.0; (1 << 28) + 1];
    let map = Map {
        width: values.len(),
        height: 1,
        values: &values,
    };
    let large = Large {
        map: Some(map),
        ..Large::default()
    };
    assert!(matches!(
        builder.append_with(&failure("a.png"), large),
        Err(Error::BatchFull { held: 0, .. })
    ));
    builder.append(&failure("a.png")).unwrap();
    assert_eq!(builder.finish().unwrap().num_rows(), 1);
}
