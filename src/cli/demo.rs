//! `homeroom demo`

use std::{error::Error as StdError, sync::Arc};

use sea_orm::{ConnectionTrait, DbErr};

use super::{
    Failure, app, closing, connect, location, migrate, say,
    serve::{listen, prepare},
};
use crate::{
    classroom::classes::Classes,
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
    random::OsRandom,
};

/// The app of the documented request.
const APP: AppId = AppId::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);
/// The class of the teacher who signs in with the documented request.
const OWN_CLASS: ClassId = ClassId::from_u128(0x2222_2222_2222_2222_2222_2222_2222_2222);
/// A class of somebody else's.
const OTHER_CLASS: ClassId = ClassId::from_u128(0x3333_3333_3333_3333_3333_3333_3333_3333);
const REDIRECT_URI: &str = "https://app.example.com/callback";
const TEACHER: &str = "user@example.com";
const STUDENT: &str = "student@example.com";
const OTHER_TEACHER: &str = "colleague@example.com";
const ACCOUNTS: [&str; 3] = [TEACHER, OTHER_TEACHER, STUDENT];
const PASSWORD: &str = "VeryStrongPass123!";

pub async fn run(config: &Config) -> Result<(), Failure> {
    let hashing = prepare(config)?;
    if !config.listen.ip().to_canonical().is_loopback() {
        tracing::warn!(
            listen = %config.listen,
            "the passwords of the sample school are public: everybody who reaches this address can sign in"
        );
    }
    let db = connect(&config.data, config.data.database_connections).await?;
    // Boxed to keep the futures of the commands small.
    let work = Box::pin(async {
        refuse_others(&db, &config.data).await?;
        migrate(&db).await?;
        let hashing = hashing.join()?;
        found(&db, &hashing).await?;
        let location = location(&config.data)?;
        listen(config, db.clone(), hashing, |url, public_url| say(&welcome(url, public_url, &location))).await
    });
    closing(&db, work).await
}

/// Accounts of a real school must not share a database with the sample school, whose password is public.
async fn refuse_others(db: &Db, data: &Data) -> Result<(), Failure> {
    let failed = |error: DbErr| Failure::of("looking for accounts", &error);
    if db.migration_status().await.map_err(failed)?.applied > 0
        && user::Entity::any_but(db.read(), &ACCOUNTS).await.map_err(failed)?
    {
        return Err(Failure::Usage(format!(
            "the database ({}) has other accounts than those of the sample school, whose password is public; \
             name another one with --data-dir or --database-url",
            location(data)?
        )));
    }
    Ok(())
}

/// Which accounts of the sample school everybody can sign in to: they are enabled, and have the public password.
pub async fn open_accounts(
    db: &impl ConnectionTrait,
    hashing: &PasswordHashing,
) -> Result<Vec<&'static str>, Failure> {
    let failed = |error: &(dyn StdError + 'static)| Failure::of("looking for the sample school", error);
    let mut open = Vec::new();
    for address in ACCOUNTS {
        let email = Email::parse(address).map_err(|error| failed(&error))?;
        let account = user::Entity::find_by_address(db, email).await.map_err(|error| failed(&error))?;
        let Some(account) = account.filter(user::Model::may_sign_in) else { continue };
        let password = Password::parse(PASSWORD).map_err(|error| failed(&error))?;
        let verified = hashing.verify(Network::of(None), Some(account.password_hash), password).await;
        if verified.map_err(|error| failed(&error))? {
            open.push(address);
        }
    }
    Ok(open)
}

/// Makes what the sample school lacks: all of it the first time, nothing the next.
async fn found(db: &Db, hashing: &PasswordHashing) -> Result<(), Failure> {
    let failed = |error: &(dyn StdError + 'static)| Failure::of("making the sample school", error);
    let now = SystemClock.now();
    if Apps::new(db.clone()).find(APP).await.map_err(|error| failed(&error))?.is_none() {
        let mut registration =
            app::new(APP, Label::parse("Sample app").map_err(|error| failed(&error))?, now);
        registration.redirect_uris =
            vec![RedirectUri::register(REDIRECT_URI).map_err(|error| failed(&error))?];
        Apps::new(db.clone()).register(&registration).await.map_err(|error| failed(&error))?;
    }
    let accounts = Accounts::new(db.clone());
    let classes = Classes::new(db.clone(), Arc::new(OsRandom));
    for (address, class) in
        [(TEACHER, Some((OWN_CLASS, "10A1"))), (OTHER_TEACHER, Some((OTHER_CLASS, "10A2"))), (STUDENT, None)]
    {
        let email = Email::parse(address).map_err(|error| failed(&error))?;
        let account = accounts.find(email.clone()).await.map_err(|error| failed(&error))?;
        let user = if let Some(account) = account {
            account.id
        } else {
            let password = Password::parse(PASSWORD).map_err(|error| failed(&error))?;
            let added = accounts.add(hashing, &OsRandom, email, password, now).await;
            added.map_err(|error| failed(&error))?
        };
        if let Some((id, name)) = class
            && classes.find(id).await.map_err(|error| failed(&error))?.is_none()
        {
            let name = ClassName::parse(name).map_err(|error| failed(&error))?;
            classes.create(Some(id), user, name, now).await.map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

/// The story, as it can be pasted into a shell on this machine.
fn welcome(url: &str, public_url: &str, location: &DatabaseUrl) -> String {
    let elsewhere = if url == public_url {
        String::new()
    } else {
        format!("Its public URL:     {public_url} (a reverse proxy there can forward to this server)\n")
    };
    format!(
        r#"
The sample school:  {location}; delete it to begin anew
Read and try it:    {url}/docs
{elsewhere}
# Signs somebody in: the answer is a URL with a code in it, and the code becomes an access token
sign_in() {{
  URL=$(curl -s {url}/api/v1/codes -H 'Content-Type: application/json' \
    -d '{{"appUuid":"{APP}","email":"'"$1"'","password":"{PASSWORD}","state":"state-from-client","redirectUri":"{REDIRECT_URI}","acceptPrivacyPolicy":false}}' \
    | tee /dev/stderr | sed 's/.*"url":"\([^"]*\)".*/\1/')
  CODE=$(echo "$URL" | sed 's/.*[?&]code=\([^&]*\).*/\1/')
  curl -s {url}/api/v1/tokens -H 'Content-Type: application/json' \
    -d '{{"client_id":"{APP}","service":"email","grant_type":"authorization_code","redirect_uri":"{REDIRECT_URI}","code":"'"$CODE"'","state":"state-from-client"}}' \
    | tee /dev/stderr | sed 's/.*"accessToken":"\([^"]*\)".*/\1/'
}}

# The teacher draws a join code
ACCESS_TOKEN=$(sign_in {TEACHER})
JOIN_CODE=$(curl -s --request POST {url}/classes/{OWN_CLASS}/join-code --header "Authorization: Bearer $ACCESS_TOKEN" \
  | tee /dev/stderr | sed 's/.*"joinCode":"\([^"]*\)".*/\1/')

# The student joins with it
ACCESS_TOKEN=$(sign_in {STUDENT})
curl -s --request POST {url}/classes/join/$JOIN_CODE --header "Authorization: Bearer $ACCESS_TOKEN"
"#
    )
}
