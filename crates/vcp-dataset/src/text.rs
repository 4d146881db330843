//! The text of lists and annotations, whatever program wrote it.

use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use crate::Error;

/// Longest list or annotation that is read. The longest real one, the official list of `VisA`, has
/// 3 MB; annotations of labelme may carry their photo with them.
pub(crate) const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Longest line of a list of one entry per line. Paths have at most 4096 bytes, and entries a few
/// names besides.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 18;

/// Longest path in a list: no system has longer ones.
const MAX_PATH_BYTES: usize = 4096;

/// Longest name in a list. Categories become folders, and file systems have no longer names.
const MAX_NAME_BYTES: usize = 255;

/// The text of a list or annotation, without byte order mark.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    // Opening a pipe would wait for somebody to write to it.
    if !fs::metadata(path).map_err(read_error)?.is_file() {
        return Err(read_error(IoError::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        )));
    }
    let bytes = vcp_files::read_at_most(path, MAX_TEXT_BYTES).map_err(read_error)?;
    let bytes = bytes.ok_or_else(|| Error::TooLong {
        path: path.to_owned(),
        max_bytes: MAX_TEXT_BYTES,
    })?;
    decode(bytes).map_err(|reason| Error::Invalid {
        path: path.to_owned(),
        line: None,
        reason,
    })
}

/// UTF-8, or UTF-16 if a byte order mark says so. Everything else would have to be guessed, and names
/// guessed wrongly are files that are missing.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    const ADVICE: &str = "save it as UTF-8 (in a spreadsheet, as 'CSV UTF-8')";
    let unit = match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err(format!("it is UTF-32 text; {ADVICE}"));
        }
        [0xff, 0xfe, ..] => u16::from_le_bytes as fn([u8; 2]) -> u16,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let mut text = String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                format!(
                    "it is not UTF-8 text (byte {at}), but perhaps in an encoding of Windows such as \
                     Windows-1252; {ADVICE}"
                )
            })?;
            if text.contains('\0') {
                return Err(format!(
                    "it holds bytes of 0 and is no text, or UTF-16 text without a byte order mark; \
                     {ADVICE}"
                ));
            }
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            return Ok(text);
        }
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let units = pairs.iter().map(|&pair| unit(pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(format!("it begins like UTF-16 text, but is not; {ADVICE}")),
    }
}

/// Refuses a path from a list that is longer than any system has, with the reason.
pub(crate) fn check_path(named: &str) -> Result<(), String> {
    let length = named.len();
    if length > MAX_PATH_BYTES {
        return Err(format!(
            "it names a path of {length} bytes, where no system has more than {MAX_PATH_BYTES}"
        ));
    }
    Ok(())
}

/// Refuses a name from a list that is longer than a folder's may be, with the reason.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    let length = name.len();
    if length > MAX_NAME_BYTES {
        return Err(format!(
            "its {what} has a name of {length} bytes; it may have {MAX_NAME_BYTES}"
        ));
    }
    Ok(())
}

/// Refuses a line that is longer than any real one, with the reason.
pub(crate) fn check_line(line: &str) -> Result<(), String> {
    let length = line.len();
    if length > MAX_LINE_BYTES {
        return Err(format!(
            "it is a line of {length} bytes; it may have {MAX_LINE_BYTES}"
        ));
    }
    Ok(())
}

/// Text from a list, cut to what a sentence can bear.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let text = format!("\u{feff}{text}");
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn marks_say_which_encoding_it_is_and_belong_to_no_name() {
        let text = "image\nfotos/ü 😀.png\n";
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            utf_16(text, u16::to_le_bytes),
            utf_16(text, u16::to_be_bytes),
        ] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
    }

    #[test]
    fn other_encodings_are_refused_with_what_to_do() {
        let without_mark: Vec<u8> = utf_16("image", u16::to_le_bytes)[2..].to_vec();
        let mut cut = utf_16("image", u16::to_le_bytes);
        cut.pop();
        for (bytes, expected) in [
            (
                b"image\nfotos/\xfc.png\n".to_vec(),
                "not UTF-8 text (byte 12)",
            ),
            (without_mark, "without a byte order mark"),
            (cut, "begins like UTF-16"),
            (b"\xff\xfe\x00\xd8".to_vec(), "begins like UTF-16"),
            (b"\xff\xfe\0\0i\0\0\0".to_vec(), "UTF-32"),
        ] {
            let reason = decode(bytes).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
            assert!(reason.contains("save it as UTF-8"), "{reason}");
        }
    }
}
