//! `homeroom migrate`

use super::{Failure, say, with_database};
use crate::config::Data;

pub async fn run(data: &Data) -> Result<(), Failure> {
    with_database(data, async |_| say("the schema is up to date")).await
}
