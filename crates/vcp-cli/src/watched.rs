//! What was asked of a watched folder, for the commands that watch one.

use std::path::Path;
use std::time::Duration;

use vcp_clip::model::data_folder;
use vcp_history::History;
use vcp_watch::{Login, MemoryOptions, MoveFolders, MqttOptions, WatchOptions};

use crate::args::WatchedArgs;
use crate::console;
use crate::exit::{Exit, OrUsage, usage};

/// The validated options; `history` opens the history, if there is one, once the others are found to be right.
///
/// # Errors
/// As wrong usage.
pub(crate) fn options(
    arguments: &WatchedArgs,
    folder: &Path,
    recursive: bool,
    quiet: bool,
    history: impl FnOnce() -> anyhow::Result<Option<History>>,
) -> anyhow::Result<WatchOptions> {
    if !folder.is_dir() {
        return Err(usage(format!(
            "{} is no folder that can be watched.",
            folder.display()
        )));
    }
    let mqtt = mqtt(arguments, quiet)?;
    let moves = moves(arguments)?;
    Ok(WatchOptions {
        memory: memory(arguments, folder, history()?)?,
        folder: folder.to_owned(),
        name: None,
        recursive,
        settle: Duration::from_secs_f64(arguments.settle),
        poll: arguments.poll.map(Duration::from_secs_f64),
        table: arguments.csv.clone(),
        moves,
        mqtt,
    })
}

/// The end of a command whose watching has ended by itself.
///
/// # Errors
/// Always: what ended it.
pub(crate) fn ended(error: vcp_watch::Error) -> anyhow::Result<Exit> {
    match error {
        vcp_watch::Error::Listener(error) => Err(match error.downcast::<std::io::Error>() {
            Ok(error) => anyhow::Error::from(*error).context("Standard output cannot be written"),
            Err(error) => anyhow::anyhow!(error),
        }),
        error @ (vcp_watch::Error::Folder { .. }
        | vcp_watch::Error::MoveFolder { .. }
        | vcp_watch::Error::ForeignTable { .. }
        | vcp_watch::Error::Mqtt(_)) => Err(error).or_usage(),
        error => Err(error.into()),
    }
}

fn memory(
    arguments: &WatchedArgs,
    folder: &Path,
    history: Option<History>,
) -> anyhow::Result<MemoryOptions> {
    if let Some(history) = history {
        if arguments.journal.is_some() {
            return Err(usage(
                "The history remembers which photos were inspected; --journal is for --history none.",
            ));
        }
        return Ok(MemoryOptions::History(history));
    }
    let journal = if let Some(journal) = &arguments.journal {
        journal.clone()
    } else {
        let real = folder.canonicalize()?;
        let digest = vcp_files::sha256(real.as_os_str().as_encoded_bytes());
        let name = format!("{}.journal", &digest[..16]);
        data_folder().or_usage()?.join("watch").join(name)
    };
    Ok(MemoryOptions::Journal(journal))
}

fn moves(arguments: &WatchedArgs) -> anyhow::Result<MoveFolders> {
    let mut moves = MoveFolders::new();
    for to in &arguments.moves {
        if moves.insert(to.outcome, to.folder.clone()).is_some() {
            return Err(usage(format!(
                "--move names two folders for {}.",
                to.outcome.word()
            )));
        }
    }
    Ok(moves)
}

fn mqtt(arguments: &WatchedArgs, quiet: bool) -> anyhow::Result<Option<MqttOptions>> {
    let Some(url) = &arguments.mqtt else {
        if arguments.mqtt_login.is_some() || arguments.mqtt_ca.is_some() {
            return Err(usage(
                "--mqtt-login and --mqtt-ca are about a broker; name it with --mqtt URL.",
            ));
        }
        return Ok(None);
    };
    let login = arguments.mqtt_login.as_deref().map(login).transpose()?;
    if login.is_some() && url.starts_with("mqtt:") && !quiet {
        console::note(
            "User and password go to the MQTT broker as they are; mqtts:// keeps others on the network from reading them.",
        );
    }
    Ok(Some(MqttOptions {
        url: url.clone(),
        topic: arguments.topic.clone(),
        login,
        authority: arguments.mqtt_ca.clone(),
        backlog: arguments.mqtt_backlog,
    }))
}

/// User and password in a file.
fn login(file: &Path) -> anyhow::Result<Login> {
    const LONGEST: u64 = 64 << 10;
    let shown = file.display();
    let content = vcp_files::read_at_most(file, LONGEST).map_err(|error| {
        usage(format!(
            "The file {shown} with user and password cannot be read: {error}."
        ))
    })?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    let text = text.unwrap_or_default();
    // Some editors put a mark in front.
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    match (lines.next(), lines.next()) {
        (Some(user), Some(password)) if !user.is_empty() => Ok(Login {
            user: user.to_owned(),
            password: password.to_owned(),
        }),
        _ => Err(usage(format!(
            "The file {shown} has to hold a user in its first line and a password in its second."
        ))),
    }
}
