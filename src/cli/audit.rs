//! `homeroom audit`

use std::{pin::pin, time::Duration};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::Args;
use sea_orm::ActiveEnum;
use serde_json::{Value, json};
use tokio::{signal::ctrl_c, time::sleep};

use super::{
    listing::{self, Listing},
    usage, with_existing,
};
use crate::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::{
        email::Email,
        id::{AppId, UserId},
    },
    entity::audit_event::{Action, Filter, Model, Outcome},
    identity::{accounts::Accounts, audit::AuditReader},
};

/// The time between two queries for new events.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct Arguments {
    /// Only events of this user, named by e-mail address or id. A deleted user has only an id
    #[arg(long, value_name = "EMAIL|UUID")]
    user: Option<String>,
    /// Only events of this action: `sign_in`, `session_begin`, `session_end`, `token_reuse`, `register`, `confirm`, `account_create`,
    /// `reset_request`, `password_reset`, `password_change`, `account_change`, `account_delete`, `account_export`, `unlock`,
    /// `app_change`, `class_owner_change`, `class_delete`, `roster_import`, `roster_export` or `cards`
    #[arg(long, value_name = "ACTION", value_parser = word::<Action>)]
    action: Option<Action>,
    /// Only events with this outcome: `success` or `failure`
    #[arg(long, value_name = "OUTCOME", value_parser = word::<Outcome>)]
    outcome: Option<Outcome>,
    /// Only events of this app
    #[arg(long, value_name = "UUID")]
    app: Option<AppId>,
    /// Only events from this time on: a time such as 2026-05-04T09:42:00Z, a date, or an age such as 30m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Only events before this time, which has the forms of --since
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<DateTime<Utc>>,
    /// Go on with new events until the command is interrupted
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    listing: Listing,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { user, action, outcome, app, since, until, follow, listing } = arguments;
    with_existing(&listing.data, async |db| {
        let user = match user {
            Some(text) => Some(find_user(db, &text).await?),
            None => None,
        };
        let filter = Filter { user, action, outcome, app, since, until };
        let mut reader = AuditReader::new(db.clone(), filter);
        let mut interrupted = pin!(ctrl_c());
        loop {
            let events = reader.next().await.context("reading the audit trail")?;
            for event in &events {
                listing.format.say(|| to_line(event), || to_json(event))?;
            }
            if events.is_empty() && !follow {
                return Ok(());
            }
            if events.is_empty() {
                tokio::select! {
                    () = sleep(POLL) => {}
                    // Ends here, so that the database is closed.
                    _ = &mut interrupted => return Ok(()),
                }
            }
        }
    })
    .await
}

async fn find_user(db: &Db, text: &str) -> anyhow::Result<UserId> {
    if !text.contains('@') {
        return text.parse().map_err(|error| usage(format!("--user {text:?} is {error}")));
    }
    let email = Email::parse(text).map_err(|error| usage(format!("--user {text:?} {error}")))?;
    let account = Accounts::new(db.clone()).find(email).await.context("looking up the user")?;
    account.map(|account| account.id).ok_or_else(|| usage("--user has no account; name a deleted user by id"))
}

/// A value of an enumeration by the word in the database.
fn word<T: ActiveEnum<Value = String>>(text: &str) -> Result<T, String> {
    T::try_from_value(&text.to_owned()).map_err(|_| {
        let words: Vec<String> = T::iter().map(|value| value.to_value()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    const RULE: &str =
        "must be a time such as 2026-05-04T09:42:00Z, a date, or an age such as 30m, 24h or 7d";
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    age(text).and_then(|age| SystemClock.now().checked_sub_signed(age)).ok_or(RULE)
}

/// A whole number of minutes, hours or days.
fn age(text: &str) -> Option<TimeDelta> {
    let (number, of): (&str, fn(i64) -> Option<TimeDelta>) =
        match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "m") => (number, TimeDelta::try_minutes),
            (number, "h") => (number, TimeDelta::try_hours),
            (number, "d") => (number, TimeDelta::try_days),
            _ => return None,
        };
    of(number.parse::<u32>().ok()?.into())
}

fn to_json(event: &Model) -> Value {
    let Model {
        id,
        at,
        action,
        outcome,
        reason,
        actor,
        user_id,
        app_id,
        session_id,
        address,
        by_user_id,
        class_id,
    } = event;
    json!({
        "id": id,
        "at": listing::time(*at),
        "action": action.to_value(),
        "outcome": outcome.to_value(),
        "reason": reason,
        "actor": actor.to_value(),
        "userId": user_id,
        "appId": app_id,
        "sessionId": session_id,
        "address": address,
        "byUserId": by_user_id,
        "classId": class_id,
    })
}

/// The columns of an event, separated by tabs. A hyphen stands for none.
fn to_line(event: &Model) -> String {
    let Model {
        id: _,
        at,
        action,
        outcome,
        reason,
        actor,
        user_id,
        app_id,
        session_id,
        address,
        by_user_id,
        class_id,
    } = event;
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        listing::time(*at),
        action.to_value(),
        outcome.to_value(),
        shown(reason.clone()),
        actor.to_value(),
        shown(user_id.map(|id| id.to_string())),
        shown(app_id.map(|id| id.to_string())),
        shown(session_id.map(|id| id.to_string())),
        shown(address.clone()),
        shown(by_user_id.map(|id| id.to_string())),
        shown(class_id.map(|id| id.to_string())),
    ]
    .join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_three_forms() {
        for (text, expected) in [
            ("2026-05-04T09:42:00Z", "2026-05-04T09:42:00+00:00"),
            ("2026-05-04T11:42:00.5+02:00", "2026-05-04T09:42:00.500+00:00"),
            ("2026-05-04", "2026-05-04T00:00:00+00:00"),
        ] {
            assert_eq!(time(text).unwrap().to_rfc3339(), expected);
        }
        for (text, seconds) in [("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("0m", 0)] {
            let difference = SystemClock.now() - time(text).unwrap();
            assert!((seconds..seconds + 60).contains(&difference.num_seconds()), "{text}");
        }
        for text in
            ["", "m", "7", "7 d", "-1d", "+-1d", "1w", "é", "4294967295d", "yesterday", "2026-05-04T09:42:00"]
        {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn word_unknown_is_refused_with_all_words() {
        assert_eq!(word::<Action>("sign_in"), Ok(Action::SignIn));
        assert_eq!(word::<Outcome>("Success"), Err("must be one of success, failure".to_owned()));
    }
}
