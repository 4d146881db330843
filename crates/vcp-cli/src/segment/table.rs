//! The table that is printed while photos are done.

use vcp_clip::record::{FailureRecord, Record};

use crate::console::{self, Column};

const TABLE: [Column<'_>; 6] = [
    Column::right("score").at_least(6),
    Column::left("decision").at_least(8),
    Column::right("max").at_least(5),
    Column::right("regions").at_least(7),
    Column::right("time").at_least(9),
    Column::left("photo").unbounded(),
];

/// The heading of the table.
pub(super) fn heading() -> String {
    console::heading(&TABLE)
}

/// A row of the table.
pub(super) fn row(record: &Record) -> String {
    let cells: [&str; 6] = [
        &format!("{:.4}", record.score),
        record.decision.word(),
        &format!("{:.3}", record.max),
        &record.regions.len().to_string(),
        &format!("{:.0} ms", record.milliseconds),
        &titled(&record.path, record.page),
    ];
    console::line(&TABLE, cells)
}

/// The line for a photo without a result.
pub(super) fn failure(failure: &FailureRecord) -> String {
    let title = titled(&failure.path, failure.page);
    format!("failed: {title}: {}", failure.error)
}

/// A path, and the page of it where there are several.
fn titled(path: &str, page: Option<u32>) -> String {
    match page {
        Some(page) => format!("{path}, page {page}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_clip::Decision;
    use vcp_clip::record::Files;

    #[test]
    fn rows_stand_below_their_headings() {
        let record = Record {
            path: "a\u{1b}[2J\n.png".to_owned(),
            score: 0.5,
            score_threshold: 0.5,
            anomalous: true,
            max: 0.75,
            pixel_threshold: 0.5,
            regions: Vec::new(),
            width: 1,
            height: 1,
            files: Files::default(),
            milliseconds: 12.3,
            warnings: Vec::new(),
            page: None,
            decision: Decision::Defect,
            review_threshold: None,
            min_area: None,
            references_sha256: None,
            mask_sha256: None,
        };
        assert_eq!(
            heading(),
            " score  decision    max  regions       time  photo"
        );
        assert_eq!(
            row(&record),
            r"0.5000  defect    0.750        0      12 ms  a\u{1b}[2J\n.png"
        );
    }
}
