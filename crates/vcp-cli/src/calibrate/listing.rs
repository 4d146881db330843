//! Which photos a calibration comes from, and when.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use vcp_files::Sha256;

/// The photos, by content.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// `SHA-256  NAME`, as `sha256sum` prints it.
    lines: BTreeSet<String>,
    contents: BTreeSet<String>,
}

impl Listing {
    /// Notes a photo down; false if one with the same content is there already.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn add(&mut self, path: &Path) -> Result<bool, vcp_checkpoint::Error> {
        let digest = vcp_checkpoint::sha256_of_file(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{digest}  {name}\n");
        let is_new = self.contents.insert(digest);
        if is_new {
            self.lines.insert(line);
        }
        Ok(is_new)
    }

    /// SHA-256 of the lines in byte order: for photos in one folder without copies among them,
    /// what `sha256sum * | LC_ALL=C sort | sha256sum` prints there.
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for line in &self.lines {
            digest.update(line);
        }
        digest.hexadecimal()
    }
}

/// Today in UTC, `YYYY-MM-DD`.
pub(crate) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    date_of_day(since.map_or(0, |since| since.as_secs() / 86_400))
}

/// The date a number of days after 1970-01-01, in the Gregorian calendar.
fn date_of_day(days: u64) -> String {
    let mut left = days;
    let mut year = 1970;
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let length = |year| if is_leap(year) { 366 } else { 365 };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (days, date) in [
            (0, "1970-01-01"),
            (30, "1970-01-31"),
            (31, "1970-02-01"),
            (364, "1970-12-31"),
            (365, "1971-01-01"),
            (789, "1972-02-29"),
            (790, "1972-03-01"),
            (11_016, "2000-02-29"),
            (19_723, "2024-01-01"),
            (20_088, "2024-12-31"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date_of_day(days), date, "{days}");
        }
        assert!(today().as_str() > "2026-01-01");
    }

    #[test]
    fn copies_count_once_and_order_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (a, b, copy) = (write("a", "1"), write("b", "2"), write("c", "1"));
        let mut one = Listing::default();
        assert!(one.add(&a).unwrap() && one.add(&b).unwrap());
        let digest = one.digest();
        assert!(!one.add(&copy).unwrap() && !one.add(&a).unwrap());
        let mut other = Listing::default();
        assert!(other.add(&b).unwrap() && other.add(&a).unwrap());
        assert_eq!((one.digest(), other.digest()), (digest.clone(), digest));
        assert!(one.add(Path::new("nowhere")).is_err());
        // What `sha256sum a b | LC_ALL=C sort | sha256sum` prints: "1" has the digest 6b86…, "2"
        // has d473….
        assert_eq!(
            one.digest(),
            "68c2919f4305e50800082ab7f11eb17d96c7832f59154e97b1d373a5179a63ea"
        );
    }
}
