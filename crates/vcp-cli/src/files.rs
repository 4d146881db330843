//! Files that appear whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use npyz::WriterBuilder as _;
use tempfile::{Builder, NamedTempFile};
use vcp_image::{MapRows, Picture};

use crate::exit::usage;

/// Writes a file beside its place and moves it there when it is complete, creating the folders
/// above it. When `write` fails, nothing is left behind.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let _unfinished = UNFINISHED.enter(temporary.path());
    let mut writer = BufWriter::new(temporary);
    write(&mut writer)?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Refuses to put a result where something other than a file stands, such as a device, or a file
/// that may not be replaced.
///
/// # Errors
/// As wrong usage.
pub(crate) fn check_place(path: &Path, force: bool) -> anyhow::Result<()> {
    // What else may be wrong with the place shows when it is written to.
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !found.is_file() {
        return Err(usage(format!(
            "{} is no regular file and cannot be replaced by one; name another place.",
            path.display()
        )));
    }
    if !force {
        return Err(usage(format!(
            "{} exists already; --force replaces it.",
            path.display()
        )));
    }
    Ok(())
}

/// Temporary files of this process, which a process that ends at once has to take with it.
static UNFINISHED: Unfinished = Unfinished(Mutex::new(Vec::new()));

/// Removes files that are being written; for a process that is about to end.
pub(crate) fn remove_unfinished() {
    UNFINISHED.remove();
}

struct Unfinished(Mutex<Vec<PathBuf>>);

impl Unfinished {
    fn paths(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        // A list of paths is as good after a panic as before it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, path: &Path) -> Entered<'_> {
        self.paths().push(path.to_owned());
        Entered {
            list: self,
            path: path.to_owned(),
        }
    }

    fn remove(&self) {
        for path in self.paths().iter() {
            // It may have become a result a moment ago.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// An entry that goes when the file is finished or given up.
struct Entered<'a> {
    list: &'a Unfinished,
    path: PathBuf,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.list.paths().retain(|path| *path != self.path);
    }
}

/// Writes a PNG.
pub(crate) fn write_picture(path: &Path, picture: &Picture) -> anyhow::Result<()> {
    write_whole(path, |file| picture.encode_png(file))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes an f32 array `[side, side]`.
pub(crate) fn write_npy(path: &Path, values: &[f32], side: usize) -> io::Result<()> {
    write_whole(path, |file| {
        let side = side as u64;
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[side, side])
            .writer(file)
            .begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })
}

/// Writes a map as an f32 array `[height, width]`, row by row.
pub(crate) fn write_npy_rows(path: &Path, map: &dyn MapRows) -> io::Result<()> {
    write_whole(path, |file| {
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[map.height() as u64, map.width() as u64])
            .writer(file)
            .begin_nd()?;
        let mut row = vec![0.0_f32; map.width()];
        for y in 0..map.height() {
            map.row(y, &mut row);
            writer.extend(row.iter().copied())?;
        }
        writer.finish()
    })
}

/// `x/a` and `.mask.png` make `x/a.mask.png`, also when `a` holds dots.
pub(crate) fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&folder)?;
    let mut builder = Builder::new();
    builder.prefix(".vcp-clip-");
    // Temporary files are for their owner alone unless asked otherwise; these become results, so
    // they get what any new file gets, less what the user's umask takes away.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write_whole(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("stop"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    fn unfinished_files_go_and_finished_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["one", "two"].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "half").unwrap();
        }
        let list = Unfinished(Mutex::new(Vec::new()));
        drop(list.enter(&paths[0]));
        let entered = list.enter(&paths[1]);
        list.remove();
        assert_eq!(paths.each_ref().map(|path| path.exists()), [true, false]);
        drop(entered);
        assert!(list.paths().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_results_as_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_whole(&ours, |_| Ok(())).unwrap();
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
