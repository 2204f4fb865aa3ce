//! `homeroom migrate`

use super::{Failure, open, say};
use crate::config::Data;

pub async fn run(data: &Data) -> Result<(), Failure> {
    open(data).await?;
    say("the schema is up to date");
    Ok(())
}
