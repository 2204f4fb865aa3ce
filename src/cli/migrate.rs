//! `homeroom migrate`

use super::{Failure, open};
use crate::config::Data;

pub async fn run(data: &Data) -> Result<(), Failure> {
    open(data).await?;
    println!("the schema is up to date ({})", data.database());
    Ok(())
}
