//! Files with several pages.

use std::path::Path;

use super::{Found, PhotoPath};

/// Each page of each file as a photo of its own; files with one stay as they are.
pub fn every_page(
    photos: impl Iterator<Item = Found> + Send + 'static,
) -> impl Iterator<Item = Found> + Send + 'static {
    photos.flat_map(|found| match found {
        Found::Photo(photo) => match vcp_image::photo_pages(&photo.path) {
            Some(pages) => pages
                .into_iter()
                .map(|page| Found::Photo(of_page(&photo, page)))
                .collect(),
            None => vec![Found::Photo(photo)],
        },
        unreadable @ Found::Unreadable { .. } => vec![unreadable],
    })
}

fn of_page(photo: &PhotoPath, page: u32) -> PhotoPath {
    let relative = &photo.relative;
    let stem = Path::new(relative.file_stem().unwrap_or_default());
    let mut name = stem.as_os_str().to_owned();
    name.push(format!(".page{page}"));
    if let Some(ending) = relative.extension() {
        name.push(".");
        name.push(ending);
    }
    PhotoPath {
        path: photo.path.clone(),
        relative: relative.with_file_name(name),
        page: Some(page),
    }
}
