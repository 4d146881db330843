//! `vcp-clip`: defect maps and scores for any photo, from the command line.

/// See the workspace's manifest.
#[cfg(feature = "train")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    vcp_cli::run(std::env::args_os(), std::env::vars_os()).into()
}
