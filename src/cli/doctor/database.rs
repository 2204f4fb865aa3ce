//! Checks of the database: access, damage, schema, clock and accounts.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta};
use rustix::fs::{Access, access};

use super::{
    Report,
    files::{in_the_future, private},
    mail,
};
use crate::{
    cli::{demo, failed, file_ownership},
    clock::{Clock, SystemClock},
    config::{Config, Hashing},
    db::{
        DatabaseUrl, MigrationStatus,
        read_only::{Inspection, PostgresFacts, SqliteFacts},
    },
    domain::email::Email,
    identity::password_hashing::PasswordHashing,
    random::OsRandom,
};

const SUBJECT: &str = "database";

/// Runs the checks of the database, as far as it can be reached.
pub async fn check(config: &Config, report: &mut Report) {
    let data = &config.data;
    let url = match data.database() {
        Ok(url) => url,
        Err(error) => {
            report.wrong(SUBJECT, error, "set --database-url to a usable URL");
            return report.skipped("schema", "there is no database");
        }
    };
    if let DatabaseUrl::Sqlite(path) = &url {
        let exists = match path.try_exists() {
            Ok(exists) => exists,
            Err(error) => {
                report.wrong(SUBJECT, format!("{}: {error}", path.display()), unreachable(&url));
                return report.skipped("schema", "the database cannot be reached");
            }
        };
        if !exists {
            report.warning(
                SUBJECT,
                format!("there is no {}", path.display()),
                "nothing if this is a new server, which creates it; otherwise name the right database with --database-url",
            );
            return report.skipped("schema", "there is no database");
        }
        let files = file_ownership::database(path);
        private(SUBJECT, &files, report);
        in_the_future(SUBJECT, &files, SystemClock.now(), report);
        let inaccessible = files.iter().find_map(|(path, _)| {
            access(path, Access::READ_OK | Access::WRITE_OK).err().map(|error| (path, error))
        });
        if let Some((path, error)) = inaccessible {
            report.wrong(SUBJECT, format!("{}: {error}", path.display()), unreachable(&url));
        }
    }
    let database = match Inspection::open(&url).await {
        Ok(database) => database,
        Err(error) => {
            report.wrong(SUBJECT, failed(&url.to_string(), error), unreachable(&url));
            return report.skipped("schema", "the database cannot be reached");
        }
    };
    match &url {
        DatabaseUrl::Sqlite(_) => match database.sqlite().await {
            Ok(facts) => sqlite(&facts, report),
            Err(error) => broken(&failed(&format!("reading {url}"), error), report),
        },
        DatabaseUrl::Postgres(_) => {
            let sent_at = SystemClock.now();
            match database.postgres().await {
                Ok(facts) => {
                    let half_round_trip = (SystemClock.now() - sent_at) / 2;
                    postgres(&facts, url.is_local(), data.database_connections.into(), report);
                    let server_time = DateTime::from_timestamp_micros(facts.clock).unwrap_or_default();
                    clocks(server_time - (sent_at + half_round_trip), report);
                }
                Err(error) => broken(&failed("querying the server", error), report),
            }
        }
    }
    match database.migration_status().await {
        Ok(status) => {
            schema(&status, report);
            if status.pending.is_empty() {
                accounts(&database, report).await;
                sample_school(&database, &config.hashing, report).await;
                mail::outbox(&database, report).await;
            }
        }
        Err(error) => {
            let what = failed("reading the applied migrations", error);
            report.wrong("schema", what, "give the server's user access to every table");
        }
    }
}

/// Reports accounts of the sample school whose password is public.
async fn sample_school(database: &Inspection, hashing: &Hashing, report: &mut Report) {
    const SUBJECT: &str = "accounts";
    // The check of the password hash reports a cost that is too low.
    let Ok(settings) = hashing.settings() else { return };
    let hashing = match PasswordHashing::start(settings, &OsRandom) {
        Ok(hashing) => hashing,
        Err(error) => return report.skipped(SUBJECT, failed("starting the password hash", error)),
    };
    match demo::open_accounts(database.connection(), &hashing).await {
        Err(failure) => report.skipped(SUBJECT, failure),
        Ok(accounts) if accounts.is_empty() => {
            report.ok(SUBJECT, "no account of the sample school accepts its public password");
        }
        Ok(accounts) => report.warning(
            SUBJECT,
            format!("accounts of the sample school accept its public password: {}", accounts.join(", ")),
            "nothing if this is a demo; otherwise run `homeroom user set --email EMAIL --enabled false` for each",
        ),
    }
}

fn unreachable(url: &DatabaseUrl) -> &'static str {
    match url {
        DatabaseUrl::Sqlite(_) => {
            "give the server's user read and write access to the file and its directory; if the file is damaged, restore a backup"
        }
        DatabaseUrl::Postgres(_) => {
            "check that the server runs, and that host, port, name, user and password are right"
        }
    }
}

fn broken(what: &str, report: &mut Report) {
    report.wrong(
        SUBJECT,
        what,
        "check that this is Homeroom's database, and restore a backup if it is damaged",
    );
}

