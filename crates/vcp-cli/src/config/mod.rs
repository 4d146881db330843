//! Options from the environment and from a TOML file, laid below the command line.
//!
//! Both are turned into `--name=value` arguments for the options that the layers above do not
//! give, and the whole is parsed again. So every option works everywhere without being named
//! here, and a bad value is explained in the same words wherever it stands.

mod file;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::args::{self, Arguments};
use crate::console;
use crate::exit::UsageError;

const PREFIX: &str = "VCP_CLIP_";

const ENVIRONMENT_ORIGIN: &str =
    "It stands in an environment variable: VCP_CLIP_ and the option's name in capitals.";

/// Why the arguments cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseError {
    /// What clap says, which for `--help` and `--version` is no error.
    #[error("{0}")]
    Clap(#[from] clap::Error),
    /// What stands in the environment or the file is at fault.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

/// The arguments, and what to tell the user about how they came about.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The arguments from all layers.
    pub(crate) arguments: Arguments,
    /// Variables that look like options and are none; not looked for if notes are not wanted.
    pub(crate) unknown_variables: Vec<String>,
}

/// Parses the command line, then fills in from `environment`, then from the file that `--config`
/// names.
pub(crate) fn parse(
    command_line: Vec<OsString>,
    environment: &[(OsString, OsString)],
) -> Result<Parsed, ParseError> {
    let mut command = args::command();
    // Building adds --help and --version and resolves what mut_args left open.
    command.build();
    let mut arguments = command_line;
    let mut matches = command.clone().try_get_matches_from(&arguments)?;

    let chosen = Chosen::new(&command, &matches);
    let path = chosen.path.clone();
    let further = environment_arguments(&chosen, environment);
    if !further.is_empty() {
        matches = insert(&command, &mut arguments, &path, &further)
            .map_err(|error| blame(error, ENVIRONMENT_ORIGIN))?;
    }

    let chosen = Chosen::new(&command, &matches);
    if let Some(file) = chosen.config() {
        let further = file::arguments(&command, &chosen, &file)?;
        let origin = format!("It stands in the configuration file {}.", file.display());
        matches = insert(&command, &mut arguments, &path, &further)
            .map_err(|error| blame(error, &origin))?;
    }
    let unknown_variables = if Chosen::new(&command, &matches).is_quiet() {
        Vec::new()
    } else {
        unknown_variables(&command, environment)
    };
    Ok(Parsed {
        arguments: Arguments::from_arg_matches(&matches)?,
        unknown_variables,
    })
}

/// The subcommand that was chosen.
struct Chosen<'a> {
    /// Names of the subcommands that lead to it.
    path: Vec<String>,
    command: &'a Command,
    matches: &'a ArgMatches,
}

impl<'a> Chosen<'a> {
    fn new(mut command: &'a Command, mut matches: &'a ArgMatches) -> Self {
        let mut path = Vec::new();
        while let Some((name, below)) = matches.subcommand() {
            let Some(found) = command.find_subcommand(name) else {
                break;
            };
            path.push(name.to_owned());
            (command, matches) = (found, below);
        }
        Self {
            path,
            command,
            matches,
        }
    }

    fn config(&self) -> Option<PathBuf> {
        self.matches
            .try_get_one::<PathBuf>("config")
            .ok()
            .flatten()
            .cloned()
    }

    fn is_quiet(&self) -> bool {
        let quiet = self.matches.try_get_one::<bool>("quiet");
        quiet.ok().flatten().copied().unwrap_or(false)
    }

    fn is_given(&self, argument: &Arg) -> bool {
        self.matches
            .value_source(argument.get_id().as_str())
            .is_some_and(|source| source != ValueSource::DefaultValue)
    }

    /// Options a lower layer may still set: neither given above nor excluded by what is.
    fn open_options(&self) -> impl Iterator<Item = (&'a Arg, &'a str)> {
        options(self.command).filter(|(argument, _)| {
            !self.is_given(argument)
                && !self
                    .command
                    .get_arg_conflicts_with(argument)
                    .into_iter()
                    .any(|other| self.is_given(other))
        })
    }
}

/// The options of a command that may stand in a lower layer, with their long names.
fn options(command: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    command
        .get_arguments()
        .filter_map(|argument| Some((argument, argument.get_long()?)))
        .filter(|(_, name)| !matches!(*name, "help" | "version"))
}

/// Parses again with further arguments, put right behind the subcommand's name so that a `--`
/// later on does not turn them into inputs.
fn insert(
    command: &Command,
    arguments: &mut Vec<OsString>,
    path: &[String],
    further: &[OsString],
) -> Result<ArgMatches, clap::Error> {
    let position = 1 + path.len();
    arguments.splice(position..position, further.iter().cloned());
    command.clone().try_get_matches_from(&*arguments)
}

/// clap's message with a sentence about where the offending value stands.
fn blame(error: clap::Error, origin: &str) -> UsageError {
    let message = console::made_visible(error).to_string();
    // The usage line that follows the message is about the command line.
    let message = message.split("\n\nUsage:").next().unwrap_or_default();
    let message = message
        .split("\n\nFor more information")
        .next()
        .unwrap_or_default();
    UsageError(format!(
        "{}\n  {origin}",
        message
            .trim_start_matches("error: ")
            .trim_end()
            .replace("\n\n", "\n")
    ))
}

fn flag(name: &str, value: &OsStr) -> OsString {
    let mut argument = OsString::from(format!("--{name}="));
    argument.push(value);
    argument
}

fn variable_name(option: &str) -> String {
    format!("{PREFIX}{}", option.to_uppercase().replace('-', "_"))
}

fn environment_arguments(
    chosen: &Chosen<'_>,
    environment: &[(OsString, OsString)],
) -> Vec<OsString> {
    let mut arguments = Vec::new();
    for (argument, name) in chosen.open_options() {
        let variable = variable_name(name);
        let value = environment
            .iter()
            .find(|(key, _)| *key == *variable)
            .map(|(_, value)| value);
        match value {
            // An empty variable counts as none: that is how one is switched off for one call.
            Some(value) if !value.is_empty() => match value.to_str() {
                Some(lines) if matches!(argument.get_action(), ArgAction::Append) => {
                    let lines = lines.lines().filter(|line| !line.is_empty());
                    arguments.extend(lines.map(|line| flag(name, line.as_ref())));
                }
                _ => arguments.push(flag(name, value)),
            },
            _ => {}
        }
    }
    arguments
}

/// The variable that tells this project's tests which Python to use; no option.
const TESTS_PYTHON: &str = "VCP_CLIP_PYTHON";

/// Variables with our prefix that name no option of any command.
fn unknown_variables(command: &Command, environment: &[(OsString, OsString)]) -> Vec<String> {
    let known: Vec<String> = names_below(command)
        .iter()
        .map(|name| variable_name(name))
        .collect();
    environment
        .iter()
        .filter_map(|(key, _)| key.to_str())
        .filter(|key| key.starts_with(PREFIX) && *key != TESTS_PYTHON)
        .filter(|key| !known.iter().any(|known| known == key))
        .map(str::to_owned)
        .collect()
}

/// The long names of all options of a command and of the commands below it.
fn names_below(command: &Command) -> Vec<String> {
    let mut names: Vec<String> = options(command).map(|(_, name)| name.to_owned()).collect();
    for below in command.get_subcommands() {
        names.extend(names_below(below));
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
