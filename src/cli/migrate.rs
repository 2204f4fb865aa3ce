//! `homeroom migrate`

use super::{COMMAND_CONNECTIONS, say, with_database};
use crate::config::Data;

pub async fn run(data: &Data) -> anyhow::Result<()> {
    with_database(data, COMMAND_CONNECTIONS, async |_| say("the schema is up to date")).await
}
