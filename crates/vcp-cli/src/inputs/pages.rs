//! Files with several pages.

use std::path::Path;

use super::{Found, Input};

/// Each page of each file as a photo of its own; files with one stay as they are.
pub(crate) fn every_page(
    photos: impl Iterator<Item = Found> + Send + 'static,
) -> impl Iterator<Item = Found> + Send + 'static {
    photos.flat_map(|found| match found {
        Found::Photo(input) => match vcp_image::photo_pages(&input.path) {
            Some(pages) => pages
                .into_iter()
                .map(|page| Found::Photo(of_page(&input, page)))
                .collect(),
            None => vec![Found::Photo(input)],
        },
        unreadable @ Found::Unreadable { .. } => vec![unreadable],
    })
}

fn of_page(input: &Input, page: u32) -> Input {
    let relative = &input.relative;
    let stem = Path::new(relative.file_stem().unwrap_or_default());
    let mut name = stem.as_os_str().to_owned();
    name.push(format!(".page{page}"));
    if let Some(ending) = relative.extension() {
        name.push(".");
        name.push(ending);
    }
    Input {
        path: input.path.clone(),
        relative: relative.with_file_name(name),
        page: Some(page),
    }
}
