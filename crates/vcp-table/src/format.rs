//! Formats of tables in files.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How a table lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableFormat {
    /// Apache Parquet, with the columns of [`schema`](crate::schema()).
    Parquet,
    /// Comma-separated values with a heading, as RFC 4180 says, for spreadsheets.
    Csv,
}

/// A word that is no format of tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not one of parquet, csv.")]
pub struct FormatError {
    found: String,
}

impl TableFormat {
    /// What the ending of a file's name says.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        ending.parse().ok()
    }

    /// Its word, which is also the ending of files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

impl fmt::Display for TableFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl FromStr for TableFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            _ => Err(FormatError {
                found: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        let of = |path: &str| TableFormat::of(Path::new(path));
        assert_eq!(of("a/b.parquet"), Some(TableFormat::Parquet));
        assert_eq!(of("a.b.CSV"), Some(TableFormat::Csv));
        for path in ["a", "csv", "a.json", ".csv"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
