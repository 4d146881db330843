//! The files beside the database.
//!
//! Those of one result lie in a folder of its day, `files/2026-11-27/ID.photo.png` and so on. Before they are written,
//! the database notes the id, so that what a process leaves that is killed before the result is in the database is
//! found and removed; a result is taken from the database before its files go.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use vcp_files::Durability;
use vcp_image::Kind;

use crate::{Error, NewResult, ResultId};

/// A file that may be kept of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// The photo's file, to the byte.
    Photo,
    /// The photo with the map over it, a PNG.
    Overlay,
    /// The photo made small, a JPEG.
    Thumbnail,
    /// The map `[side, side]` as an array for `NumPy`, of unsigned 16-bit numbers: value × 65535; 0 where the photo does
    /// not count.
    Map,
}

/// Endings of photos.
const PHOTO_ENDINGS: [&str; 8] = ["bin", "bmp", "gif", "jpg", "png", "pnm", "tif", "webp"];

/// How the file of a photo ends, by its content.
pub(crate) fn photo_ending(photo: &[u8]) -> &'static str {
    let kind = Kind::of(&photo[..photo.len().min(Kind::LENGTH)]);
    match kind {
        Some(Kind::Bmp) => "bmp",
        Some(Kind::Gif) => "gif",
        Some(Kind::Jpeg) => "jpg",
        Some(Kind::Png) => "png",
        Some(Kind::Pnm) => "pnm",
        Some(Kind::Tiff) => "tif",
        Some(Kind::WebP) => "webp",
        _ => "bin",
    }
}

/// The folder of the files of one day.
pub(crate) fn day_folder(folder: &Path, id: &ResultId) -> PathBuf {
    folder.join("files").join(id.time().day())
}

/// Where a file of a result lies. `ending` is the photo's.
pub(crate) fn place(folder: &Path, id: &ResultId, kind: FileKind, ending: &str) -> PathBuf {
    let name = match kind {
        FileKind::Photo => format!("{id}.photo.{ending}"),
        FileKind::Overlay => format!("{id}.overlay.png"),
        FileKind::Thumbnail => format!("{id}.thumbnail.jpg"),
        FileKind::Map => format!("{id}.map.npy"),
    };
    day_folder(folder, id).join(name)
}

/// What was written of a result.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The photo's ending, if it was kept.
    pub(crate) photo: Option<&'static str>,
    pub(crate) overlay: bool,
    pub(crate) thumbnail: bool,
    pub(crate) map: bool,
    /// Of all of them.
    pub(crate) bytes: u64,
}

/// Which files are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) photo: bool,
    pub(crate) overlay: bool,
    pub(crate) map: bool,
}

/// Writes the files of a result; they are on the disk when this returns.
pub(crate) fn write(
    folder: &Path,
    id: &ResultId,
    keep: Keep,
    new: &NewResult<'_>,
) -> Result<Written, Error> {
    let mut written = Written::default();
    let mut contents = Vec::new();
    if keep.photo {
        let ending = photo_ending(new.photo);
        written.photo = Some(ending);
        contents.push((FileKind::Photo, ending, new.photo));
    }
    if let Some(overlay) = new.overlay.filter(|_| keep.overlay) {
        written.overlay = true;
        contents.push((FileKind::Overlay, "", overlay));
    }
    if !new.thumbnail.is_empty() {
        written.thumbnail = true;
        contents.push((FileKind::Thumbnail, "", new.thumbnail));
    }
    let map = new.map.filter(|_| keep.map);
    let map = map.map(|(values, side)| map_array(values, side));
    let map = map.transpose()?;
    if let Some(map) = &map {
        written.map = true;
        contents.push((FileKind::Map, "", map));
    }
    let mut places = Vec::new();
    for (kind, ending, content) in contents {
        written.bytes += content.len() as u64;
        let file = place(folder, id, kind, ending);
        let outcome = write_file(&file, content);
        outcome.map_err(|source| Error::File {
            file: file.clone(),
            source,
        })?;
        places.push(file);
    }
    if !places.is_empty() && cfg!(unix) {
        // The names too, where folders can be opened.
        places.push(day_folder(folder, id));
    }
    sync(&places)?;
    Ok(written)
}

