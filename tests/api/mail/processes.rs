//! Mails of the program as a process: it is killed, stopped, configured and checked.

use std::{fs, time::Duration};

use chrono::TimeDelta;
use homeroom::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::{email::Email, label::Label, language::Language, secret_token::ConfirmHash},
    entity::outgoing_mail::{Column, Counts, Entity},
    mail::{Composer, Content},
    random::OsRandom,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use tokio::time::sleep;

use super::enqueue;
use crate::support::{
    PUBLIC_URL, both,
    process::{Ended, Server, Site},
    smtp::SmtpServer,
};

const FROM: &str = "Homeroom <homeroom@school.example>";

/// Stores a mail in the database of a site, as a node of it does.
async fn enqueue_to(db: &Db, to: &str) -> String {
    let (to, app) = (Email::parse(to).unwrap(), Label::parse("Sample app").unwrap());
    let hash = ConfirmHash::generate(&OsRandom);
    let content = Content::Reset { page: None, hash: &hash };
    let mail =
        Composer::default().compose(&to, Language::English, &app, content, SystemClock.now(), &OsRandom);
    assert!(enqueue(db, mail).await);
    hash.expose().to_owned()
}

/// Waits until the outbox has no mail that is not dead.
async fn emptied(db: &Db) {
    for _ in 0..3000 {
        if Entity::counts(db.read()).await.unwrap().waiting == 0 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("mails wait");
}

/// Waits until a text that grows contains another one.
async fn contains(read: &impl AsyncFn() -> String, expected: &str) {
    for _ in 0..3000 {
        if read().await.contains(expected) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{expected} is missing: {}", read().await);
}

/// Makes every waiting mail due, as if its wait or the lease of its node was over.
pub async fn end_waits(db: &Db) {
    let past = SystemClock.now() - TimeDelta::minutes(1);
    let update = Entity::update_many().col_expr(Column::NextAttemptAt, Expr::value(past));
    update.filter(Column::DeadAt.is_null()).exec(db.writer()).await.unwrap();
}

async fn site(kind: crate::support::Kind, server: &SmtpServer) -> Site {
    let url = format!("smtp://127.0.0.1:{}?tls=none", server.port);
    Site::new(kind).await.with("HOMEROOM_SMTP_URL", &url).with("HOMEROOM_MAIL_FROM", FROM)
}

async fn doctor(site: &Site) -> Ended {
    site.run(&["doctor", "--listen", "127.0.0.1:0", "--public-url", PUBLIC_URL]).await
}

/// The line of the report with this text, and its remedy.
fn line<'a>(ended: &'a Ended, text: &str) -> &'a str {
    ended.out.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text}: {ended:?}"))
}

