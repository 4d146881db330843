//! Paths in a stream such as standard input, one per line, each as it comes. Lists made on Windows are read, too: a byte
//! order mark belongs to no name and says if it is UTF-16, and `\` may stand between folders.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use super::Found;
use super::folder::CommonFolder;

/// No system has longer paths.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// The photos whose paths a stream holds.
pub(super) struct Paths {
    stream: Box<dyn BufRead + Send>,
    /// Known from the first bytes.
    encoding: Option<Encoding>,
    current_folder: CommonFolder,
}

impl std::fmt::Debug for Paths {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Paths").finish_non_exhaustive()
    }
}

impl Paths {
    pub(super) fn new(stream: Box<dyn BufRead + Send>) -> Self {
        Self {
            stream,
            encoding: None,
            current_folder: CommonFolder::of(std::iter::empty()),
        }
    }

    /// A line with its end, nothing when there are no more.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None => self.find_encoding()?,
        };
        self.encoding = Some(encoding);
        let mut stream = self.stream.as_mut().take(MAX_LINE_BYTES);
        let mut line = Vec::new();
        let Encoding::Utf16(unit) = encoding else {
            stream.read_until(b'\n', &mut line)?;
            return Ok(line);
        };
        let mut units = Vec::new();
        let mut pair = [0; 2];
        while units.last() != Some(&u16::from(b'\n')) {
            match stream.read_exact(&mut pair) {
                Ok(()) => units.push(unit(pair)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        let is_whole = units.len() as u64 * 2 < MAX_LINE_BYTES;
        line.extend(String::from_utf16_lossy(&units).into_bytes());
        if !is_whole {
            line.resize(MAX_LINE_BYTES as usize, 0);
        }
        Ok(line)
    }

    /// Passes over a byte order mark.
    fn find_encoding(&mut self) -> io::Result<Encoding> {
        let mut start = Vec::new();
        self.stream.as_mut().take(2).read_to_end(&mut start)?;
        if start == [0xef, 0xbb] {
            self.stream.as_mut().take(1).read_to_end(&mut start)?;
        }
        let (encoding, rest) = match start.as_slice() {
            [0xff, 0xfe] => (Encoding::Utf16(u16::from_le_bytes), Vec::new()),
            [0xfe, 0xff] => (Encoding::Utf16(u16::from_be_bytes), Vec::new()),
            [0xef, 0xbb, 0xbf] => (Encoding::Bytes, Vec::new()),
            _ => (Encoding::Bytes, start),
        };
        let after = std::mem::replace(&mut self.stream, Box::new(io::empty()));
        self.stream = Box::new(io::Cursor::new(rest).chain(after));
        Ok(encoding)
    }
}

/// How the lines are written.
#[derive(Clone, Copy)]
enum Encoding {
    /// As the system has paths: UTF-8 or whatever names are made of.
    Bytes,
    /// With this order of bytes.
    Utf16(fn([u8; 2]) -> u16),
}

impl Iterator for Paths {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let problem = match self.line() {
                Ok(line) if line.is_empty() => return None,
                Ok(line) if line.len() as u64 >= MAX_LINE_BYTES => {
                    format!("a line is longer than {MAX_LINE_BYTES} bytes")
                }
                Ok(line) => {
                    let end = line.strip_suffix(b"\n").unwrap_or(&line);
                    let end = end.strip_suffix(b"\r").unwrap_or(end);
                    if end.is_empty() {
                        continue;
                    }
                    let path = as_it_lies(path_of(end));
                    return Some(Found::Photo(self.current_folder.photo(path)));
                }
                Err(error) => error.to_string(),
            };
            // What follows cannot be told apart from the rest of the line.
            self.stream = Box::new(io::empty());
            return Some(Found::Unreadable {
                path: PathBuf::from("-"),
                error: format!("Standard input cannot be read further: {problem}."),
                is_cut: true,
            });
        }
    }
}

/// With `/` for `\` if there is only a file of that name.
fn as_it_lies(path: PathBuf) -> PathBuf {
    let Some(named) = path.to_str().filter(|named| named.contains('\\')) else {
        return path;
    };
    let other = named.replace('\\', "/");
    if !path.exists() && Path::new(&other).exists() {
        return other.into();
    }
    path
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
        Paths::new(Box::new(io::Cursor::new(text.to_owned()))).collect()
    }

    fn paths(text: &[u8]) -> Vec<String> {
        let path = |found: &Found| match found {
            Found::Photo(photo) => photo.path.to_str().unwrap().to_owned(),
            Found::Unreadable { .. } => panic!("{found:?}"),
        };
        read(text).iter().map(path).collect()
    }

    #[test]
    fn one_path_per_line() {
        let paths = paths(b"a.png\n\nsub dir/b.png\r\n../c.png");
        assert_eq!(paths, ["a.png", "sub dir/b.png", "../c.png"]);
    }

    #[test]
    fn a_byte_order_mark_belongs_to_no_name() {
        let text = "ü.png\r\n\r\nsub dir/b 😀.png\n";
        let marked = format!("\u{feff}{text}");
        let units = || marked.encode_utf16();
        for bytes in [
            text.as_bytes().to_vec(),
            marked.clone().into_bytes(),
            units().flat_map(u16::to_le_bytes).collect(),
            units().flat_map(u16::to_be_bytes).collect(),
        ] {
            assert_eq!(paths(&bytes), ["ü.png", "sub dir/b 😀.png"]);
        }
        for bytes in [&b""[..], b"\xef\xbb\xbf", b"\xff\xfe", b"\n"] {
            assert_eq!(paths(bytes), [""; 0]);
        }
        assert_eq!(paths(b"a"), ["a"]);
    }

    #[test]
    fn paths_of_windows_lead_to_files_here() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "").unwrap();
        let inside = format!("{}/", folder.path().display());
        let listed = paths(format!("{inside}.\\a.png\n{inside}.\\gone.png").as_bytes());
        assert_eq!(
            listed,
            [format!("{inside}./a.png"), format!("{inside}.\\gone.png")]
        );
    }

    #[test]
    fn an_endless_line_is_given_up() {
        for mark in [&b""[..], b"\xff\xfe", b"\xef\xbb\xbf"] {
            let found = read(&[mark, &vec![b'x'; 3 << 16]].concat());
            assert!(
                matches!(&found[..], [Found::Unreadable { .. }]),
                "{}",
                found.len()
            );
        }
    }
}