fn sqlite(facts: &SqliteFacts, report: &mut Report) {
    let version = &facts.version;
    if let Some(first) = facts.damage.first() {
        let what = format!("SQLite {version} reports {} faults, the first: {first}", facts.damage.len());
        return report.wrong(SUBJECT, what, "stop the server, and restore a backup");
    }
    let mode = match facts.journal_mode.as_str() {
        "wal" => "write-ahead log",
        _ => "without write-ahead log, which the server turns on",
    };
    report.ok(SUBJECT, format!("SQLite {version}, undamaged, {mode}"));
}

fn postgres(facts: &PostgresFacts, local: bool, per_node: i64, report: &mut Report) {
    let PostgresFacts { version, isolation, connections, connections_used, .. } = facts;
    let what = format!("PostgreSQL {version}, {isolation}");
    if facts.version_number < 150_000 {
        report.warning(
            SUBJECT,
            format!("{what}: older than version 15, with which Homeroom is tested"),
            "upgrade the server",
        );
    } else {
        report.ok(SUBJECT, what);
    }
    if facts.read_only {
        report.wrong(
            SUBJECT,
            "the server refuses to write",
            "name the primary server, or turn default_transaction_read_only off",
        );
    }
    if facts.encoding != "UTF8" {
        let what = format!("the encoding is {}", facts.encoding);
        report.wrong(SUBJECT, what, "create a database with ENCODING 'UTF8'");
    }
    if !facts.durable {
        report.warning(
            SUBJECT,
            "committed changes can be lost in a crash",
            "turn fsync and synchronous_commit on",
        );
    }
    if !facts.encrypted && !local {
        report.warning(
            SUBJECT,
            "the connection is not encrypted",
            "turn ssl on in PostgreSQL, and add sslmode=verify-full to the database URL",
        );
    }
    let free = connections - connections_used;
    let what = format!("{connections_used} of {connections} connections are in use; a node needs {per_node}");
    let remedy = "raise max_connections, which all nodes share, or lower --database-connections";
    if *connections < per_node {
        report.wrong(SUBJECT, what, remedy);
    } else if free < per_node {
        report.warning(SUBJECT, format!("{what}, if it is not running yet"), remedy);
    } else {
        report.ok(SUBJECT, what);
    }
}

/// Each node uses its own clock for the expiry of codes and tokens, so clocks must agree.
fn clocks(ahead: TimeDelta, report: &mut Report) {
    let milliseconds = ahead.num_milliseconds();
    let what = format!("the database's clock is {milliseconds} ms ahead of this one (negative: behind)");
    let remedy = "synchronize every machine with NTP";
    match milliseconds.abs() {
        0..2_000 => report.ok("clocks", what),
        2_000..30_000 => report.warning("clocks", what, remedy),
        _ => report.wrong("clocks", what, remedy),
    }
}

fn schema(status: &MigrationStatus, report: &mut Report) {
    const SUBJECT: &str = "schema";
    let MigrationStatus { applied, pending, unknown } = status;
    if !unknown.is_empty() {
        report.warning(
            SUBJECT,
            format!("newer than this binary, by {}", unknown.join(", ")),
            "install the newer binary on this node too; until then this one goes on working",
        );
    } else if pending.is_empty() {
        report.ok(SUBJECT, format!("up to date, {applied} migrations applied"));
    } else if *applied == 0 {
        report.ok(SUBJECT, "empty: the first start creates it");
    } else {
        report.warning(
            SUBJECT,
            format!("these migrations are missing: {}", pending.join(", ")),
            "make a backup; the next start, or `homeroom migrate`, applies them",
        );
    }
}

/// Reports accounts that sign-in cannot find. It searches for the normal form of [`Email`], and an older version may have stored
/// another form.
async fn accounts(database: &Inspection, report: &mut Report) {
    const SUBJECT: &str = "addresses";
    const NAMED: usize = 5;
    let addresses = match database.addresses().await {
        Ok(addresses) => addresses,
        Err(error) => return broken(&failed("reading the accounts", error), report),
    };
    let known: HashSet<&str> = addresses.iter().map(String::as_str).collect();
    let not_found: Vec<String> = addresses
        .iter()
        .filter_map(|address| match Email::parse(address) {
            Ok(email) if email.as_str() == address => None,
            Ok(email) if known.contains(email.as_str()) => {
                Some(format!("{address:?} (same mailbox as {}, which has an account)", email.as_str()))
            }
            Ok(email) => Some(format!("{address:?} (sign-in searches for {})", email.as_str())),
            Err(_) => Some(format!("{address:?} (not an e-mail address)")),
        })
        .collect();
    let count = addresses.len();
    if not_found.is_empty() {
        return report.ok(SUBJECT, format!("{count}, sign-in finds each account"));
    }
    let named = not_found[..not_found.len().min(NAMED)].join(", ");
    let what = format!("sign-in does not find {} of {count} accounts: {named}", not_found.len());
    report.warning(SUBJECT, what, "create an account for each mailbox without one with `homeroom user add`");
}
