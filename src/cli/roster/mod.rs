//! `homeroom roster`

mod cards;
mod export;
mod import;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring teachers, students and classes in line with the files of the school's own system (OneRoster 1.1 or 1.2, SDS v2.1)
    ///
    /// All files are checked before anything changes. A second run of the same files changes nothing, and a run after an interrupted
    /// one does the rest. Students get accounts without passwords.
    Import(Box<import::Arguments>),
    /// Write teachers, students and classes as files that another system or another server can import
    Export(Box<export::Arguments>),
    /// Print cards with user names and new passwords for the students of classes: a PDF file of A4 pages with eight cards each
    ///
    /// Students whose accounts the school made, and who have no password of their own, get a new password. The file alone contains it.
    /// Passwords of earlier cards that a student has not changed become invalid.
    Cards(Box<cards::Arguments>),
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Import(arguments) => import::run(*arguments).await,
        Command::Export(arguments) => export::run(*arguments).await,
        Command::Cards(arguments) => cards::run(*arguments).await,
    }
}
