//! Options from a TOML file.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use clap::Command;

use super::{Chosen, flag, names_below};
use crate::exit::UsageError;

/// A configuration file beyond this size is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The arguments for options that are still open, from the tables that concern the chosen command.
pub(super) fn arguments(
    command: &Command,
    chosen: &Chosen<'_>,
    file: &Path,
) -> Result<Vec<OsString>, UsageError> {
    let table = read(file)?;
    check_keys(&table, command, "", file)?;

    // The table of the chosen subcommand wins over those around it.
    let mut layers = vec![&table];
    for name in &chosen.path {
        match layers.last().and_then(|table| table.get(name)) {
            Some(toml::Value::Table(below)) => layers.push(below),
            _ => break,
        }
    }
    let mut arguments = Vec::new();
    for (_, name) in chosen.open_options() {
        let value = layers
            .iter()
            .rev()
            .filter_map(|table| table.get(name))
            // `model` is the name of an option and of a command, whose table this is not.
            .find(|value| !value.is_table());
        if let Some(value) = value {
            push_values(&mut arguments, name, value, file)?;
        }
    }
    Ok(arguments)
}

fn read(file: &Path) -> Result<toml::Table, UsageError> {
    let fail = |problem: String| {
        UsageError(format!(
            "The configuration file {} {problem}",
            file.display()
        ))
    };
    // Read no further than that whatever length is claimed: a pipe or a device claims none.
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| fail(format!("cannot be read: {error}.")))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(fail(format!(
            "is too long; a configuration file has at most {MAX_FILE_BYTES} bytes."
        )));
    }
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map_or_else(String::new, |before| {
            format!(" in line {}", before.matches('\n').count() + 1)
        });
        fail(format!("is not valid TOML{place}: {}.", error.message()))
    })
}

/// Refuses keys that are no option of `command` or of a command below it.
fn check_keys(
    table: &toml::Table,
    command: &Command,
    within: &str,
    file: &Path,
) -> Result<(), UsageError> {
    let options: Vec<String> = names_below(command)
        .into_iter()
        .filter(|name| name != "config")
        .collect();
    for (key, value) in table {
        let full = if within.is_empty() {
            key.clone()
        } else {
            format!("{within}.{key}")
        };
        if let toml::Value::Table(below) = value
            && let Some(subcommand) = command.find_subcommand(key)
        {
            check_keys(below, subcommand, &full, file)?;
        } else if !options.contains(key) && command.find_subcommand(key).is_some() {
            return Err(UsageError(format!(
                "The configuration file {} gives `{full}` a value, but it is a command; options for \
                 it stand in a table [{full}].",
                file.display()
            )));
        } else if !options.contains(key) {
            let commands = command
                .get_subcommands()
                .map(|command| command.get_name().to_owned());
            return Err(UsageError(unknown_key(
                &full,
                key,
                options.iter().cloned().chain(commands),
                file,
            )));
        }
    }
    Ok(())
}

fn unknown_key(full: &str, key: &str, valid: impl Iterator<Item = String>, file: &Path) -> String {
    let wanted = key.to_lowercase().replace('_', "-");
    let nearest = valid.min_by_key(|name| strsim::damerau_levenshtein(&wanted, name));
    let hint = nearest.map_or_else(String::new, |name| format!(" The nearest is `{name}`."));
    format!(
        "The configuration file {} holds `{full}`, which is no option.{hint}",
        file.display()
    )
}

fn push_values(
    arguments: &mut Vec<OsString>,
    name: &str,
    value: &toml::Value,
    file: &Path,
) -> Result<(), UsageError> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(on) => on.to_string(),
        toml::Value::Array(values) if !values.iter().any(toml::Value::is_array) => {
            return values
                .iter()
                .try_for_each(|value| push_values(arguments, name, value, file));
        }
        toml::Value::Array(_) | toml::Value::Table(_) | toml::Value::Datetime(_) => {
            return Err(UsageError(format!(
                "The configuration file {} holds a value of type {} for `{name}`; a string, a number, true, \
                 false or a list of these is expected.",
                file.display(),
                value.type_str(),
            )));
        }
    };
    arguments.push(flag(name, text.as_ref()));
    Ok(())
}
