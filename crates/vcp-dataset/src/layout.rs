//! What a layout is.

use std::path::{Path, PathBuf};

use vcp_image::DecodeOptions;

use crate::{Dataset, Error, files};

/// Reads the data set in `root`, as [`Layout::read`] does. Where nothing of the layout is found, the
/// error tells of links that lead nowhere, behind which the data may be meant to lie.
///
/// # Errors
/// As [`Layout::read`].
pub fn read(layout: &dyn Layout, root: &Path, options: &Options) -> Result<Dataset, Error> {
    let error = match layout.read(root, options) {
        Err(error) => error,
        read => return read,
    };
    let Error::Layout {
        layout,
        root,
        mut found,
        expected,
    } = error
    else {
        return Err(error);
    };
    if let Some((count, link, target)) = files::links_to_nowhere(&root) {
        found = format!(
            "{found}; but {count} links in it lead nowhere, such as {} to {}: fetch their content \
             (git annex get, dvc pull) or mount what they lead to",
            link.display(),
            target.display()
        );
    }
    Err(Error::Layout {
        layout,
        root,
        found,
        expected,
    })
}

/// One way in which data sets lie on disk.
///
/// Adding one takes a file under `layouts/` with an implementation and a test that builds such a data
/// set, and a line in the table of [`layouts`](crate::layouts).
pub trait Layout: Sync {
    /// The name by which it is asked for: lower case, without spaces.
    fn name(&self) -> &'static str;

    /// One line: which data sets these are.
    fn title(&self) -> &'static str;

    /// Several lines: the folders and files that are expected, and how they are understood.
    fn describe(&self) -> &'static str;

    /// Reads the data set in `root`; [`read`](crate::read) does so with a better word for files that
    /// are missing. Images are not decoded, except where only the masks say which
    /// of them are anomalous.
    ///
    /// # Errors
    /// If the data set as a whole cannot be read: a folder or list is missing or unreadable, or a
    /// list names files outside `root`. Everything else becomes a problem of the data set.
    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error>;
}

/// What a user may say about a data set beside its folder. Each layout takes what concerns it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The list to read, for `lookout`, `manifest`, `meta` and `real-iad` (there also a folder of
    /// lists); by default what is found in the root.
    pub manifest: Option<PathBuf>,
    /// The data set's name, for `folder`, `manifest` and `meta`; by default the folder's or the list's.
    pub name: Option<String>,
    /// Folder of normal images, for `folder`.
    pub normal: Option<PathBuf>,
    /// Folder of anomalous images, for `folder`.
    pub anomalous: Option<PathBuf>,
    /// Folder of masks, for `folder`.
    pub masks: Option<PathBuf>,
    /// Let lists name files outside the root, by `..` or by absolute paths. Off by default: lists
    /// come with downloads, and what they name is read and shown.
    pub allow_outside_root: bool,
    /// The largest value of masks that is no defect, for layouts that have to read masks to tell which
    /// images are anomalous. To have it for all masks, call [`Dataset::set_mask_threshold`].
    pub mask_threshold: Option<u8>,
    /// How masks are decoded where reading needs it.
    pub decode: DecodeOptions,
}
