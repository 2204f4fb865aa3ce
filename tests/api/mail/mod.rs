//! Mails: the outbox, and its delivery to a real SMTP server.

mod account_life;
mod processes;

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    db::Db,
    domain::{
        account_page::AccountPage, email::Email, label::Label, language::Language, secret_token::ConfirmHash,
    },
    entity::outgoing_mail::{Column, Counts, Entity, Model, Outcome},
    jobs::sweep::{KEEP_DEAD_MAILS, delete_expired},
    mail::{Content, Delivery, Outbox, OutboxDirectory, SmtpServer, SmtpUrl},
    random::OsRandom,
};
use sea_orm::{EntityTrait, QueryOrder};
use secrecy::SecretString;
use serde_json::Value;

use crate::support::{Kind, School, both, smtp};

/// A mail that confirms an address.
fn confirmation(school: &School, to: &str, language: Language) -> Model {
    let page = AccountPage::parse("https://app.example.com/account").unwrap();
    let hash = ConfirmHash::generate(&OsRandom);
    compose(school, to, language, Content::Confirm { page: Some(&page), hash: &hash })
}

fn compose(school: &School, to: &str, language: Language, content: Content<'_>) -> Model {
    let (to, app) = (Email::parse(to).unwrap(), Label::parse("Größe & Co").unwrap());
    let outbox = &school.server.identity.outbox;
    outbox.compose(&to, language, &app, content, school.clock.now(), &OsRandom)
}

/// Stores a mail in a transaction, as a service does. Returns whether its address may receive it.
async fn enqueue(db: &Db, mail: Model) -> bool {
    db.transaction(mail, |db, mail| Box::pin(Outbox::enqueue(db, mail.clone()))).await.unwrap()
}

/// Stores a confirmation.
async fn enqueue_to(school: &School, to: &str) -> Model {
    let mail = confirmation(school, to, Language::English);
    assert!(enqueue(&school.db, mail.clone()).await, "too many mails to {to}");
    mail
}

/// The server of a school sends its mails here.
fn deliver_to(school: &mut School, url: &str, ca: Option<&smtp::SmtpServer>) {
    let url: SmtpUrl = url.parse().unwrap();
    let ca = ca.map(smtp::SmtpServer::certificate);
    let server = SmtpServer::new(url, Some("client.example".to_owned()), ca).unwrap();
    school.restart(|parts| parts.mail.delivery = Delivery::Smtp(server));
}

/// The server of a school sends its mails to a server without encryption, from this sender.
fn deliver_from(school: &mut School, server: &smtp::SmtpServer, sender: &str) {
    let server = SmtpServer::new(unencrypted(server).parse().unwrap(), None, None).unwrap();
    school.restart(|parts| {
        parts.mail.delivery = Delivery::Smtp(server);
        parts.mail.from = sender.parse().unwrap();
    });
}

fn unencrypted(server: &smtp::SmtpServer) -> String {
    format!("smtp://127.0.0.1:{}?tls=none", server.port)
}

/// A school that sends its mails to a server without encryption.
async fn school_with(kind: Kind, server: &smtp::SmtpServer) -> School {
    let mut school = School::start(kind).await;
    deliver_to(&mut school, &unencrypted(server), None);
    school
}

/// Makes all attempts that are due, and returns their number.
async fn send(school: &School) -> usize {
    school.server.sender.send_due().await.unwrap()
}

async fn counts(school: &School) -> (u64, u64) {
    let Counts { waiting, dead } = Entity::counts(school.db.read()).await.unwrap();
    (waiting, dead)
}

/// The only mail in the outbox.
async fn only_mail(school: &School) -> Model {
    let mut mails = Entity::find().order_by_asc(Column::Id).all(school.db.read()).await.unwrap();
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails.remove(0)
}

