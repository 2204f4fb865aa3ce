//! `homeroom user export`

use anyhow::Context;
use sea_orm::ActiveEnum;
use serde_json::{Value, json};

use super::print::{account_json, session_json};
use crate::{
    cli::{listing::time, say},
    clock::{Clock, SystemClock},
    db::Db,
    domain::{
        description::ClassDescription, label::Label, max_students::MaxStudents, person::PhoneNumber,
        sourced_id::SourcedId,
    },
    entity::{
        audit_event, authorization_code, class, enrollment, outgoing_mail, password_reset, policy_acceptance,
        registration, user,
    },
    identity::export::{Export, export},
    random::OsRandom,
};

pub async fn run(db: &Db, user: user::Model) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let export = export(db, user, now, &OsRandom).await.context("collecting the data")?;
    let Export {
        account,
        sessions,
        codes,
        acceptances,
        classes,
        enrollments,
        events,
        mails,
        registrations,
        resets,
    } = &export;
    let document = json!({
        "exportedAt": time(now),
        "account": account_json(account),
        "sessions": all(sessions, session_json),
        "authorizationCodes": all(codes, code_json),
        "policyAcceptances": all(acceptances, acceptance_json),
        "ownedClasses": all(classes, class_json),
        "enrollments": all(enrollments, enrollment_json),
        "auditEvents": all(events, event_json),
        "mails": all(mails, mail_json),
        "registrations": all(registrations, registration_json),
        "passwordResets": all(resets, reset_json),
    });
    say(&format!("{document:#}"))
}

fn all<T>(rows: &[T], json: impl Fn(&T) -> Value) -> Value {
    rows.iter().map(json).collect()
}

/// A code without its digest and its challenge.
fn code_json(code: &authorization_code::Model) -> Value {
    let authorization_code::Model {
        digest: _,
        app_id,
        user_id: _,
        redirect_uri,
        state,
        code_challenge: _,
        issued_at,
        expires_at,
        redeemed_at,
        session_id,
    } = code;
    json!({
        "appId": app_id,
        "redirectUri": redirect_uri.as_str(),
        "state": state.as_str(),
        "issuedAt": time(*issued_at),
        "expiresAt": time(*expires_at),
        "redeemedAt": redeemed_at.map(time),
        "sessionId": session_id,
    })
}

fn acceptance_json(acceptance: &policy_acceptance::Model) -> Value {
    let policy_acceptance::Model { user_id: _, app_id, policy_version, accepted_at, address } = acceptance;
    json!({
        "appId": app_id,
        "policyVersion": policy_version.as_str(),
        "acceptedAt": time(*accepted_at),
        "address": address,
    })
}

fn class_json(class: &class::Model) -> Value {
    let class::Model {
        id,
        owner_id: _,
        name,
        description,
        settings,
        is_active,
        created_at,
        updated_at,
        name_key: _,
        max_students,
        requires_approval,
        version: _,
        sourced_id,
        left_roster: _,
    } = class;
    json!({
        "id": id,
        "name": name.as_str(),
        "description": description.as_ref().map(ClassDescription::as_str),
        "settings": settings,
        "isActive": is_active,
        "maxStudents": max_students.map(MaxStudents::get),
        "requiresApproval": requires_approval,
        "sourcedId": sourced_id.as_ref().map(SourcedId::as_str),
        "createdAt": time(*created_at),
        "updatedAt": time(*updated_at),
    })
}

fn enrollment_json(enrollment: &enrollment::Model) -> Value {
    let enrollment::Model {
        id,
        class_id,
        student_id: _,
        enrolled_at,
        status,
        created_at,
        updated_at,
        origin,
        student_key: _,
        sourced_id,
    } = enrollment;
    json!({
        "id": id,
        "classId": class_id,
        "enrolledAt": enrolled_at.to_string(),
        "status": status.to_value(),
        "origin": origin.to_value(),
        "sourcedId": sourced_id.as_ref().map(SourcedId::as_str),
        "createdAt": time(*created_at),
        "updatedAt": time(*updated_at),
    })
}

fn event_json(event: &audit_event::Model) -> Value {
    let audit_event::Model {
        id,
        at,
        action,
        outcome,
        reason,
        actor,
        user_id: _,
        app_id,
        session_id,
        address,
        by_user_id,
        class_id,
    } = event;
    json!({
        "id": id,
        "at": time(*at),
        "action": action.to_value(),
        "outcome": outcome.to_value(),
        "reason": reason,
        "actor": actor.to_value(),
        "appId": app_id,
        "sessionId": session_id,
        "address": address,
        "byUserId": by_user_id,
        "classId": class_id,
    })
}

/// A mail without its bodies, which contain secrets.
fn mail_json(mail: &outgoing_mail::Model) -> Value {
    let outgoing_mail::Model {
        id,
        recipient: _,
        kind,
        subject,
        text_body: _,
        html_body: _,
        created_at,
        expires_at,
        next_attempt_at,
        attempts,
        dead_at,
        last_error,
    } = mail;
    json!({
        "id": id,
        "kind": kind,
        "subject": subject,
        "createdAt": time(*created_at),
        "expiresAt": time(*expires_at),
        "nextAttemptAt": time(*next_attempt_at),
        "attempts": attempts,
        "deadAt": dead_at.map(time),
        "lastError": last_error,
    })
}

/// A registration without its digest and the hash of its password.
fn registration_json(registration: &registration::Model) -> Value {
    let registration::Model {
        digest: _,
        user_id,
        app_id,
        email: _,
        password_hash: _,
        phone_number,
        language,
        accepted_policy_version,
        address,
        created_at,
        expires_at,
    } = registration;
    json!({
        "userId": user_id,
        "appId": app_id,
        "phoneNumber": phone_number.as_ref().map(PhoneNumber::as_str),
        "language": language.tag(),
        "acceptedPolicyVersion": accepted_policy_version.as_ref().map(Label::as_str),
        "address": address,
        "createdAt": time(*created_at),
        "expiresAt": time(*expires_at),
    })
}

fn reset_json(reset: &password_reset::Model) -> Value {
    let password_reset::Model { digest: _, user_id: _, app_id, created_at, expires_at } = reset;
    json!({ "appId": app_id, "createdAt": time(*created_at), "expiresAt": time(*expires_at) })
}
