//! The database: reachable, sound, with the schema that this binary needs, and in agreement about the time.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta};
use rustix::fs::{Access, access};

use super::{
    Report,
    files::{in_the_future, private},
};
use crate::{
    cli::{Failure, demo, ownership},
    clock::{Clock, SystemClock},
    config::{Config, Hashing},
    db::{
        DatabaseUrl, MigrationStatus,
        inspect::{Inspection, PostgresFacts, SqliteFacts},
    },
    domain::email::Email,
    identity::password_hashing::PasswordHashing,
    random::OsRandom,
};

const SUBJECT: &str = "database";

/// Looks at the database as far as it can be reached.
pub async fn check(config: &Config, report: &mut Report) {
    let data = &config.data;
    let location = match data.database() {
        Ok(location) => location,
        Err(error) => {
            report.wrong(SUBJECT, error, "name a database that can be used");
            return report.skipped("schema", "there is no database to look into");
        }
    };
    if let DatabaseUrl::Sqlite(path) = &location {
        let there = match path.try_exists() {
            Ok(there) => there,
            Err(error) => {
                report.wrong(SUBJECT, format!("{}: {error}", path.display()), unreachable(&location));
                return report.skipped("schema", "the database cannot be reached");
            }
        };
        if !there {
            report.warning(
                SUBJECT,
                format!("there is no {}", path.display()),
                "nothing, if this is a new server, which makes it; else name the right one with --database-url",
            );
            return report.skipped("schema", "there is no database to look into");
        }
        let files = ownership::database(path);
        private(SUBJECT, &files, report);
        in_the_future(SUBJECT, &files, SystemClock.now(), report);
        let closed = files.iter().find_map(|(path, _)| {
            access(path, Access::READ_OK | Access::WRITE_OK).err().map(|error| (path, error))
        });
        if let Some((path, error)) = closed {
            report.wrong(SUBJECT, format!("{}: {error}", path.display()), unreachable(&location));
        }
    }
    let database = match Inspection::open(&location).await {
        Ok(database) => database,
        Err(error) => {
            report.wrong(SUBJECT, Failure::of(&location.to_string(), &error), unreachable(&location));
            return report.skipped("schema", "the database cannot be reached");
        }
    };
    match &location {
        DatabaseUrl::Sqlite(_) => match database.sqlite().await {
            Ok(facts) => sqlite(&facts, report),
            Err(error) => broken(&Failure::of(&format!("reading {location}"), &error), report),
        },
        DatabaseUrl::Postgres(_) => {
            let asked = SystemClock.now();
            match database.postgres().await {
                Ok(facts) => {
                    let half = (SystemClock.now() - asked) / 2;
                    postgres(&facts, location.is_local(), data.database_connections.into(), report);
                    let theirs = DateTime::from_timestamp_micros(facts.clock).unwrap_or_default();
                    clocks(theirs - (asked + half), report);
                }
                Err(error) => broken(&Failure::of("asking it", &error), report),
            }
        }
    }
    match database.migration_status().await {
        Ok(steps) => {
            schema(&steps, report);
            if steps.pending.is_empty() {
                accounts(&database, report).await;
                sample_school(&database, &config.hashing, report).await;
            }
        }
        Err(error) => {
            let what = Failure::of("reading its steps", &error);
            report.wrong("schema", what, "let the server's user read every table of it");
        }
    }
}

/// Accounts that everybody can sign in to.
async fn sample_school(database: &Inspection, hashing: &Hashing, report: &mut Report) {
    const SUBJECT: &str = "accounts";
    let hashing = match PasswordHashing::start(hashing.settings(), &OsRandom) {
        Ok(hashing) => hashing,
        Err(error) => return report.skipped(SUBJECT, Failure::of("starting the password hash", &error)),
    };
    match demo::open_accounts(database.connection(), &hashing).await {
        Err(failure) => report.skipped(SUBJECT, failure),
        Ok(accounts) if accounts.is_empty() => {
            report.ok(SUBJECT, "none of the sample school can be signed in to with its public password");
        }
        Ok(accounts) => report.warning(
            SUBJECT,
            format!("the sample school's, with its public password: {}", accounts.join(", ")),
            "nothing, if this is a demo; else `homeroom user set --email EMAIL --enabled false` for each",
        ),
    }
}

fn unreachable(location: &DatabaseUrl) -> &'static str {
    match location {
        DatabaseUrl::Sqlite(_) => {
            "let the server's user read and write it and the directory it is in; if it is damaged, restore a backup"
        }
        DatabaseUrl::Postgres(_) => {
            "see that it runs, and that host, port, name, user and password are right"
        }
    }
}

fn broken(what: &Failure, report: &mut Report) {
    report.wrong(
        SUBJECT,
        what,
        "see that this is Homeroom's database, and restore a backup if it is damaged",
    );
}

