//! Paths on standard input, one per line, each as it comes.

use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::common::CommonFolder;
use super::{Found, Input};

/// No system has longer paths.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// The photos whose paths a stream holds.
pub(crate) struct Paths {
    stream: Box<dyn BufRead + Send>,
    current_folder: CommonFolder,
}

impl std::fmt::Debug for Paths {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Paths").finish_non_exhaustive()
    }
}

impl Paths {
    pub(crate) fn from_stdin() -> Self {
        Self::new(BufReader::new(io::stdin()))
    }

    fn new(stream: impl BufRead + Send + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            current_folder: CommonFolder::of(std::iter::empty()),
        }
    }
}

impl Iterator for Paths {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let mut line = Vec::new();
            let read = self
                .stream
                .as_mut()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line);
            let problem = match read {
                Ok(0) => return None,
                Ok(count) if count as u64 == MAX_LINE_BYTES => {
                    format!("a line is longer than {MAX_LINE_BYTES} bytes")
                }
                Ok(_) => {
                    let end = line.strip_suffix(b"\n").unwrap_or(&line);
                    let end = end.strip_suffix(b"\r").unwrap_or(end);
                    if end.is_empty() {
                        continue;
                    }
                    let path = path_of(end);
                    let relative = self.current_folder.place(&path);
                    return Some(Found::Photo(Input {
                        path,
                        relative,
                        page: None,
                    }));
                }
                Err(error) => error.to_string(),
            };
            // What follows cannot be told apart from the rest of the line.
            self.stream = Box::new(io::empty());
            return Some(Found::Unreadable {
                path: PathBuf::from("-"),
                error: format!("Standard input cannot be read further: {problem}."),
            });
        }
    }
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Found> {
        Paths::new(BufReader::new(io::Cursor::new(text.to_owned()))).collect()
    }

    #[test]
    fn one_path_per_line() {
        let found = read(b"a.png\n\nsub dir/b.png\r\n../c.png");
        let paths: Vec<_> = found
            .iter()
            .map(|found| match found {
                Found::Photo(input) => input.path.to_str().unwrap(),
                Found::Unreadable { .. } => panic!("{found:?}"),
            })
            .collect();
        assert_eq!(paths, ["a.png", "sub dir/b.png", "../c.png"]);
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let found = read(&vec![b'x'; 3 << 16]);
        assert!(
            matches!(&found[..], [Found::Unreadable { .. }]),
            "{}",
            found.len()
        );
    }
}
