//! Prints accounts.

use anyhow::Context;
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use crate::{
    cli::{
        listing::{Format, column, time},
        say,
    },
    clock::{Clock, SystemClock},
    db::Db,
    domain::{
        person::{AvatarUrl, PersonName, PhoneNumber},
        sourced_id::SourcedId,
        user_agent::UserAgent,
    },
    entity::{
        session::{self, Selection},
        user::{self, PasswordState},
    },
    identity::{accounts::Accounts, session_administration},
    rate_limit::{
        lockouts::{LockedAddresses, Lockout, Lockouts},
        policies::PasswordLimits,
    },
};

/// Prints one line for each account, or for each school account.
pub async fn list(db: &Db, school: bool, format: Format, limits: PasswordLimits) -> anyhow::Result<()> {
    let lockouts = Lockouts::read(db, limits, SystemClock.now()).await.context("reading the limits")?;
    let accounts = Accounts::new(db.clone());
    let users = if school { accounts.list_school_accounts().await } else { accounts.list().await };
    for user in users.context("listing")? {
        let lockouts = lockouts.of(&user.email);
        format.say(|| summary(&user, lockouts), || account(&user, lockouts))?;
    }
    Ok(())
}

/// Prints one account with all its properties.
pub async fn show(db: &Db, user: user::Model, format: Format, limits: PasswordLimits) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let lockouts = Lockouts::read(db, limits, now).await.context("reading the limits")?;
    let lockouts = lockouts.of(&user.email);
    let selection = Selection { user: Some(user.id), ..Selection::default() };
    let sessions = session_administration::list(db, selection, now).await.context("reading the sessions")?;
    let classes = Accounts::new(db.clone()).owned_classes(user.id).await.context("counting the classes")?;
    if format.json {
        let mut json = account(&user, lockouts);
        json["ownedClasses"] = classes.into();
        json["sessions"] = sessions.iter().map(|(session, _)| session_json(session)).collect();
        return say(&json.to_string());
    }
    say(&summary(&user, lockouts))?;
    for (name, value) in properties(&user) {
        say(&format!("\t{name}\t{value}"))?;
    }
    say(&format!("\towned classes\t{classes}"))?;
    for (session, _) in &sessions {
        let session::Model { id, app_id, last_used_at, .. } = session;
        say(&format!("\tsession\t{id}\t{app_id}\tlast used {}", time(*last_used_at)))?;
    }
    Ok(())
}

/// Id, address, state, one column for the password of a school account, and one for each lockout.
fn summary(user: &user::Model, lockouts: &[Lockout]) -> String {
    let mut columns = vec![user.id.to_string(), user.email.as_str().to_owned(), state(user).to_owned()];
    columns.extend(user.school_account.then(|| format!("school account, {}", password(user))));
    columns.extend(lockouts.iter().map(|Lockout { from, until }| {
        let from = match from {
            LockedAddresses::One => "one address",
            LockedAddresses::Unknown => "unknown addresses",
        };
        format!("sign-ins from {from} are refused until {}", time(*until))
    }));
    columns.join("\t")
}

fn state(user: &user::Model) -> &'static str {
    match (user.enabled, user.email_verified_at) {
        (false, _) => "disabled",
        (true, None) => "unconfirmed",
        (true, Some(_)) => "active",
    }
}

fn password(user: &user::Model) -> &'static str {
    match user.password_state {
        PasswordState::Own => "own password",
        PasswordState::Initial => "initial password",
        PasswordState::None => "no password",
    }
}

/// The properties that have a value.
fn properties(user: &user::Model) -> Vec<(&'static str, String)> {
    let confirmed = user.email_verified_at.filter(|_| user.has_confirmed_mailbox());
    let named = [
        ("created", Some(time(user.created_at))),
        ("address confirmed", confirmed.map(time)),
        ("password", Some(password(user).to_owned())),
        ("sourced id", user.sourced_id.as_ref().map(|id| column(id.as_str()))),
        ("changed", user.updated_at.map(time)),
        ("first name", user.first_name.as_ref().map(|name| column(name.as_str()))),
        ("last name", user.last_name.as_ref().map(|name| column(name.as_str()))),
        ("date of birth", user.date_of_birth.map(|date| date.to_string())),
        ("phone number", user.phone_number.as_ref().map(|number| column(number.as_str()))),
        ("avatar URL", user.avatar_url.as_ref().map(|url| column(url.as_str()))),
        ("language", Some(user.language.tag().to_owned())),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn account(user: &user::Model, lockouts: &[Lockout]) -> Value {
    let mut json = account_json(user);
    json["state"] = state(user).into();
    json["lockouts"] = lockouts.iter().map(lockout_json).collect();
    json
}

/// An account and its profile, without the hash of the password. The address of a school account is a user name, and never confirmed.
pub fn account_json(user: &user::Model) -> Value {
    let is_confirmed = user.has_confirmed_mailbox();
    let user::Model {
        id,
        email,
        password_hash: _,
        password_version: _,
        enabled,
        email_verified_at,
        created_at,
        first_name,
        last_name,
        date_of_birth,
        phone_number,
        avatar_url,
        language,
        updated_at,
        school_account,
        password_state,
        sourced_id,
        left_roster,
    } = user;
    json!({
        "id": id,
        "email": email.as_str(),
        "enabled": enabled,
        "emailVerifiedAt": email_verified_at.filter(|_| is_confirmed).map(time),
        "createdAt": time(*created_at),
        "updatedAt": updated_at.map(time),
        "firstName": first_name.as_ref().map(PersonName::as_str),
        "lastName": last_name.as_ref().map(PersonName::as_str),
        "dateOfBirth": date_of_birth.map(|date| date.to_string()),
        "phoneNumber": phone_number.as_ref().map(PhoneNumber::as_str),
        "avatarUrl": avatar_url.as_ref().map(AvatarUrl::as_str),
        "language": language.tag(),
        "schoolAccount": school_account,
        "passwordState": password_state.to_value(),
        "sourcedId": sourced_id.as_ref().map(SourcedId::as_str),
        "leftRoster": left_roster,
    })
}

fn lockout_json(Lockout { from, until }: &Lockout) -> Value {
    let from = match from {
        LockedAddresses::One => "oneAddress",
        LockedAddresses::Unknown => "unknownAddresses",
    };
    json!({ "from": from, "until": time(*until) })
}

/// A session.
pub fn session_json(session: &session::Model) -> Value {
    let session::Model {
        id,
        user_id,
        app_id,
        redirect_uri,
        scope,
        address,
        user_agent,
        authenticated_at,
        created_at,
        last_used_at,
        idle_expires_at,
        expires_at,
    } = session;
    json!({
        "id": id,
        "userId": user_id,
        "appId": app_id,
        "redirectUri": redirect_uri.as_str(),
        "scope": scope.as_str(),
        "address": address,
        "userAgent": user_agent.as_ref().map(UserAgent::as_str),
        "authenticatedAt": time(*authenticated_at),
        "createdAt": time(*created_at),
        "lastUsedAt": time(*last_used_at),
        "idleExpiresAt": time(*idle_expires_at),
        "expiresAt": time(*expires_at),
    })
}
