//! `homeroom demo`

use std::sync::Arc;

use anyhow::Context;
use sea_orm::ConnectionTrait;

use super::{
    app, closing, connect, database_url, migrate, say,
    serve::{listen, prepare},
    usage,
};
use crate::{
    classroom::classes::{Classes, NewClass},
    clock::{Clock, SystemClock},
    config::{Config, Data},
    db::{DatabaseUrl, Db},
    domain::{
        class_name::ClassName,
        email::Email,
        id::{AppId, ClassId},
        label::Label,
        network::Network,
        password::Password,
        redirect_uri::RedirectUri,
    },
    entity::user,
    identity::{accounts::Accounts, apps::Apps, password_hashing::PasswordHashing},
    mail::Delivery,
    random::OsRandom,
};

/// The app in the documented requests.
const APP: AppId = AppId::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);
/// A class of [`TEACHER`].
const OWN_CLASS: ClassId = ClassId::from_u128(0x2222_2222_2222_2222_2222_2222_2222_2222);
/// A class of [`OTHER_TEACHER`].
const OTHER_CLASS: ClassId = ClassId::from_u128(0x3333_3333_3333_3333_3333_3333_3333_3333);
const REDIRECT_URI: &str = "https://app.example.com/callback";
const TEACHER: &str = "user@example.com";
const STUDENT: &str = "student@example.com";
const OTHER_TEACHER: &str = "colleague@example.com";
const ACCOUNTS: [&str; 3] = [TEACHER, OTHER_TEACHER, STUDENT];
const PASSWORD: &str = "VeryStrongPass123!";
/// The domain of user names. No domain name of the Internet ends like this (RFC 2606).
pub const STUDENT_DOMAIN: &str = "students.demo.invalid";

pub async fn run(config: &Config) -> anyhow::Result<()> {
    let (hashing, mut mail) = prepare(config)?;
    let checked = config.passwords.policy().check(&Password::parse(PASSWORD)?, Vec::new()).await?;
    checked.map_err(|weak| usage(format!("the password of the sample school {weak}")))?;
    // So that the link of a mail can be tried without a mailbox.
    if let Delivery::Files(directory) = mail.delivery {
        mail.delivery = Delivery::Files(directory.printing(|mail| _ = say(mail)));
    }
    if !config.listen.ip().to_canonical().is_loopback() {
        tracing::warn!(
            listen = %config.listen,
            "the passwords of the sample school are public: every client that reaches this address can sign in"
        );
    }
    let db = connect(&config.data, config.data.database_connections).await?;
    // Boxed to keep the futures of the commands small.
    let work = Box::pin(async {
        refuse_other_accounts(&db, &config.data).await.context("checking the accounts")?;
        migrate(&db).await?;
        let hashing = hashing.join()?;
        create_missing(&db, &hashing).await.context("creating the sample school")?;
        let database = database_url(&config.data)?;
        let welcome = |url: &str, public_url: &str| say(&welcome(url, public_url, &database));
        listen(config, db.clone(), hashing, mail, welcome).await
    });
    closing(&db, work).await
}

/// Fails if the database has accounts of a real school. The password of the sample school is public.
async fn refuse_other_accounts(db: &Db, data: &Data) -> anyhow::Result<()> {
    if db.migration_status().await?.applied > 0
        && user::Entity::any_but(db.read(), &ACCOUNTS, STUDENT_DOMAIN).await?
    {
        return Err(usage(format!(
            "the database ({}) has other accounts than those of the sample school, whose password is public; \
             name another database with --data-dir or --database-url",
            database_url(data)?
        )));
    }
    Ok(())
}

/// The accounts of the sample school that are enabled and have the public password.
pub async fn open_accounts(
    db: &impl ConnectionTrait,
    hashing: &PasswordHashing,
) -> anyhow::Result<Vec<&'static str>> {
    let mut open = Vec::new();
    for address in ACCOUNTS {
        let email = Email::parse(address)?;
        let account = user::Entity::find_by_address(db, email).await?;
        let Some(account) = account.filter(user::Model::may_sign_in) else { continue };
        let password = Password::parse(PASSWORD)?;
        if hashing.verify(Network::of(None), Some(account.password_hash), password).await? {
            open.push(address);
        }
    }
    Ok(open)
}

