//! `homeroom migrate`

use super::{COMMAND_CONNECTIONS, Failure, say, with_database};
use crate::config::Data;

pub async fn run(data: &Data) -> Result<(), Failure> {
    with_database(data, COMMAND_CONNECTIONS, async |_| say("the schema is up to date")).await
}
