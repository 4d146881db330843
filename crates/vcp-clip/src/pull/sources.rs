//! What can be pulled and from where.

use vcp_checkpoint::Settings;

/// Where OpenAI publishes CLIP's archives.
pub const CLIP_BASE_URL: &str = "https://openaipublic.azureedge.net/clip/models";

/// Where files of the authors' drive are served.
pub const DRIVE_BASE_URL: &str = "https://drive.usercontent.google.com";

/// Where the authors of VCP-CLIP point to their checkpoints.
const AUTHORS_PAGE: &str = "https://github.com/xiaozhen228/VCP-CLIP";

/// Where OpenAI points to CLIP's archives.
const CLIP_PAGE: &str = "https://github.com/openai/CLIP";

/// The part of an address that a mirror replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrls {
    /// Before `/SHA256/FILE` of OpenAI's archives.
    pub clip: String,
    /// Before `/download?id=…` of the authors' checkpoints.
    pub drive: String,
}

impl Default for BaseUrls {
    fn default() -> Self {
        Self {
            clip: CLIP_BASE_URL.to_owned(),
            drive: DRIVE_BASE_URL.to_owned(),
        }
    }
}

/// On which server a file is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// OpenAI's server, whose addresses contain the digest.
    Clip,
    /// The authors' drive, under this file id.
    Drive {
        /// The file's id.
        id: String,
    },
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What `vcp-clip model pull` calls it.
    pub name: String,
    /// Its name in the cache.
    pub file: String,
    /// Its SHA-256 digest in lowercase hexadecimal digits.
    pub sha256: String,
    /// No more bytes than this are accepted: the size to expect, and some room.
    pub size_limit: u64,
    /// What it is, in a few words.
    pub about: String,
    /// Where it is published.
    pub place: Place,
}

impl Source {
    /// The address the file is fetched from.
    #[must_use]
    pub fn url(&self, base_urls: &BaseUrls) -> String {
        match &self.place {
            Place::Clip => {
                let base = base_urls.clip.trim_end_matches('/');
                format!("{base}/{}/{}", self.sha256, self.file)
            }
            // `confirm=t` skips the page that warns of files too large for a virus scan.
            Place::Drive { id } => {
                let base = base_urls.drive.trim_end_matches('/');
                format!("{base}/download?id={id}&export=download&confirm=t")
            }
        }
    }

    /// The page on which its authors publish the file.
    #[must_use]
    pub fn page(&self) -> &'static str {
        match self.place {
            Place::Clip => CLIP_PAGE,
            Place::Drive { .. } => AUTHORS_PAGE,
        }
    }
}

/// A bundle that is packed from two published files.
#[derive(Debug, Clone)]
pub struct BundleRecipe {
    /// What `vcp-clip model pull` and `--model` call it.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Name of the CLIP archive among the sources.
    pub clip: String,
    /// Name of the checkpoint among the sources.
    pub checkpoint: String,
    /// How the checkpoint was trained and is to be run.
    pub settings: Settings,
}

impl BundleRecipe {
    /// The bundle's name in the cache.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.safetensors", self.name)
    }
}

/// All that can be pulled.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Single files.
    pub sources: Vec<Source>,
    /// Bundles packed from them.
    pub bundles: Vec<BundleRecipe>,
}

impl Catalogue {
    /// What OpenAI and the authors of VCP-CLIP publish.
    #[must_use]
    pub fn published() -> Self {
        const MIB: u64 = 1 << 20;
        let clip = |name: &str, sha256: &str, mebibytes: u64| Source {
            name: name.to_owned(),
            file: format!("{name}.pt"),
            sha256: sha256.to_owned(),
            size_limit: mebibytes * MIB,
            about: format!("OpenAI's CLIP {name}"),
            place: Place::Clip,
        };
        let checkpoint = |dataset: &str, title: &str, sha256: &str, id: &str| Source {
            name: format!("train_{dataset}"),
            file: format!("train_{dataset}.pth"),
            sha256: sha256.to_owned(),
            size_limit: 256 * MIB,
            about: format!("the authors' checkpoint trained on {title}"),
            place: Place::Drive { id: id.to_owned() },
        };
        let bundle = |dataset: &str, title: &str| BundleRecipe {
            name: dataset.to_owned(),
            about: format!("ViT-L-14-336px with the checkpoint trained on {title}"),
            clip: "ViT-L-14-336px".to_owned(),
            checkpoint: format!("train_{dataset}"),
            settings: Settings::default(),
        };
        Self {
            sources: vec![
                clip(
                    "ViT-L-14-336px",
                    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
                    1024,
                ),
                clip(
                    "ViT-L-14",
                    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
                    1024,
                ),
                clip(
                    "ViT-B-16",
                    "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
                    512,
                ),
                checkpoint(
                    "visa",
                    "VisA",
                    "bbb15ee3e303d6036d7eb82ecf6ee2419500d12472dc82c9023069b4110a2849",
                    "1MOTaN2hf6ejraTzax6Fnr0fa_b2ZMzjN",
                ),
                checkpoint(
                    "mvtec",
                    "MVTec-AD",
                    "3e9364a149f34cb70dfed5dd493a34907659ee9955429ee0fdcf2899eb3f94e0",
                    "1uJE25wx2OgSbVPMhR2rbOO5ey0r9UkTr",
                ),
            ],
            bundles: vec![bundle("visa", "VisA"), bundle("mvtec", "MVTec-AD")],
        }
    }

    /// The file of this name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources
            .iter()
            .find(|source| source.name == name || source.file == name)
    }

    /// The bundle of this name.
    #[must_use]
    pub fn bundle(&self, name: &str) -> Option<&BundleRecipe> {
        self.bundles.iter().find(|bundle| bundle.name == name)
    }

    /// All names, bundles first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let bundles = self.bundles.iter().map(|bundle| bundle.name.as_str());
        bundles.chain(self.sources.iter().map(|source| source.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_base() {
        let catalogue = Catalogue::published();
        let official = BaseUrls::default();
        assert_eq!(
            catalogue.source("ViT-B-16").unwrap().url(&official),
            "https://openaipublic.azureedge.net/clip/models/\
             5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt"
        );
        let mirror = BaseUrls {
            drive: "http://mirror/x/".to_owned(),
            ..official
        };
        assert_eq!(
            catalogue.source("train_mvtec").unwrap().url(&mirror),
            "http://mirror/x/download?id=1uJE25wx2OgSbVPMhR2rbOO5ey0r9UkTr&export=download&confirm=t"
        );
    }

    #[test]
    fn the_catalogue_is_complete() {
        let catalogue = Catalogue::published();
        for bundle in &catalogue.bundles {
            assert!(catalogue.source(&bundle.clip).is_some());
            assert!(catalogue.source(&bundle.checkpoint).is_some());
        }
        for source in &catalogue.sources {
            assert_eq!(source.sha256.len(), 64);
            assert!(
                source
                    .sha256
                    .chars()
                    .all(|c| matches!(c, '0'..='9' | 'a'..='f'))
            );
        }
    }
}
