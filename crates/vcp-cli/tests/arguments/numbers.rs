//! Every option that takes numbers, found from the definition of the commands, so that none can be
//! forgotten.

use std::any::TypeId;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use regex::Regex;
use vcp_cli::{check_arguments, command};

/// An option of a command.
struct NumericOption {
    /// The command's names.
    path: Vec<String>,
    /// What the command cannot do without.
    required: Vec<String>,
    name: String,
    help: String,
    is_whole: bool,
}

impl NumericOption {
    /// The number, if the option takes it, and whether that may be: nothing panics behind it.
    fn takes(&self, value: &str) -> bool {
        let line: Vec<String> = std::iter::once("vcp-clip".to_owned())
            .chain(self.path.iter().cloned())
            .chain(self.required.iter().cloned())
            .chain([format!("--{}={value}", self.name)])
            .collect();
        let check = |line: &[String]| check_arguments(line.iter().map(Into::into));
        let mut checked = check(&line);
        // What the option itself cannot do without.
        if let Err(error) = &checked
            && let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg)
        {
            let named = missing.iter().filter_map(|it| it.split(' ').next());
            let more: Vec<_> = named
                .map(|name| {
                    if name.starts_with("--") {
                        format!("{name}=x")
                    } else {
                        "x".to_owned()
                    }
                })
                .collect();
            checked = check(&[line, more].concat());
        }
        match checked {
            Ok(()) => true,
            Err(error) => {
                let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
                assert!(kinds.contains(&error.kind()), "{self}: {error}");
                let name = format!("--{}", self.name);
                assert!(error.to_string().contains(&name), "{error}");
                false
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let words = Regex::new(
            r"(?i)\b(from|above) (-?\d+(?:\.\d+)?) (to below|to|and up to|and below) (\d+(?:\.\d+)?)",
        );
        let words = words.unwrap();
        let Some(found) = words.captures(&self.help) else {
            panic!("the help of {self} does not name its bounds: {}", self.help);
        };
        Bounds {
            low: found[2].to_owned(),
            takes_low: found[1].eq_ignore_ascii_case("from"),
            high: found[4].to_owned(),
            takes_high: !found[3].ends_with("below"),
        }
    }
}

impl std::fmt::Display for NumericOption {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} --{}", self.path.join(" "), self.name)
    }
}

struct Bounds {
    low: String,
    takes_low: bool,
    high: String,
    takes_high: bool,
}

impl Bounds {
    #[allow(clippy::float_cmp, reason = "the bounds themselves are meant")]
    fn contain(&self, number: f64) -> bool {
        let (low, high): (f64, f64) = (self.low.parse().unwrap(), self.high.parse().unwrap());
        (low < number || self.takes_low && low == number)
            && (number < high || self.takes_high && number == high)
    }
}

fn is_whole(argument: &Arg) -> Option<bool> {
    let of = argument.get_value_parser().type_id();
    let whole = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<NonZeroU32>(),
        TypeId::of::<NonZeroU64>(),
        TypeId::of::<NonZeroUsize>(),
    ];
    if whole.iter().any(|whole| of == *whole) {
        return Some(true);
    }
    let is_other = of == TypeId::of::<f32>() || of == TypeId::of::<f64>();
    is_other.then_some(false)
}

fn options(command: &Command, path: &[String], found: &mut Vec<NumericOption>) {
    let is_of = |argument: &&Arg| argument.is_required_set();
    let required = command.get_arguments().filter(is_of);
    let required: Vec<String> = required
        .map(|argument| match argument.get_long() {
            Some(name) => format!("--{name}=x"),
            None => "bash".to_owned(),
        })
        .collect();
    for argument in command.get_arguments() {
        if let Some(is_whole) = is_whole(argument) {
            let help = argument.get_long_help().or(argument.get_help());
            found.push(NumericOption {
                path: path.to_vec(),
                required: required.clone(),
                name: argument.get_long().unwrap().to_owned(),
                help: help.unwrap().to_string(),
                is_whole,
            });
        }
    }
    for below in command.get_subcommands() {
        let path = [path, &[below.get_name().to_owned()]].concat();
        options(below, &path, found);
    }
}

fn all() -> Vec<NumericOption> {
    let mut command = command();
    command.build();
    let mut found = Vec::new();
    options(&command, &[], &mut found);
    assert!(found.len() > 30, "{}", found.len());
    found
}

/// The number next to a whole one.
fn beside(number: &str, step: i128) -> String {
    (number.parse::<i128>().unwrap() + step).to_string()
}

#[test]
fn every_option_keeps_to_the_bounds_that_its_help_names() {
    for option in all() {
        let bounds = option.bounds();
        let Bounds { low, high, .. } = &bounds;
        let takes = |value: &str| option.takes(value);
        assert_eq!(takes(low), bounds.takes_low, "{option} {low}");
        assert_eq!(takes(high), bounds.takes_high, "{option} {high}");
        let (below, above) = if option.is_whole {
            (beside(low, -1), beside(high, 1))
        } else {
            let (low, high): (f64, f64) = (low.parse().unwrap(), high.parse().unwrap());
            let (step, middle) = (0.001 * (high - low), (0.5 * (low + high)).to_string());
            assert!(takes(&middle), "{option} {middle}");
            ((low - step).to_string(), (high + step).to_string())
        };
        assert!(!takes(&below), "{option} {below}");
        assert!(!takes(&above), "{option} {above}");
    }
}

#[test]
fn no_option_takes_an_odd_number() {
    for option in all() {
        let bounds = option.bounds();
        for value in [
            "",
            " ",
            "x",
            "0",
            "-0",
            "-1",
            "1.5",
            "1e3",
            "1e308",
            "-1e308",
            "1e309",
            "1e-400",
            "inf",
            "-inf",
            "infinity",
            "NaN",
            "nan",
            "4294967295",
            "4294967296",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "0x10",
            "1_000",
            "1,",
            "١",
            "½",
        ] {
            if option.takes(value) {
                let numbers = value.split(',').filter(|value| !value.is_empty());
                for number in numbers.map(|number| number.parse::<f64>().unwrap()) {
                    assert!(bounds.contain(number), "{option} takes {value:?}");
                }
            }
        }
    }
}

#[test]
fn bounds_are_said_in_words() {
    for (line, expected) in [
        ("eval --aupro-limit=2", "a number above 0 and up to 1"),
        ("calibrate --confidence=nan", "a number above 0 and below 1"),
        (
            "calibrate --false-alarms-per-pixel=1",
            "a number from 0 to below 1",
        ),
        ("bench --threads=0", "a whole number from 1 to 256"),
    ] {
        let line = ["vcp-clip"].into_iter().chain(line.split(' '));
        let error = check_arguments(line.map(Into::into)).unwrap_err();
        let expected = format!("expected {expected}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let seven = ["vcp-clip", "bench", "--threads=7"];
    assert!(check_arguments(seven.map(Into::into)).is_ok());
}
