//! Options from the environment and from a TOML file, laid below the command line.
//!
//! Both are turned into `--name=value` arguments for the options that the layers above do not
//! give, and the whole is parsed again. So every option works everywhere without being named
//! here, and a bad value is explained in the same words wherever it stands.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use crate::args::{self, Arguments};
use crate::exit::UsageError;

const PREFIX: &str = "VCP_CLIP_";

const ENVIRONMENT_ORIGIN: &str =
    "It stands in an environment variable: VCP_CLIP_ and the option's name in capitals.";

/// A configuration file beyond this size is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

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
    /// Variables that look like options and are none.
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
            .map_err(|error| blame(&error, ENVIRONMENT_ORIGIN))?;
    }

    let chosen = Chosen::new(&command, &matches);
    if let Some(file) = chosen.config() {
        let further = file_arguments(&command, &chosen, &file)?;
        let origin = format!("It stands in the configuration file {}.", file.display());
        matches = insert(&command, &mut arguments, &path, &further)
            .map_err(|error| blame(&error, &origin))?;
    }
    Ok(Parsed {
        arguments: Arguments::from_arg_matches(&matches)?,
        unknown_variables: unknown_variables(&command, environment),
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
fn blame(error: &clap::Error, origin: &str) -> UsageError {
    let message = error.to_string();
    // The usage line that follows the message is about the command line.
    let message = message.split("\n\nUsage:").next().unwrap_or_default();
    let message = message
        .split("\n\nFor more information")
        .next()
        .unwrap_or_default();
    UsageError(format!(
        "{}\n{origin}",
        message.trim_start_matches("error: ")
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

/// Variables with our prefix that name no option of any command.
fn unknown_variables(command: &Command, environment: &[(OsString, OsString)]) -> Vec<String> {
    let known: Vec<String> = names_below(command)
        .iter()
        .map(|name| variable_name(name))
        .collect();
    environment
        .iter()
        .filter_map(|(key, _)| key.to_str())
        .filter(|key| key.starts_with(PREFIX) && !known.iter().any(|known| known == key))
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

fn file_arguments(
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
    let size = std::fs::metadata(file)
        .map_err(|error| fail(format!("cannot be read: {error}.")))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(fail(format!(
            "has {size} bytes; a configuration file has at most {MAX_FILE_BYTES}."
        )));
    }
    let text =
        std::fs::read_to_string(file).map_err(|error| fail(format!("cannot be read: {error}.")))?;
    text.parse()
        .map_err(|error: toml::de::Error| fail(format!("is not valid TOML: {error}")))
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::args::{Command as Chosen, SegmentArgs};

    fn segment(
        line: &[&str],
        variables: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<SegmentArgs, String> {
        let mut arguments: Vec<OsString> = ["vcp-clip", "segment", "photo.png"]
            .iter()
            .map(OsString::from)
            .collect();
        arguments.extend(line.iter().map(OsString::from));
        let mut holder = tempfile::NamedTempFile::new().unwrap();
        if let Some(text) = file {
            holder.write_all(text.as_bytes()).unwrap();
            arguments.push("--config".into());
            arguments.push(holder.path().into());
        }
        let variables: Vec<_> = variables
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        match parse(arguments, &variables) {
            Ok(Parsed {
                arguments:
                    Arguments {
                        command: Chosen::Segment(segment),
                    },
                ..
            }) => Ok(segment),
            Ok(other) => panic!("not segment: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_upper_layer_wins() {
        let file = "threads = 1\nimage-size = 70\nquiet = true\n[segment]\nthreads = 2\n";
        let threads = |line: &[&str], variables: &[(&str, &str)], file| {
            segment(line, variables, file)
                .unwrap()
                .threads
                .map(std::num::NonZero::get)
        };
        let variable = ("VCP_CLIP_THREADS", "3");
        assert_eq!(threads(&[], &[], None), None);
        assert_eq!(
            threads(&[], &[], Some(file)),
            Some(2),
            "the subcommand's table"
        );
        assert_eq!(threads(&[], &[variable], Some(file)), Some(3));
        assert_eq!(
            threads(&["--threads", "4"], &[variable], Some(file)),
            Some(4)
        );
        assert_eq!(
            threads(&[], &[("VCP_CLIP_THREADS", "")], Some(file)),
            Some(2)
        );
        let parsed = segment(&["--quiet=false"], &[], Some(file)).unwrap();
        assert_eq!((parsed.quiet, parsed.choice.image_size), (false, Some(70)));
    }

    #[test]
    fn lists_come_from_every_layer_and_do_not_mix() {
        let file = "taps = [1, 2]\nsave = \"mask,npy\"\ntemplate-normal = [\"a, b\", \"c\"]\n";
        let parsed = segment(&[], &[], Some(file)).unwrap();
        assert_eq!(parsed.choice.taps, [1, 2]);
        assert_eq!(parsed.save.len(), 2);
        assert_eq!(parsed.choice.template_normal, ["a, b", "c"]);
        let variables = [
            ("VCP_CLIP_TAPS", "3,4"),
            ("VCP_CLIP_TEMPLATE_NORMAL", "x, y\nz\n"),
        ];
        let parsed = segment(&[], &variables, Some(file)).unwrap();
        assert_eq!(parsed.choice.taps, [3, 4]);
        assert_eq!(parsed.choice.template_normal, ["x, y", "z"]);
        let parsed = segment(&["--taps", "5"], &variables, Some(file)).unwrap();
        assert_eq!(parsed.choice.taps, [5]);
    }

    #[test]
    fn an_upper_layer_drops_what_it_excludes() {
        let file = "[segment]\nclip = \"a\"\ncheckpoint = \"b\"\n";
        let parsed = segment(&["--model", "visa"], &[], Some(file)).unwrap();
        assert_eq!(parsed.choice.clip, None);
        let parsed = segment(
            &["--checkpoint", "c"],
            &[("VCP_CLIP_MODEL", "visa")],
            Some(file),
        );
        let parsed = parsed.unwrap();
        assert_eq!(parsed.choice.model, None);
        assert_eq!(parsed.choice.clip, Some("a".into()));
        assert_eq!(parsed.choice.checkpoint, Some("c".into()));
    }

    #[test]
    fn an_option_and_a_command_may_have_the_same_name() {
        let file = "[segment]\nmodel = \"visa\"\n[model.pull]\noffline = true\n";
        let parsed = segment(&[], &[], Some(file)).unwrap();
        assert_eq!(parsed.choice.model, Some("visa".into()));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (
                "treads = 2",
                "`treads`, which is no option. The nearest is `threads`",
            ),
            ("[segment]\nofline = true", "`segment.ofline`"),
            (
                "[segmen]\nthreads = 1",
                "`segmen`, which is no option. The nearest is `segment`",
            ),
            (
                "[model.pull]\nofflin = true",
                "`model.pull.offlin`, which is no option. The nearest is `offline`",
            ),
            ("config = \"other\"", "`config`"),
            (
                "threads = \"many\"",
                "invalid value 'many' for '--threads <N>'",
            ),
            ("threads = [1, 2]", "--threads"),
            ("threads = 1979-05-27", "type datetime for `threads`"),
            ("save = [[\"npy\"]]", "type array for `save`"),
            ("threads = ", "is not valid TOML"),
            ("model = \"a\"\nclip = \"b\"", "cannot be used with"),
        ];
        for (file, expected) in cases {
            let message = segment(&[], &[], Some(file)).unwrap_err();
            assert!(message.contains(expected), "{file}: {message}");
            assert!(message.contains("onfiguration file"), "{file}: {message}");
            assert!(!message.contains("Usage:"), "{file}: {message}");
        }
        let message = segment(&[], &[("VCP_CLIP_THREADS", "0")], None).unwrap_err();
        assert!(message.contains("environment variable"), "{message}");
        let message = segment(&["--config", "no/such/file"], &[], None).unwrap_err();
        assert!(message.contains("no/such/file cannot be read"), "{message}");
    }

    #[test]
    fn unknown_variables_are_reported() {
        let variables: Vec<(OsString, OsString)> = ["VCP_CLIP_TREADS", "VCP_CLIP_OFFLINE", "HOME"]
            .iter()
            .map(|key| (key.into(), "1".into()))
            .collect();
        let line = ["vcp-clip", "segment", "x"]
            .iter()
            .map(OsString::from)
            .collect();
        assert_eq!(
            parse(line, &variables).unwrap().unknown_variables,
            ["VCP_CLIP_TREADS"]
        );
    }
}
