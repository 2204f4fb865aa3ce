//! Checks of mails: the settings, the SMTP server, and the mails that could not be sent.

use super::{Report, failed};
use crate::{
    config::Config,
    db::read_only::Inspection,
    entity::outgoing_mail::{Counts, Entity, Model},
    mail::Delivery,
};

/// Checks the settings, and signs in to the SMTP server. Sends no mail.
pub async fn server(config: &Config, report: &mut Report) {
    const SUBJECT: &str = "mail";
    let settings = match config.mail.settings(config.data.directory()) {
        Ok(settings) => settings,
        Err(error) => return report.wrong(SUBJECT, failed("the settings", error), "correct this flag"),
    };
    match settings.delivery {
        Delivery::Files(directory) => report.warning(
            SUBJECT,
            format!("mails are written to {}, and no user receives them", directory.path().display()),
            "nothing if this is a trial; otherwise name an SMTP server with --smtp-url",
        ),
        Delivery::Smtp(server) => match server.check().await {
            Ok(()) => report.ok(SUBJECT, format!("{} accepts connections", server.shown())),
            Err(failure) => report.warning(
                SUBJECT,
                format!("{} does not accept mails, {failure}", server.shown()),
                "check host, port, user and password of --smtp-url, the certificate, and whether the SMTP server runs",
            ),
        },
    }
}

/// Reports mails that wait after a failure, and dead ones.
pub async fn outbox(database: &Inspection, report: &mut Report) {
    const SUBJECT: &str = "outbox";
    let db = database.connection();
    let found = async {
        Ok::<_, sea_orm::DbErr>((
            Entity::counts(db).await?,
            Entity::oldest_failed(db).await?,
            Entity::newest_dead(db).await?,
        ))
    };
    let (Counts { waiting, dead }, failed_mail, dead_mail) = match found.await {
        Ok(found) => found,
        Err(error) => return report.skipped(SUBJECT, failed("reading the mails", error)),
    };
    match &failed_mail {
        None => report.ok(SUBJECT, format!("{waiting} mails wait, and none of them failed")),
        Some(mail) => report.warning(
            SUBJECT,
            format!(
                "{waiting} mails wait, and the oldest failed {} times: {}",
                mail.attempts,
                error_of(mail)
            ),
            "correct the cause; the server tries each mail again until its link expires",
        ),
    }
    if let Some(mail) = dead_mail {
        report.warning(
            SUBJECT,
            format!("{dead} mails of the last 30 days could not be sent, the newest: {}", error_of(&mail)),
            "correct the cause; users can ask for a new mail",
        );
    }
}

fn error_of(mail: &Model) -> &str {
    mail.last_error.as_deref().unwrap_or("no error is known")
}
