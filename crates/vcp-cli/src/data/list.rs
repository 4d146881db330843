//! `vcp-clip data list`.

use std::fmt::Write as _;

use serde_json::json;
use vcp_dataset::Layout;

use crate::args::LayoutsArgs;
use crate::console;
use crate::exit::{Exit, OrUsage};

pub(crate) fn run(arguments: &LayoutsArgs) -> anyhow::Result<Exit> {
    let layouts: Vec<&dyn Layout> = match &arguments.layout {
        Some(name) => vec![vcp_dataset::layout_or_error(name).or_usage()?],
        None => vcp_dataset::layouts().to_vec(),
    };
    if arguments.json {
        let layouts: Vec<_> = layouts
            .iter()
            .map(|layout| {
                json!({
                    "layout": layout.name(),
                    "title": layout.title(),
                    "expects": layout.describe(),
                })
            })
            .collect();
        console::print_json(&json!({ "layouts": layouts }))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for layout in layouts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {}", layout.name(), layout.title());
        for line in layout.describe().lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push('\n');
    }
    console::print_text(&text)?;
    Ok(Exit::Done)
}