fn write_file(file: &Path, content: &[u8]) -> io::Result<()> {
    let write = || {
        fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
        // Nothing names it before all are on the disk.
        vcp_files::write(file, Durability::Fast, |file| file.write_all(content))
    };
    match write() {
        // The folder has just been removed, because it was empty.
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(),
        outcome => outcome,
    }
}

/// Brings files to the disk: at a time, so that the disk does it in one go.
fn sync(places: &[PathBuf]) -> Result<(), Error> {
    let sync = |place: &Path| {
        // Windows syncs only what is open for writing; folders cannot be.
        let mut options = fs::File::options();
        options.read(true).write(cfg!(windows));
        options.open(place)?.sync_all()
    };
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = places
            .iter()
            .map(|place| thread::Builder::new().spawn_scoped(scope, || sync(place)))
            .collect();
        let outcomes = threads.into_iter().zip(places).map(|(thread, place)| {
            // Without a thread of its own, it is done here.
            let outcome = thread.ok().and_then(|thread| thread.join().ok());
            (place, outcome.unwrap_or_else(|| sync(place)))
        });
        outcomes.collect::<Vec<_>>()
    });
    for (place, outcome) in outcomes {
        outcome.map_err(|source| Error::File {
            file: place.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Removes all files of a result that there may be, and the folder of the day if it is empty then.
pub(crate) fn remove(folder: &Path, id: &ResultId) -> Result<(), Error> {
    let photos = PHOTO_ENDINGS.iter();
    let photos = photos.map(|ending| place(folder, id, FileKind::Photo, ending));
    let others = [FileKind::Overlay, FileKind::Thumbnail, FileKind::Map];
    let others = others.map(|kind| place(folder, id, kind, ""));
    for file in photos.chain(others) {
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::File { file, source });
            }
            _ => {}
        }
    }
    // It stays if there is anything in it.
    let _ = fs::remove_dir(day_folder(folder, id));
    Ok(())
}

/// A map as an array for `NumPy`, of 16-bit numbers.
fn map_array(values: &[f32], side: usize) -> Result<Vec<u8>, Error> {
    // See `vcp_image::encode_npy` for the format.
    const START: &[u8] = b"\x93NUMPY\x01\x00";
    const ALIGNMENT: usize = 64;
    if side.checked_mul(side) != Some(values.len()) {
        let values = values.len();
        return Err(Error::Map { side, values });
    }
    let mut dictionary =
        format!("{{'descr': '<u2', 'fortran_order': False, 'shape': ({side}, {side}), }}");
    let unpadded = START.len() + size_of::<u16>() + dictionary.len() + 1;
    let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
    dictionary.extend(std::iter::repeat_n(' ', padding));
    dictionary.push('\n');
    let length = (dictionary.len() as u16).to_le_bytes();
    let mut file = [START, &length, dictionary.as_bytes()].concat();
    // What is not a number becomes 0.
    let levels = values
        .iter()
        .map(|value| (value * 65535.0).round().clamp(0.0, 65535.0) as u16);
    file.extend(levels.flat_map(u16::to_le_bytes));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_back() {
        let values = [0.0, 1.0, 0.5, f32::NAN, -1.0, 2.0, 1e-9, 0.25, 0.75];
        let file = map_array(&values, 3).unwrap();
        let read = npyz::NpyFile::new(&file[..]).unwrap();
        assert_eq!(read.shape(), [3, 3]);
        let expected = [0, 65535, 32768, 0, 0, 65535, 0, 16384, 49151];
        assert_eq!(read.into_vec::<u16>().unwrap(), expected);
        assert!(matches!(map_array(&values, 2), Err(Error::Map { .. })));
        assert!(map_array(&[], usize::MAX).is_err());
    }
}