fn sqlite(facts: &SqliteFacts, report: &mut Report) {
    let version = &facts.version;
    if let Some(first) = facts.damage.first() {
        let what = format!("SQLite {version} finds {} faults in it: {first}", facts.damage.len());
        return report.wrong(SUBJECT, what, "stop the server, and restore a backup");
    }
    let mode = match facts.journal_mode.as_str() {
        "wal" => "write-ahead log",
        _ => "not in write-ahead logging yet, which the server turns on",
    };
    report.ok(SUBJECT, format!("SQLite {version}, undamaged, {mode}"));
}

fn postgres(facts: &PostgresFacts, local: bool, per_node: i64, report: &mut Report) {
    let PostgresFacts { version, isolation, connections, connections_used, .. } = facts;
    let what = format!("PostgreSQL {version}, {isolation}");
    if facts.version_number < 150_000 {
        report.warning(
            SUBJECT,
            format!("{what}: older than the version 15 that Homeroom is tested on"),
            "upgrade it",
        );
    } else {
        report.ok(SUBJECT, what);
    }
    if facts.read_only {
        report.wrong(
            SUBJECT,
            "it refuses to write",
            "name the primary, or turn default_transaction_read_only off",
        );
    }
    if facts.encoding != "UTF8" {
        let what = format!("its character set is {}", facts.encoding);
        report.wrong(SUBJECT, what, "make a database with ENCODING 'UTF8'");
    }
    if !facts.durable {
        report.warning(
            SUBJECT,
            "what it has committed can be lost in a crash",
            "turn fsync and synchronous_commit on",
        );
    }
    if !facts.encrypted && !local {
        report.warning(
            SUBJECT,
            "the connection is not encrypted",
            "turn ssl on in PostgreSQL, and put sslmode=verify-full into the database's URL",
        );
    }
    let free = connections - connections_used;
    let what = format!("{connections_used} of {connections} connections are in use; a node takes {per_node}");
    let remedy = "raise max_connections, which has to do for all nodes, or lower --database-connections";
    if *connections < per_node {
        report.wrong(SUBJECT, what, remedy);
    } else if free < per_node {
        report.warning(SUBJECT, format!("{what}, if it does not run yet"), remedy);
    } else {
        report.ok(SUBJECT, what);
    }
}

/// Codes and tokens are judged by the nodes' clocks, so that nodes that differ disagree.
fn clocks(ahead: TimeDelta, report: &mut Report) {
    let milliseconds = ahead.num_milliseconds();
    let what = format!("the database's is {milliseconds} ms ahead of this one (below zero: behind)");
    let remedy = "let every machine keep time by NTP";
    match milliseconds.abs() {
        0..2_000 => report.ok("clocks", what),
        2_000..30_000 => report.warning("clocks", what, remedy),
        _ => report.wrong("clocks", what, remedy),
    }
}

fn schema(steps: &MigrationStatus, report: &mut Report) {
    const SUBJECT: &str = "schema";
    let MigrationStatus { applied, pending, unknown } = steps;
    if !unknown.is_empty() {
        report.warning(
            SUBJECT,
            format!("it is newer than this binary, by {}", unknown.join(", ")),
            "run the newer binary here as well: until then this one runs on beside it",
        );
    } else if pending.is_empty() {
        report.ok(SUBJECT, format!("up to date, {applied} steps"));
    } else if *applied == 0 {
        report.ok(SUBJECT, "none yet: the first start makes it");
    } else {
        report.warning(
            SUBJECT,
            format!("it lacks {}", pending.join(", ")),
            "make a backup; the next start, or `homeroom migrate`, brings it up to date",
        );
    }
}

/// Sign-in looks for an address in the form of [`Email`]. A row that an older version wrote in another form is not found.
async fn accounts(database: &Inspection, report: &mut Report) {
    const SUBJECT: &str = "addresses";
    const NAMED: usize = 5;
    let addresses = match database.addresses().await {
        Ok(addresses) => addresses,
        Err(error) => return broken(&Failure::of("reading the accounts", &error), report),
    };
    let known: HashSet<&str> = addresses.iter().map(String::as_str).collect();
    let unreachable: Vec<String> = addresses
        .iter()
        .filter_map(|address| match Email::parse(address) {
            Ok(email) if email.as_str() == address => None,
            Ok(email) if known.contains(email.as_str()) => {
                Some(format!("{address:?} (the mailbox of {}, which has an account)", email.as_str()))
            }
            Ok(email) => Some(format!("{address:?} (looked for as {})", email.as_str())),
            Err(_) => Some(format!("{address:?} (no address)")),
        })
        .collect();
    let count = addresses.len();
    if unreachable.is_empty() {
        return report.ok(SUBJECT, format!("{count}, each found by its address"));
    }
    let named = unreachable[..unreachable.len().min(NAMED)].join(", ");
    let what = format!("{} of {count} are not found by their address: {named}", unreachable.len());
    report.warning(SUBJECT, what, "make an account for each mailbox that has none with `homeroom user add`");
}
