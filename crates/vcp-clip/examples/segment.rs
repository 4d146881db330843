//! From a photo to its score, its regions and an overlay:
//!
//! ```sh
//! cargo run --release -p vcp-clip --example segment -- samples/cookie-good.jpg cookie.overlay.png
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example of a program"
)]

use std::env::args_os;
use std::path::PathBuf;

use vcp_clip::{Inspector, ModelName};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = args_os().skip(1).map(PathBuf::from);
    let (Some(photo), Some(overlay)) = (arguments.next(), arguments.next()) else {
        return Err("Name a photo and the overlay to write.".into());
    };
    let inspector = Inspector::open(&ModelName::BuiltIn)?;
    let inspection = inspector.inspect_file(&photo)?;
    let verdict = if inspection.is_anomalous() {
        "anomalous"
    } else {
        "good"
    };
    println!("{}: {:.3}, {verdict}", photo.display(), inspection.score());
    for region in inspection.regions() {
        let bounds = region.bounding_box;
        println!(
            "  {} × {} pixels at {}, {}; peak {:.2}",
            bounds.width, bounds.height, bounds.x, bounds.y, region.peak
        );
    }
    inspection.overlay()?.write_png(&overlay)?;
    Ok(())
}
