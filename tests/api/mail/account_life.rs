//! The life of an account with mails that are read from the SMTP server.

use homeroom::db::Db;
use reqwest::Method;
use serde_json::{Value, json};

use super::processes::end_waits;
use crate::support::{
    APP,
    accounts::{NEW_PASSWORD, NEW_USER, OTHER_PASSWORD, registration_body, reset_body},
    both,
    process::{Server, Site, StatusAndBody, send},
    smtp::SmtpServer,
};

/// The secret of the link in a mail.
fn secret_in(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text.lines().find(|line| line.starts_with("https://app.example.com/account?action=")).unwrap();
    link.split_once("&confirmHash=").unwrap().1.to_owned()
}

async fn put(server: &Server, path: &str, body: &Value) -> StatusAndBody {
    send(server.client.request(Method::PUT, format!("{}{path}", server.url)).json(body)).await
}

both! {
    async fn register_confirm_and_reset_with_mails_of_an_smtp_server(kind: Kind) {
        let mut smtp = SmtpServer::start_with(&["--encryption", "starttls", "--user", "homeroom", "--password", "right"]);
        let url = format!("smtp://homeroom:right@localhost:{}", smtp.port);
        let site = Site::new(kind)
            .await
            .with("HOMEROOM_SMTP_URL", &url)
            .with("HOMEROOM_SMTP_CA", smtp.certificate().to_str().unwrap())
            .with("HOMEROOM_MAIL_FROM", "Homeroom <homeroom@school.example>");
        let mut server = site.listen("demo").await;
        let app = APP.to_string();
        let open = ["--registration", "open", "--account-page", "https://app.example.com/account"];
        site.run(&[&["app", "set", &app][..], &open].concat()).await.success();

        // The SMTP server is down, and the node is killed after its response.
        smtp.stop();
        let register = server.post("/api/v1/users?language=de").json(&registration_body(NEW_USER));
        assert_eq!(send(register).await.0, 201);
        drop(server);
        smtp.restart();
        let db = Db::connect(&site.location).await.unwrap();
        end_waits(&db).await;
        db.close().await.unwrap();
        server = site.listen("serve").await;
        let mail = smtp.wait_for(1, NEW_USER).await.remove(0);
        assert_eq!(mail["headers"]["Subject"], "Bitte bestätigen Sie Ihre E-Mail-Adresse für Sample app");
        assert_eq!(server.try_sign_in(NEW_USER, NEW_PASSWORD, false).await.0, 400);
        let confirm = format!("/api/v1/user-confirm-hashes/{}", secret_in(&mail));
        assert_eq!(put(&server, &confirm, &json!({ "appUuid": APP })).await.0, 200);
        assert_eq!(put(&server, &confirm, &json!({ "appUuid": APP })).await.0, 400);
        assert_eq!(server.try_sign_in(NEW_USER, NEW_PASSWORD, false).await.0, 201);

        // A new mail is sent at once.
        let forgot = json!({ "appUuid": APP, "email": NEW_USER, "acceptPrivacyPolicy": false });
        assert_eq!(put(&server, "/api/v1/users?language=vi", &forgot).await.0, 200);
        let mail = smtp.wait_for(2, NEW_USER).await.remove(1);
        assert_eq!(mail["headers"]["Subject"], "Đặt mật khẩu mới cho Sample app");
        let mut reset = reset_body(&secret_in(&mail));
        reset["password"] = OTHER_PASSWORD.into();
        reset["passwordConfirmation"] = OTHER_PASSWORD.into();
        assert_eq!(put(&server, "/api/v1/users?language=vi", &reset).await.0, 200);
        let mail = smtp.wait_for(3, NEW_USER).await.remove(2);
        assert_eq!(mail["headers"]["Subject"], "Mật khẩu của bạn đã được thay đổi");
        assert_eq!(server.try_sign_in(NEW_USER, NEW_PASSWORD, false).await.0, 400);
        assert_eq!(server.try_sign_in(NEW_USER, OTHER_PASSWORD, false).await.0, 201);
        assert_eq!(smtp.mails_to(NEW_USER).len(), 3);
    }
}
