//! `vcp-clip`: defect maps and scores for any photo, from the command line.

fn main() -> std::process::ExitCode {
    vcp_cli::run(std::env::args_os(), std::env::vars_os()).into()
}
