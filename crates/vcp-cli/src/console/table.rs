//! Tables for people.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use vcp_report::visible::printable;

/// Cells are shortened to so many columns of a terminal: names in lists have no bound.
const WIDEST_CELL: usize = 120;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    heading: &'a str,
    is_right: bool,
    /// At least so wide.
    width: usize,
    /// At most so wide.
    widest: usize,
}

impl<'a> Column<'a> {
    /// A column of text, which begins at its left edge.
    pub(crate) const fn left(heading: &'a str) -> Self {
        Self {
            heading,
            is_right: false,
            width: 0,
            widest: WIDEST_CELL,
        }
    }

    /// A column of numbers, which ends at its right edge.
    pub(crate) const fn right(heading: &'a str) -> Self {
        Self {
            is_right: true,
            ..Self::left(heading)
        }
    }

    /// The same column, at least so wide.
    pub(crate) const fn at_least(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// The same column, whose cells are never shortened: for paths that end a line.
    pub(crate) const fn unbounded(self) -> Self {
        Self {
            widest: usize::MAX,
            ..self
        }
    }

    /// A column of names, and one of numbers for each further heading.
    pub(crate) fn of_figures(headings: &[&'a str]) -> Vec<Self> {
        let columns = headings.iter().enumerate();
        columns
            .map(|(at, &heading)| match at {
                0 => Self::left(heading),
                _ => Self::right(heading),
            })
            .collect()
    }
}

/// The headings as a line, without the line's end.
pub(crate) fn heading(columns: &[Column<'_>]) -> String {
    line(columns, columns.iter().map(|column| column.heading))
}

/// A row of a table that is printed while it grows, without the line's end: wide cells push the
/// others aside.
pub(crate) fn line<'a>(columns: &[Column<'_>], cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let cell = fitting(cell, column.widest);
        let padding = " ".repeat(column.width.saturating_sub(cell.width()));
        if at > 0 {
            line.push_str("  ");
        }
        if column.is_right {
            line.push_str(&padding);
        }
        line.push_str(&cell);
        if !column.is_right {
            line.push_str(&padding);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A whole table, each column as wide as its widest cell.
pub(crate) fn table(columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let fit = |row: Vec<String>| -> Vec<String> {
        let cells = row.iter().zip(columns);
        cells
            .map(|(cell, column)| fitting(cell, column.widest).into_owned())
            .collect()
    };
    let rows: Vec<Vec<String>> = rows.into_iter().map(fit).collect();
    let width = |(at, column): (usize, &Column<'_>)| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
        widest.max(column.heading.width()).max(column.width)
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(width).collect();
    let sized = columns.iter().zip(widths);
    let sized: Vec<Column<'_>> = sized
        .map(|(column, width)| column.at_least(width))
        .collect();
    let mut text = heading(&sized) + "\n";
    for row in &rows {
        text += &line(&sized, row.iter().map(String::as_str));
        text.push('\n');
    }
    text
}

/// A cell on one line, at most so many columns wide; what is too much is taken out of its middle.
fn fitting(cell: &str, widest: usize) -> Cow<'_, str> {
    let cell = printable(cell);
    if cell.width() <= widest {
        return cell;
    }
    let room = widest.saturating_sub(1);
    let head = taken(cell.chars(), room - room / 3);
    let tail: Vec<char> = taken(cell.chars().rev(), room / 3).collect();
    let tail = tail.into_iter().rev();
    Cow::Owned(head.chain(['…']).chain(tail).collect())
}

/// As many characters as fit into so many columns.
fn taken(characters: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    characters.take_while(move |character| {
        used += character.width().unwrap_or(0);
        used <= columns
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let columns = Column::of_figures(&["category", "images"]);
        let rows = [["bolt", "7"], ["写真", "12"], ["é", "–"]];
        let text = table(&columns, rows.map(|row| row.map(str::to_owned).to_vec()));
        assert_eq!(
            text,
            "category  images\nbolt           7\n写真          12\né              –\n"
        );
    }

    #[test]
    fn cells_are_bounded_and_on_one_line() {
        let columns = [Column::left("name"), Column::right("n")];
        for name in ["x".repeat(100_000), "写".repeat(100_000)] {
            let text = table(&columns, [vec![format!("<{name}>"), "1".to_owned()]]);
            let row = text.lines().nth(1).unwrap();
            assert!(row.width() <= WIDEST_CELL + 3, "{}", row.width());
            assert!(row.starts_with('<') && row.ends_with(">  1"), "{row}");
        }
        let text = table(&columns, [vec!["a\u{1b}[2J\nb".to_owned(), "1".to_owned()]]);
        assert_eq!(text.lines().nth(1), Some(r"a\u{1b}[2J\nb  1"));
    }

    #[test]
    fn a_growing_table_keeps_its_columns() {
        let columns = [
            Column::right("score").at_least(6),
            Column::left("photo").unbounded(),
        ];
        assert_eq!(heading(&columns), " score  photo");
        let path = "p".repeat(500);
        assert_eq!(line(&columns, ["0.5000", &path]), format!("0.5000  {path}"));
    }
}