both! {
    async fn mail_over_starttls_or_tls_with_password_arrives_in_each_language(kind: Kind) {
        let mut school = School::start(kind).await;
        for (encryption, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
            let flags = ["--encryption", encryption, "--user", "us@er", "--password", "pä/ss"];
            let server = smtp::SmtpServer::start_with(&flags);
            let url = format!("{scheme}://us%40er:p%C3%A4%2Fss@localhost:{}", server.port);
            deliver_to(&mut school, &url, Some(&server));
            for language in Language::ALL {
                let to = format!("{}.{encryption}@example.com", language.tag());
                let mail = confirmation(&school, &to, language);
                assert!(enqueue(&school.db, mail.clone()).await);
                assert_eq!(send(&school).await, 1);
                let received = server.mails_to(&to);
                assert_eq!(received.len(), 1, "{received:?}");
                let received = &received[0];
                assert_eq!(received["headers"]["Subject"], mail.subject.as_str());
                assert_eq!(received["text"], mail.text_body.as_str());
                assert_eq!(received["html"], mail.html_body.as_str());
                assert_eq!(received["type"], "multipart/alternative");
                assert_eq!(received["from"], "homeroom@localhost");
                assert_eq!(received["headers"]["From"], "Homeroom <homeroom@localhost>");
                assert_eq!(received["headers"]["To"], to.as_str());
                assert_eq!(received["headers"]["Auto-Submitted"], "auto-generated");
                assert_eq!(received["headers"]["Message-ID"], format!("<{}@localhost>", mail.id));
                assert_eq!(received["headers"]["Date"], "Mon, 04 May 2026 09:42:00 +0000");
                assert_eq!((&received["ehlo"], &received["user"]), (&"client.example".into(), &"us@er".into()));
                assert_eq!(received["ascii"], true);
            }
        }
        assert_eq!(counts(&school).await, (0, 0), "a sent mail has no row");
    }

    async fn mail_without_the_required_encryption_or_certificate_is_not_sent(kind: Kind) {
        let mut school = School::start(kind).await;
        let plain = smtp::SmtpServer::start();
        let other = smtp::SmtpServer::start_with(&["--encryption", "starttls"]);
        let tls = smtp::SmtpServer::start_with(&["--encryption", "tls"]);
        for (number, (url, ca, step)) in [
            // The server does not offer STARTTLS.
            (format!("smtp://localhost:{}", plain.port), Some(&plain), "STARTTLS: "),
            // The certificate is not trusted.
            (format!("smtp://localhost:{}", other.port), None, "STARTTLS: "),
            (format!("smtp://localhost:{}", other.port), Some(&plain), "STARTTLS: "),
            (format!("smtps://localhost:{}", tls.port), Some(&other), "connecting: "),
            // The certificate is for another name.
            (format!("smtps://127.0.0.1:{}", tls.port), Some(&tls), "connecting: "),
        ].into_iter().enumerate() {
            deliver_to(&mut school, &url, ca);
            enqueue_to(&school, &format!("{number}@example.com")).await;
            assert_eq!(send(&school).await, 1);
            let mail = only_mail(&school).await;
            let error = mail.last_error.unwrap();
            assert!(error.starts_with(step), "{url}: {error}");
            assert_eq!(mail.dead_at, None, "the settings can be corrected: {error}");
            Entity::delete_many().exec(school.db.writer()).await.unwrap();
        }
        for server in [plain, other, tls] {
            assert!(server.mails().is_empty());
        }
    }

    async fn mail_with_wrong_password_waits_until_the_password_is_corrected(kind: Kind) {
        let mut school = School::start(kind).await;
        let server = smtp::SmtpServer::start_with(&["--user", "user", "--password", "marked-right"]);
        let url = |password: &str| format!("smtp://user:{password}@127.0.0.1:{}?tls=none", server.port);
        deliver_to(&mut school, &url("marked-wrong"), None);
        enqueue_to(&school, "a@example.com").await;
        assert_eq!(send(&school).await, 1);
        let mail = only_mail(&school).await;
        let error = mail.last_error.unwrap();
        assert!(error.contains("AUTH") && error.contains("535") && !error.contains("marked"), "{error}");
        assert_eq!(mail.dead_at, None);
        deliver_to(&mut school, &url("marked-right"), None);
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!((send(&school).await, server.mails_to("a@example.com").len()), (1, 1));
    }

    async fn mail_while_server_is_down_arrives_once_after_it_is_back(kind: Kind) {
        let mut server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        server.stop();
        for number in 0..20 {
            enqueue_to(&school, &format!("{number}@example.com")).await;
        }
        assert_eq!((send(&school).await, counts(&school).await), (20, (20, 0)));
        assert_eq!(send(&school).await, 0, "the wait is a minute");
        school.clock.advance(TimeDelta::seconds(59));
        assert_eq!(send(&school).await, 0);
        school.clock.advance(TimeDelta::seconds(1));
        assert_eq!((send(&school).await, counts(&school).await), (20, (20, 0)));
        server.restart();
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!(send(&school).await, 0, "the second wait is two minutes");
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!((send(&school).await, counts(&school).await), (20, (0, 0)));
        for number in 0..20 {
            assert_eq!(server.mails_to(&format!("{number}@example.com")).len(), 1);
        }
        assert_eq!(server.mails().len(), 20);
    }

    async fn mail_refused_for_now_is_tried_again_until_accepted(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        for to in ["rcpt.450.3.a@example.com", "data.451.3.a@example.com", "data.421.3.a@example.com"] {
            enqueue_to(&school, to).await;
            for (attempt, minutes) in [(1, 1), (2, 2), (3, 4)] {
                assert_eq!(send(&school).await, 1);
                let mail = only_mail(&school).await;
                assert_eq!((mail.attempts, mail.dead_at), (attempt, None));
                assert_eq!(mail.next_attempt_at, school.clock.now() + TimeDelta::minutes(minutes));
                let error = mail.last_error.unwrap();
                assert!(error.contains(&to[5..8]) && error.contains("refused by the test"), "{error}");
                school.clock.advance(TimeDelta::minutes(minutes));
            }
            assert_eq!((send(&school).await, server.mails_to(to).len()), (1, 1));
            assert_eq!(counts(&school).await, (0, 0));
        }
    }

    async fn mail_refused_for_good_is_dead_and_loses_its_content(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        for to in ["rcpt.550.9.a@example.com", "data.554.9.a@example.com"] {
            let sent = enqueue_to(&school, to).await;
            assert_eq!(send(&school).await, 1);
            let mail = only_mail(&school).await;
            assert_eq!(mail.dead_at, Some(school.clock.now()));
            assert!(mail.last_error.unwrap().contains(&to[5..8]));
            assert_eq!((mail.text_body.as_str(), mail.html_body.as_str()), ("", ""));
            assert_eq!((mail.id, mail.recipient, mail.subject), (sent.id, sent.recipient, sent.subject));
            school.clock.advance(TimeDelta::days(2));
            assert_eq!(send(&school).await, 0, "a dead mail is not tried again");
            assert_eq!(counts(&school).await, (0, 1));
            delete_expired(&school.db, school.clock.now() + KEEP_DEAD_MAILS - TimeDelta::days(3)).await.unwrap();
            assert_eq!(counts(&school).await, (0, 1));
            delete_expired(&school.db, school.clock.now() + KEEP_DEAD_MAILS).await.unwrap();
            assert_eq!(counts(&school).await, (0, 0));
        }
        assert!(server.mails().is_empty());
    }

    async fn mail_whose_link_expires_before_the_next_attempt_is_dead(kind: Kind) {
        let mut server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        server.stop();
        let hash = ConfirmHash::generate(&OsRandom);
        let mail = compose(&school, "a@example.com", Language::English, Content::Reset { page: None, hash: &hash });
        assert!(enqueue(&school.db, mail).await);
        // Attempts at 0, 1, 3, 7 and 15 minutes. The next one would be at 31 minutes, and the link expires at 30.
        for minutes in [1, 2, 4, 8] {
            assert_eq!((send(&school).await, counts(&school).await), (1, (1, 0)));
            school.clock.advance(TimeDelta::minutes(minutes));
        }
        assert_eq!((send(&school).await, counts(&school).await), (1, (0, 1)));
        assert_eq!(only_mail(&school).await.attempts, 5);

        // No node ran until the link had expired.
        server.restart();
        enqueue_to(&school, "b@example.com").await;
        school.clock.advance(TimeDelta::hours(24));
        assert_eq!((send(&school).await, counts(&school).await), (1, (0, 2)));
        assert!(server.mails().is_empty());
    }

    async fn two_nodes_send_each_mail_once(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = Arc::new(school_with(kind, &server).await);
        for number in 0..100 {
            enqueue_to(&school, &format!("{number}@example.com")).await;
        }
        let workers: Vec<_> = (0..8).map(|_| {
            let sender = school.server.sender.clone();
            tokio::spawn(async move { sender.send_due().await.unwrap() })
        }).collect();
        let mut attempts = 0;
        for worker in workers {
            attempts += worker.await.unwrap();
        }
        assert_eq!((attempts, counts(&school).await), (100, (0, 0)));
        for number in 0..100 {
            assert_eq!(server.mails_to(&format!("{number}@example.com")).len(), 1);
        }
    }

    async fn slow_answer_delays_no_other_mail(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        enqueue_to(&school, "slow.3.a@example.com").await;
        let sender = school.server.sender.clone();
        let slow = tokio::spawn(async move { sender.send_due().await.unwrap() });
        while only_mail(&school).await.attempts == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        enqueue_to(&school, "b@example.com").await;
        assert_eq!(send(&school).await, 1);
        assert_eq!((server.mails_to("b@example.com").len(), server.mails_to("slow.3.a@example.com").len()), (1, 0));
        assert_eq!(slow.await.unwrap(), 1);
        assert_eq!((server.mails_to("slow.3.a@example.com").len(), counts(&school).await), (1, (0, 0)));
    }

    async fn mail_of_a_node_that_died_is_sent_after_its_lease(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        enqueue_to(&school, "a@example.com").await;
        let now = school.clock.now();
        let due = Entity::due(school.db.read(), now, 8).await.unwrap();
        let claim = (due[0], now + TimeDelta::minutes(1));
        let claim = async || {
            school.db.write(claim, |db, &(due, until)| Box::pin(Entity::claim(db, due, until))).await.unwrap()
        };
        let claimed = claim().await.unwrap();
        assert_eq!(claim().await, None, "a claim succeeds once");
        school.clock.advance(TimeDelta::seconds(59));
        assert_eq!(send(&school).await, 0);
        school.clock.advance(TimeDelta::seconds(1));

        // Another node claims it now. The first one can neither extend nor end the attempt of the other.
        let due = Entity::due(school.db.read(), school.clock.now(), 8).await.unwrap();
        let taken = (due[0], school.clock.now() + TimeDelta::minutes(1));
        let taken = school.db.write(taken, |db, &(due, until)| Box::pin(Entity::claim(db, due, until))).await.unwrap();
        assert!(taken.is_some());
        let (until, error) = (school.clock.now() + TimeDelta::hours(9), "too late".to_owned());
        school.db.write(claimed, move |db, &claimed| Box::pin(Entity::renew(db, claimed, until))).await.unwrap();
        for outcome in [
            Outcome::Sent,
            Outcome::Failed { next: until, error: error.clone() },
            Outcome::Dead { now: until, error },
        ] {
            let data = (claimed, outcome);
            school
                .db
                .write(data, |db, (claimed, outcome)| Box::pin(Entity::end(db, *claimed, outcome)))
                .await
                .unwrap();
        }
        let mail = only_mail(&school).await;
        assert_eq!((mail.attempts, mail.last_error, mail.dead_at), (2, None, None));

        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!((send(&school).await, server.mails().len()), (1, 1));
    }

    async fn answer_that_is_lost_repeats_the_mail_with_the_same_message_id(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        enqueue_to(&school, "lost.1.a@example.com").await;
        assert_eq!((send(&school).await, counts(&school).await), (1, (1, 0)));
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!((send(&school).await, counts(&school).await), (1, (0, 0)));
        let ids: Vec<Value> =
            server.mails().into_iter().map(|mail| mail["headers"]["Message-ID"].clone()).collect();
        assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    }

    async fn address_gets_five_mails_an_hour_and_five_notices(kind: Kind) {
        let school = School::start(kind).await;
        let request = || confirmation(&school, "a@example.com", Language::English);
        let notice = || compose(&school, "a@example.com", Language::English, Content::PasswordChanged);
        for _ in 0..5 {
            assert!(enqueue(&school.db, request()).await);
            school.clock.advance(TimeDelta::minutes(10));
        }
        // 50 minutes after the first one.
        assert!(!enqueue(&school.db, request()).await);
        school.clock.advance(TimeDelta::minutes(9));
        assert!(!enqueue(&school.db, request()).await);
        assert!(enqueue(&school.db, confirmation(&school, "b@example.com", Language::English)).await);
        for _ in 0..5 {
            assert!(enqueue(&school.db, notice()).await, "a stranger's requests must not prevent a notice");
        }
        assert!(!enqueue(&school.db, notice()).await);
        assert_eq!(counts(&school).await, (11, 0));
        school.clock.advance(TimeDelta::minutes(1));
        assert!(enqueue(&school.db, request()).await);
        assert!(!enqueue(&school.db, request()).await);

        // Mails that are not sent, because the address has no account, do not prevent a mail to it.
        for _ in 0..6 {
            let (to, now) = (Email::parse("new@example.com").unwrap(), school.clock.now());
            school.db.transaction(to, move |db, to| Box::pin(Outbox::pretend(db, to, now))).await.unwrap();
        }
        assert!(enqueue(&school.db, confirmation(&school, "new@example.com", Language::English)).await);
    }

    async fn mail_whose_sender_is_refused_waits_for_other_settings(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let mut school = School::start(kind).await;
        deliver_from(&mut school, &server, "Homeroom <refused@example.com>");
        enqueue_to(&school, "a@example.com").await;
        assert_eq!((send(&school).await, counts(&school).await), (1, (1, 0)));
        assert!(only_mail(&school).await.last_error.unwrap().contains("550"));
        school.clock.advance(TimeDelta::minutes(1));
        deliver_from(&mut school, &server, "Homeroom <homeroom@example.com>");
        assert_eq!((send(&school).await, counts(&school).await), (1, (0, 0)));
    }

    async fn mail_without_smtp_settings_becomes_a_private_file(kind: Kind) {
        let mut school = School::start(kind).await;
        let directory = school.keys().with_file_name("outbox");
        school.restart(|parts| parts.mail.delivery = Delivery::Files(OutboxDirectory::new(directory.clone())));
        let mail = enqueue_to(&school, "a@example.com").await;
        assert_eq!((send(&school).await, counts(&school).await), (1, (0, 0)));
        let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [format!("{}.eml", mail.id).as_str()]);
        let file = directory.join(&names[0]);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&directory)), (0o600, 0o700));
        let content = fs::read_to_string(file).unwrap();
        assert!(content.contains("To: a@example.com\r\n") && content.is_ascii(), "{content}");

        // A directory that cannot be written delays the mail.
        fs::remove_dir_all(&directory).unwrap();
        fs::write(&directory, "").unwrap();
        enqueue_to(&school, "b@example.com").await;
        assert_eq!((send(&school).await, counts(&school).await), (1, (1, 0)));
        assert!(only_mail(&school).await.last_error.unwrap().starts_with("writing the file: "));
    }

    async fn draining_server_begins_no_mail(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        enqueue_to(&school, "a@example.com").await;
        school.server.drain();
        assert_eq!((send(&school).await, counts(&school).await), (0, (1, 0)));
    }

    async fn jobs_send_a_new_mail_at_once_and_those_of_other_nodes_soon(kind: Kind) {
        let server = smtp::SmtpServer::start();
        let school = school_with(kind, &server).await;
        let jobs = school.server.start_jobs();
        // The first poll is over.
        enqueue_to(&school, "first@example.com").await;
        server.wait_for(1, "first@example.com").await;
        let began = std::time::Instant::now();
        enqueue_to(&school, "a@example.com").await;
        school.server.identity.outbox.wake();
        server.wait_for(1, "a@example.com").await;
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        enqueue_to(&school, "b@example.com").await;
        server.wait_for(1, "b@example.com").await;
        jobs.stop().await;
    }
}

#[test]
fn settings_of_an_smtp_server_show_no_password() {
    let url = SmtpUrl {
        credentials: Some(("user".to_owned(), SecretString::from("marked-secret"))),
        .."smtp://mail.example".parse().unwrap()
    };
    let server = SmtpServer::new(url, None, None).unwrap();
    assert_eq!(server.shown(), "smtp://mail.example:587");
    assert!(!format!("{server:?}").contains("marked-secret"));
}
