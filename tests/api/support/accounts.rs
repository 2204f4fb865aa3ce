//! Helpers for tests of registration, password resets and profiles: requests, and the mails in the outbox.

use homeroom::entity::{audit_event, outgoing_mail};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use super::{APP, Answer, School, signing_in::changed};

pub const NEW_USER: &str = "new.user@example.com";
pub const NEW_PASSWORD: &str = "violet-Kayak-39-lantern";
pub const OTHER_PASSWORD: &str = "seven Teapots 48 argue quietly";
pub const LINK_REFUSED: &str = "The link is invalid, has expired or was used";

impl School {
    /// Lets people register in the sample app.
    pub async fn open_registration(&self) {
        self.register(|registration| registration.app.registration_open = true).await;
    }

    /// Sends the documented request to register with these changes.
    pub async fn request_user(&self, changes: Value) -> Answer {
        // A fixed request id, so that equal responses are equal in every byte.
        let call = self.post("/api/v1/users?language=en").header("X-Request-Id", "fixed");
        call.json(&changed(registration_body(NEW_USER), changes)).send().await
    }

    /// Uses the link of a registration.
    pub async fn confirm_address(&self, secret: &str) -> Answer {
        let call = self.call("PUT", &format!("/api/v1/user-confirm-hashes/{secret}"));
        call.json(&json!({ "appUuid": APP })).send().await
    }

    /// Asks for a link that resets the password of an address.
    pub async fn request_reset(&self, email: &str) -> Answer {
        let call = self.call("PUT", "/api/v1/users?language=en").header("X-Request-Id", "fixed");
        call.json(&json!({ "appUuid": APP, "email": email, "acceptPrivacyPolicy": false })).send().await
    }

    /// Sets a new password by the link of a reset, with these changes of the request.
    pub async fn reset_password(&self, secret: &str, changes: Value) -> Answer {
        self.call("PUT", "/api/v1/users?language=en").json(&changed(reset_body(secret), changes)).send().await
    }

    /// The mails in the outbox, which they leave.
    pub async fn take_mails(&self) -> Vec<outgoing_mail::Model> {
        let mails = outgoing_mail::Entity::find().order_by_asc(outgoing_mail::Column::Id);
        let mails = mails.all(self.db.writer()).await.unwrap();
        outgoing_mail::Entity::delete_many().exec(self.db.writer()).await.unwrap();
        mails
    }

    /// The only mail in the outbox, which it leaves. It has this recipient and kind.
    pub async fn take_mail(&self, recipient: &str, kind: &str) -> outgoing_mail::Model {
        let mails = self.take_mails().await;
        let found: Vec<_> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.kind.as_str())).collect();
        assert_eq!(found, [(recipient, kind)]);
        mails.into_iter().next().unwrap()
    }

    /// Registers an address, and returns the secret of the link in the mail.
    pub async fn registration_link(&self, changes: Value) -> String {
        let answer = self.request_user(changes).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let mails = self.take_mails().await;
        assert_eq!((mails.len(), mails[0].kind.as_str()), (1, "confirm"));
        secret_in(&mails[0])
    }

    /// Asks for a reset, and returns the secret of the link in the mail.
    pub async fn reset_link(&self, email: &str) -> String {
        assert_eq!(self.request_reset(email).await.status, 200);
        secret_in(&self.take_mail(email, "reset").await)
    }

    /// The events in the audit trail, oldest first.
    pub async fn events(&self) -> Vec<audit_event::Model> {
        audit_event::Entity::find().order_by_asc(audit_event::Column::At).all(self.db.read()).await.unwrap()
    }
}

/// The documented request to register.
pub fn registration_body(email: &str) -> Value {
    json!({
        "appUuid": APP,
        "email": email,
        "password": NEW_PASSWORD,
        "passwordConfirmation": NEW_PASSWORD,
        "acceptedTermsAndConditions": true,
        "acceptedDataPrivacy": true,
        "acceptPrivacyPolicy": false,
    })
}

/// The request to set a new password by a link.
pub fn reset_body(secret: &str) -> Value {
    json!({
        "appUuid": APP,
        "confirmHash": secret,
        "password": NEW_PASSWORD,
        "passwordConfirmation": NEW_PASSWORD,
    })
}

/// The secret in a mail: a word of 43 characters of base64url, alone or at the end of a link.
pub fn secret_in(mail: &outgoing_mail::Model) -> String {
    let is_secret = |word: &&str| {
        word.len() == 43 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let mut words = mail.text_body.split_whitespace().map(|word| word.rsplit('=').next().unwrap());
    words.find(is_secret).unwrap_or_else(|| panic!("no secret in {mail:?}")).to_owned()
}
