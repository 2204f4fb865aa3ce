//! Homeroom's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    homeroom::cli::main()
}
