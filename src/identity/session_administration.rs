//! Sessions: listed and ended by an operator.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use crate::{
    db::Db,
    entity::{
        audit_event::{self, Action, Actor},
        authorization_code,
        session::{self, Selection},
        user,
    },
    random::RandomSource,
};

/// Sessions that one transaction ends, so that no other write waits long.
const BATCH: usize = 500;

/// The selected sessions that have not ended, oldest first, with their users.
pub async fn list(
    db: &Db,
    selection: Selection,
    now: DateTime<Utc>,
) -> Result<Vec<(session::Model, user::Model)>, DbErr> {
    let found = session::Entity::select_active(db.read(), selection, now).await?;
    // A foreign key guarantees that the user exists.
    Ok(found.into_iter().filter_map(|(session, user)| Some((session, user?))).collect())
}

/// Ends the selected sessions, and returns their number. Unless one session is selected, codes that could begin another one are deleted. Sessions that begin meanwhile end too. Other nodes refuse the tokens of an ended
/// session within seconds.
pub async fn revoke(
    db: &Db,
    selection: Selection,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<u64, DbErr> {
    if selection.id.is_none() {
        // First, because a code that stays could begin a session afterwards.
        let delete = db.write(selection, |db, &Selection { user, app, .. }| {
            Box::pin(authorization_code::Entity::delete_of(db, user, app))
        });
        delete.await?;
    }
    let mut ended = 0;
    loop {
        let sessions = list(db, selection, now).await?;
        if sessions.is_empty() {
            return Ok(ended);
        }
        for batch in sessions.chunks(BATCH) {
            let events = batch.iter().map(|(session, _)| event(session, now, random)).collect::<Vec<_>>();
            let end = db.transaction(events, |db, events| {
                Box::pin(async move {
                    let mut ended = 0;
                    for event in events {
                        let (Some(user), Some(session)) = (event.user_id, event.session_id) else { continue };
                        // Another request may have ended it.
                        if session::Entity::end(db, user, session).await? {
                            audit_event::Entity::record(db, event.clone()).await?;
                            ended += 1;
                        }
                    }
                    Ok(ended)
                })
            });
            ended += end.await?;
        }
    }
}

fn event(session: &session::Model, now: DateTime<Utc>, random: &dyn RandomSource) -> audit_event::Model {
    audit_event::Model::new(Action::SessionEnd, now, random)
        .user(session.user_id)
        .app(session.app_id)
        .session(session.id)
        .by(Actor::Operator)
        .because("revoked")
}