/// Creates the missing parts of the sample school.
async fn create_missing(db: &Db, hashing: &PasswordHashing) -> anyhow::Result<()> {
    let now = SystemClock.now();
    if Apps::new(db.clone()).find(APP).await?.is_none() {
        let mut registration = app::new(APP, Label::parse("Sample app")?, now);
        registration.redirect_uris = vec![RedirectUri::register(REDIRECT_URI)?];
        Apps::new(db.clone()).register(&registration).await?;
    }
    let accounts = Accounts::new(db.clone());
    let classes = Classes::new(db.clone(), Arc::new(OsRandom), 0);
    for (address, class) in
        [(TEACHER, Some((OWN_CLASS, "10A1"))), (OTHER_TEACHER, Some((OTHER_CLASS, "10A2"))), (STUDENT, None)]
    {
        let email = Email::parse(address)?;
        let account = accounts.find(email.clone()).await?;
        let user = if let Some(account) = account {
            account.id
        } else {
            let password = Password::parse(PASSWORD)?;
            accounts.add(hashing, &OsRandom, email, password, now).await?
        };
        if let Some((id, name)) = class
            && classes.find(id).await?.is_none()
        {
            let name = ClassName::parse(name)?;
            let class = NewClass { id: Some(id), ..NewClass::named(name) };
            classes.create_unlimited(class, user, now).await?;
        }
    }
    Ok(())
}

/// The requests to try the server, for a shell on this machine.
fn welcome(url: &str, public_url: &str, database: &DatabaseUrl) -> String {
    let elsewhere = if url == public_url {
        String::new()
    } else {
        format!("Its public URL:     {public_url} (a reverse proxy there can forward to this server)\n")
    };
    format!(
        r#"
The sample school:  {database}; delete it to start again
Read and try it:    {url}/docs
{elsewhere}
# Signs a user in: the response is a URL with a code, which is exchanged for an access token
sign_in() {{
  URL=$(curl -s {url}/api/v1/codes -H 'Content-Type: application/json' \
    -d '{{"appUuid":"{APP}","email":"'"$1"'","password":"{PASSWORD}","state":"state-from-client","redirectUri":"{REDIRECT_URI}","acceptPrivacyPolicy":false}}' \
    | tee /dev/stderr | sed 's/.*"url":"\([^"]*\)".*/\1/')
  CODE=$(echo "$URL" | sed 's/.*[?&]code=\([^&]*\).*/\1/')
  curl -s {url}/api/v1/tokens -H 'Content-Type: application/json' \
    -d '{{"client_id":"{APP}","service":"email","grant_type":"authorization_code","redirect_uri":"{REDIRECT_URI}","code":"'"$CODE"'","state":"state-from-client"}}' \
    | tee /dev/stderr | sed 's/.*"accessToken":"\([^"]*\)".*/\1/'
}}

# The teacher generates a join code
TEACHER_TOKEN=$(sign_in {TEACHER})
JOIN_CODE=$(curl -s --request POST {url}/classes/{OWN_CLASS}/join-code --header "Authorization: Bearer $TEACHER_TOKEN" \
  | tee /dev/stderr | sed 's/.*"joinCode":"\([^"]*\)".*/\1/')

# The student joins with it
STUDENT_TOKEN=$(sign_in {STUDENT})
curl -s --request POST {url}/classes/join/$JOIN_CODE --header "Authorization: Bearer $STUDENT_TOKEN"

# The teacher adds a student who has no e-mail address: the response has the user name and the password, once
curl -s {url}/classes/{OWN_CLASS}/students --header "Authorization: Bearer $TEACHER_TOKEN" \
  -H 'Content-Type: application/json' -d '{{"firstName":"Linh","lastName":"Nguyễn"}}'

# The teacher reads the roster
curl -s {url}/classes/{OWN_CLASS}/students --header "Authorization: Bearer $TEACHER_TOKEN"
"#
    )
}
