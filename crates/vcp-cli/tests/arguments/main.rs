//! The definition of the commands and their options.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod numbers;

#[test]
fn the_command_is_well_formed() {
    vcp_cli::command().debug_assert();
}

#[test]
fn help_fits_a_terminal() {
    fn check(command: &mut clap::Command) {
        for help in [command.render_help(), command.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(
                    line.chars().count() <= 100,
                    "{}: {line}",
                    command.get_name()
                );
            }
        }
        command.get_subcommands_mut().for_each(check);
    }
    let mut command = vcp_cli::command();
    command.build();
    check(&mut command);
}
