//! `homeroom openapi`

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::print;
use crate::server;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The format of the document
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// The bytes of /openapi.yaml
    #[default]
    Yaml,
    /// The bytes of /openapi.json
    Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let document = server::document("/").context("building the document")?;
    let document = match arguments.format {
        Format::Yaml => document.yaml(),
        Format::Json => document.json(),
    };
    print(document.bytes())
}
