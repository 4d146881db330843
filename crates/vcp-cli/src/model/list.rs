//! `vcp-clip model list`.

use std::path::Path;

use serde::Serialize;

use vcp_clip::model::{BUILT_IN, BUILT_IN_ABOUT, built_in_size, is_name};
use vcp_clip::pull::Catalogue;

use super::cache_folder;
use crate::args::ListArgs;
use crate::console::{self, Column};
use crate::exit::Exit;

/// Something that can be pulled or was put into the cache.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    /// `bundle` or `file`.
    kind: &'static str,
    about: String,
    /// Where it lies or would lie; of what is part of the program, nowhere.
    path: Option<String>,
    /// Its size in bytes, if it lies there.
    bytes: Option<u64>,
    /// The digest of a published file.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listing {
    cache: String,
    models: Vec<Entry>,
}

pub(crate) fn run(arguments: &ListArgs) -> anyhow::Result<Exit> {
    let folder = cache_folder(&arguments.cache)?;
    let listing = Listing {
        cache: folder.display().to_string(),
        models: entries(&Catalogue::published(), &folder),
    };
    if arguments.json {
        console::print_json(&listing)?;
    } else {
        console::print_text(&table(&listing))?;
    }
    Ok(Exit::Done)
}

fn entries(catalogue: &Catalogue, folder: &Path) -> Vec<Entry> {
    let entry = |name: &str, kind, about: &str, file: &str, sha256| {
        let path = folder.join(file);
        let bytes = path
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|it| it.len());
        Entry {
            name: name.to_owned(),
            kind,
            about: about.to_owned(),
            path: Some(path.display().to_string()),
            bytes,
            sha256,
        }
    };
    let mut entries = vec![Entry {
        name: BUILT_IN.to_owned(),
        kind: "bundle",
        about: BUILT_IN_ABOUT.to_owned(),
        path: None,
        bytes: Some(built_in_size()),
        sha256: None,
    }];
    for bundle in &catalogue.bundles {
        entries.push(entry(
            &bundle.name,
            "bundle",
            &bundle.about,
            &bundle.file_name(),
            None,
        ));
    }
    for source in &catalogue.sources {
        let sha256 = Some(source.sha256.clone());
        entries.push(entry(
            &source.name,
            "file",
            &source.about,
            &source.file,
            sha256,
        ));
    }
    for name in further_bundles(catalogue, folder) {
        let file = format!("{name}.safetensors");
        entries.push(entry(
            &name,
            "bundle",
            "put into the cache by hand",
            &file,
            None,
        ));
    }
    entries
}

/// Bundles in the cache that the catalogue does not know; `--model NAME` finds them too.
fn further_bundles(catalogue: &Catalogue, folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = files
        .flatten()
        .filter_map(|file| {
            Some(
                file.file_name()
                    .to_str()?
                    .strip_suffix(".safetensors")?
                    .to_owned(),
            )
        })
        .filter(|name| is_name(Path::new(name)) && catalogue.bundle(name).is_none())
        .collect();
    names.sort();
    names
}

fn table(listing: &Listing) -> String {
    let columns = [
        Column::left("name"),
        Column::right("size").at_least(12),
        Column::left("what it is"),
    ];
    let rows = listing.models.iter().map(|entry| {
        let state = match entry.bytes {
            Some(bytes) => indicatif::BinaryBytes(bytes).to_string(),
            None => "not pulled".to_owned(),
        };
        vec![entry.name.clone(), state, entry.about.clone()]
    });
    format!(
        "{}\nThe cache is {}.\n",
        console::table(&columns, rows),
        console::printable(&listing.cache)
    )
}
