//! The program `homeroom`.

use std::process::ExitCode;

fn main() -> ExitCode {
    homeroom::cli::main()
}
