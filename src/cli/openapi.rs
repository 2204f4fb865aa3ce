//! `homeroom openapi`

use clap::{Args, ValueEnum};

use super::{Failure, print};
use crate::api::openapi::Document;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The form to print it in
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// The bytes that are served at /openapi.yaml
    #[default]
    Yaml,
    /// The bytes that are served at /openapi.json
    Json,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = Document::new("/");
    let document = match arguments.format {
        Format::Yaml => document.yaml(),
        Format::Json => document.json(),
    };
    print(document.bytes())
}