both! {
    async fn kill_9_between_change_and_mail_loses_no_mail(kind: Kind) {
        let smtp = SmtpServer::start();
        let site = site(kind, &smtp).await;
        let mut server = site.listen("serve").await;
        let db = Db::connect(&site.location).await.unwrap();
        let mut addresses = Vec::new();
        for round in 0..6 {
            // Some of these are being sent when the server is killed, and others wait.
            for (number, kind) in ["quick", "slow.0.05", "quick", "slow.0.2"].iter().enumerate() {
                let address = format!("{kind}.{round}{number}@example.com");
                enqueue_to(&db, &address).await;
                addresses.push(address);
            }
            sleep(Duration::from_millis(40 * round)).await;
            server = server.crash(&site).await;
        }
        drop(server);
        // The leases of the killed nodes end.
        end_waits(&db).await;
        let server = site.listen("serve").await;
        emptied(&db).await;
        assert_eq!(Entity::counts(db.read()).await.unwrap(), Counts::default());
        for address in addresses {
            let mut ids: Vec<_> =
                smtp.mails_to(&address).into_iter().map(|mail| mail["headers"]["Message-ID"].clone()).collect();
            // A kill after the acceptance repeats a mail, with the same id.
            assert!(!ids.is_empty(), "the mail to {address} is lost");
            ids.dedup();
            assert_eq!(ids.len(), 1, "{address}");
        }
        drop(server);
        db.close().await.unwrap();
    }

    async fn signal_to_end_completes_the_mail_that_is_being_sent(kind: Kind) {
        let smtp = SmtpServer::start();
        let site = site(kind, &smtp).await;
        let db = Db::connect(&site.location).await.unwrap();
        db.migrate().await.unwrap();
        enqueue_to(&db, "slow.1.a@example.com").await;
        let server = site.listen("serve").await;
        while Entity::due(db.read(), SystemClock.now(), 1).await.unwrap().len() == 1 {
            sleep(Duration::from_millis(5)).await;
        }
        server.signal("TERM");
        let ended = server.program.end().await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(smtp.mails_to("slow.1.a@example.com").len(), 1);
        assert_eq!(Entity::counts(db.read()).await.unwrap(), Counts::default());
        db.close().await.unwrap();
    }

    async fn mails_are_counted_logged_and_checked_without_addresses_or_secrets(kind: Kind) {
        let mut smtp = SmtpServer::start();
        let site = site(kind, &smtp).await.with("HOMEROOM_METRICS_LISTEN", "127.0.0.1:0").with("HOMEROOM_LOG", "debug");
        let db = Db::connect(&site.location).await.unwrap();
        db.migrate().await.unwrap();
        let mut secrets = Vec::new();
        for to in ["marked@example.com", "rcpt.550.9.marked@example.com", "data.451.9.marked@example.com"] {
            secrets.push(enqueue_to(&db, to).await);
        }
        let server = site.listen("serve").await;
        let metrics = server.program.out().lines().nth(1).unwrap().strip_prefix("metrics on ").unwrap().to_owned();
        let metrics = async || server.client.get(&metrics).send().await.unwrap().text().await.unwrap();
        smtp.wait_for(1, "marked@example.com").await;
        // The server counts a mail a moment after the SMTP server has accepted it.
        for expected in [
            "homeroom_mail_failures_total 2\n",
            "homeroom_mails_sent_total 1\n",
            "homeroom_mails_waiting ",
            "homeroom_mails_dead ",
        ] {
            contains(&metrics, &format!("\n{expected}")).await;
        }
        // It writes the line of the log after the count.
        let read_log = async || server.program.err();
        for expected in ["mail sent", "mail not sent", "dead=false", "dead=true", "code=550", "code=451"] {
            contains(&read_log, expected).await;
        }
        let log = read_log().await;
        assert!(!log.contains("marked"), "{log}");
        assert!(secrets.iter().all(|secret| !log.contains(secret)), "{log}");

        let ended = doctor(&site).await;
        assert!(line(&ended, " accepts connections").starts_with("ok"), "{ended:?}");
        assert!(line(&ended, "1 mails wait, and the oldest failed 1 times").starts_with("warning"), "{ended:?}");
        assert!(line(&ended, "1 mails of the last 30 days could not be sent").contains("550"), "{ended:?}");
        assert!(secrets.iter().all(|secret| !ended.out.contains(secret)), "{ended:?}");
        smtp.stop();
        let ended = doctor(&site).await;
        assert!(line(&ended, "does not accept mails, connecting").starts_with("warning"), "{ended:?}");
        db.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_prints_each_mail_and_writes_it_to_a_file() {
    let site = Site::new(crate::support::Kind::Sqlite).await;
    let server: Server = site.listen("demo").await;
    let db = Db::connect(&site.location).await.unwrap();
    let secret = enqueue_to(&db, "a@example.com").await;
    emptied(&db).await;
    db.close().await.unwrap();
    let files: Vec<_> = fs::read_dir(site.data().join("outbox")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let out = server.program.out();
    assert!(out.contains("Mail to a@example.com: Set a new password for Sample app"), "{out}");
    assert!(out.contains(&secret), "{out}");
}

#[tokio::test]
async fn invalid_mail_settings_stop_the_start_before_anything_is_created() {
    let site = Site::bare();
    let templates = site.data().with_file_name("templates");
    fs::create_dir_all(templates.join("en")).unwrap();
    fs::write(templates.join("en/reset.txt"), "Subject: a\n\n{{ nothing }}").unwrap();
    fs::write(site.data().with_file_name("url"), "smtp://user:marked-secret@mail.example/path\n").unwrap();
    let from = ["--mail-from", "a@b.example"];
    for (flags, message) in [
        (vec!["--smtp-url", "smtp://mail.example"], "--mail-from"),
        (vec!["--mail-from", "nobody"], "must be an e-mail address"),
        (vec!["--smtp-ehlo-name", "a b"], "must be a domain name"),
        (
            [&from[..], &["--smtp-url", "smtp://user:marked-secret@mail.example/path"]].concat(),
            "--smtp-url: must be",
        ),
        ([&from[..], &["--smtp-url", "smtp://mail.example?tls=none"]].concat(), "on this machine only"),
        ([&from[..], &["--smtp-url-file", "url"]].concat(), "--smtp-url-file url: must be"),
        ([&from[..], &["--smtp-url-file", "nothing"]].concat(), "--smtp-url-file nothing cannot be read"),
        (
            [&from[..], &["--smtp-url", "smtp://mail.example", "--smtp-ca", "url"]].concat(),
            "url has no certificate",
        ),
        (vec!["--mail-templates", "nothing"], "nothing cannot be read"),
        (vec!["--mail-templates", templates.to_str().unwrap()], "template en/reset.txt"),
    ] {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], &flags[..]].concat();
        let refusal = site.run(&arguments).await.refusal();
        assert!(refusal.contains(message) && !refusal.contains("marked"), "{flags:?}: {refusal}");
        assert!(!site.data().exists(), "{flags:?}");
    }
    let ended = site.run(&["doctor", "--listen", "127.0.0.1:0", "--mail-templates", "nothing"]).await;
    assert!(line(&ended, "nothing cannot be read").starts_with("WRONG"), "{ended:?}");
}
