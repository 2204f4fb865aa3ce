//! The headers of responses are exactly those that the document describes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use homeroom::{classroom, entity::enrollment::Status, rate_limit::policies::AccountLimits};
use jsonschema::Draft;
use serde_json::{Value, json};

use super::{document, operations, resolved};
use crate::{
    middleware::{damage_database, disconnect_database},
    support::{
        APP, Answer, COLLEAGUE, Call, Kind, OTHER_CLASS, OWN_CLASS, PASSWORD, PROTECTION, STUDENT, School,
        TEACHER,
        accounts::{NEW_PASSWORD, NEW_USER, registration_body, secret_in},
        both, exchange_body, sign_in_body,
        signing_in::changed,
    },
};

const REVOKE: &str = "/api/v1/tokens/revoke";
const SESSIONS: &str = "/api/v1/users/me/sessions";
const USERS: &str = "/api/v1/users?language=en";
const ME: &str = "/api/v1/users/me";
const PASSWORD_OF_ME: &str = "/api/v1/users/me/password";

/// The operation with this `operationId`.
fn operation<'a>(document: &'a Value, id: &str) -> &'a Value {
    let operations = operations(document).into_iter().map(|(_, _, operation)| operation);
    let mut found = operations.filter(|operation| operation["operationId"] == id);
    found.next().unwrap_or_else(|| panic!("there is no operation {id}"))
}

/// Asserts that a response of the operation `id` has the documented headers of its status.
#[track_caller]
fn assert_documented(document: &Value, id: &str, answer: &Answer) {
    let context = format!("{id}: {} {:?}", answer.status, answer.headers);
    let response = &operation(document, id)["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{context}");
    let headers = response["headers"].as_object().into_iter().flatten();
    let documented: BTreeMap<String, Value> =
        headers.map(|(name, header)| (name.to_lowercase(), resolved(document, header))).collect();
    // The introduction documents these for every response.
    let is_in_introduction = |name: &str| {
        PROTECTION.iter().any(|(known, _)| *known == name)
            || name == "vary"
            || name.starts_with("access-control-")
    };
    let names = answer.headers.keys().filter(|name| {
        !["content-type", "content-length"].contains(&name.as_str()) && !is_in_introduction(name.as_str())
    });
    for name in names {
        assert!(documented.contains_key(name.as_str()), "{name} is not documented, {context}");
    }
    for (name, header) in &documented {
        let values: Vec<&str> =
            answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        let least = usize::from(header["required"] == true);
        assert!((least..=1).contains(&values.len()), "{name} is there {} times, {context}", values.len());
        assert!(values.iter().all(|value| admits(&header["schema"], value)), "{name}, {context}");
        assert!(admits(&header["schema"], header["schema"]["example"].as_str().unwrap()), "{name}");
    }
    // The document has this header as the key of the body, without parameters.
    let media_types = response["content"].as_object().into_iter().flatten();
    let media_types: Vec<&str> = media_types.map(|(media_type, _)| media_type.as_str()).collect();
    match answer.header("content-type").map(|media_type| media_type.split(';').next().unwrap()) {
        None => assert!(media_types.is_empty(), "{context}"),
        Some(media_type) => assert!(media_types.contains(&media_type), "{context}"),
    }
}

fn admits(schema: &Value, text: &str) -> bool {
    jsonschema::options().with_draft(Draft::Draft4).build(schema).unwrap().is_valid(&json!(text))
}

/// The documented statuses of every operation that were not seen yet.
struct Unseen {
    document: Value,
    origin: Option<&'static str>,
    statuses: BTreeSet<(String, String)>,
}

impl Unseen {
    fn new(origin: Option<&'static str>) -> Self {
        let document = document();
        let operations = operations(&document).into_iter().map(|(_, _, operation)| operation);
        let statuses = operations
            .flat_map(|operation| {
                let id = operation["operationId"].as_str().unwrap();
                let statuses = operation["responses"].as_object().unwrap().keys();
                statuses.map(|status| (id.to_owned(), status.clone()))
            })
            .collect();
        Self { document, origin, statuses }
    }

    /// Sends a request of the operation `id`, from a page of the origin if there is one, and compares the response with the
    /// document.
    async fn check(&mut self, id: &str, call: Call<'_>) -> Answer {
        let call = if let Some(origin) = self.origin { call.header("Origin", origin) } else { call };
        let answer = call.send().await;
        assert_documented(&self.document, id, &answer);
        self.statuses.remove(&(id.to_owned(), answer.status.to_string()));
        answer
    }
}

/// Causes every status of every operation, and compares each response with the document.
async fn compare_every_status(kind: Kind, origin: Option<&'static str>) {
    let mut unseen = Unseen::new(origin);
    compare_sign_in(kind, &mut unseen).await;
    compare_sessions(kind, &mut unseen).await;
    compare_accounts(kind, &mut unseen).await;
    compare_classes(kind, &mut unseen).await;
    compare_own_classes(kind, &mut unseen).await;
    compare_rosters(kind, &mut unseen).await;
    compare_student_accounts(kind, &mut unseen).await;
    compare_service(kind, &mut unseen).await;
    assert!(unseen.statuses.is_empty(), "nothing was answered with {:?}", unseen.statuses);
}

async fn compare_sign_in(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let sign_in = || school.post("/api/v1/codes").json(&sign_in_body(TEACHER));
    let exchange = |code: &str| school.post("/api/v1/tokens").json(&exchange_body(code));
    unseen.check("createCode", sign_in()).await;
    unseen.check("createCode", school.post("/api/v1/codes")).await;
    let code = school.code(TEACHER).await;
    unseen.check("createToken", exchange(&code)).await;
    unseen.check("createToken", exchange(&code)).await;
    for _ in 0..6 {
        let body = changed(sign_in_body("nobody@example.com"), json!({ "password": "wrong" }));
        unseen.check("createCode", school.post("/api/v1/codes").json(&body)).await;
    }
    let code = school.code(TEACHER).await;
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("createCode", sign_in()).await;
        unseen.check("createToken", exchange(&code)).await;
    }
}

/// A failure of the database.
enum Fail {
    Damage,
    Disconnect,
}

impl Fail {
    async fn apply(&self, school: &School) {
        match self {
            Self::Damage => damage_database(school).await,
            Self::Disconnect => disconnect_database(school).await,
        }
    }
}

async fn compare_sessions(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let token = school.token(TEACHER).await;
    let end = |id: &str| school.call("DELETE", &format!("{SESSIONS}/{id}"));
    let revoke = |body: &Value| school.post(REVOKE).json(body);
    let revocation = json!({ "client_id": APP, "token": token });
    unseen.check("getSessions", school.get(SESSIONS)).await;
    unseen.check("getSessions", school.get(SESSIONS).bearer(&token)).await;
    unseen.check("deleteSession", end("1")).await;
    unseen.check("deleteSession", end("1").bearer(&token)).await;
    school.token(TEACHER).await;
    let sessions = school.get(SESSIONS).bearer(&token).send().await.json();
    let others = sessions["items"].as_array().unwrap().iter().find(|session| session["isCurrent"] == false);
    let other = others.unwrap()["uuid"].as_str().unwrap();
    unseen.check("deleteSession", end(other).bearer(&token)).await;
    unseen.check("revokeToken", revoke(&json!({}))).await;
    unseen.check("revokeToken", revoke(&json!({ "client_id": APP, "token": "unknown" }))).await;

    let disabled = School::start(kind).await;
    let dead = disabled.token(TEACHER).await;
    disabled.register(|registration| registration.app.enabled = false).await;
    unseen.check("getSessions", disabled.get(SESSIONS).bearer(&dead)).await;
    unseen.check("deleteSession", disabled.call("DELETE", &format!("{SESSIONS}/1")).bearer(&dead)).await;

    // The state of the session is not cached any more, so that the bearer is looked up.
    school.clock.advance(TimeDelta::seconds(5));
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("getSessions", school.get(SESSIONS).bearer(&token)).await;
        unseen.check("deleteSession", end(other).bearer(&token)).await;
        unseen.check("revokeToken", revoke(&revocation)).await;
    }
}

async fn compare_accounts(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    school.open_registration().await;
    let register = |email: &str| school.post(USERS).json(&registration_body(email));
    let confirm = |secret: &str| {
        school.call("PUT", &format!("/api/v1/user-confirm-hashes/{secret}")).json(&json!({ "appUuid": APP }))
    };
    let ask = || school.call("PUT", USERS).json(&json!({ "appUuid": APP, "email": TEACHER }));
    let change = |current: &str| {
        school.call("PUT", PASSWORD_OF_ME).json(&json!({
            "currentPassword": current, "password": NEW_PASSWORD, "passwordConfirmation": NEW_PASSWORD,
        }))
    };
    let patch = |body: Value| school.call("PATCH", "/user/me").json(&body);

    unseen.check("createUser", register(NEW_USER)).await;
    unseen.check("createUser", school.post(USERS)).await;
    let secret = secret_in(&school.take_mail(NEW_USER, "confirm").await);
    unseen.check("confirmUser", confirm(&secret)).await;
    unseen.check("confirmUser", confirm(&secret)).await;
    unseen.check("updateUser", ask()).await;
    unseen.check("updateUser", school.call("PUT", USERS)).await;

    let token = school.token(TEACHER).await;
    unseen.check("getCurrentUser", school.get(ME)).await;
    unseen.check("getCurrentUser", school.get(ME).bearer(&token)).await;
    unseen.check("getCurrentUserProfile", school.get("/user/me")).await;
    unseen.check("getCurrentUserProfile", school.get("/user/me").bearer(&token)).await;
    unseen.check("updateCurrentUserProfile", patch(json!({}))).await;
    unseen.check("updateCurrentUserProfile", patch(json!({ "firstName": "" })).bearer(&token)).await;
    unseen.check("updateCurrentUserProfile", patch(json!({ "firstName": "Linh" })).bearer(&token)).await;
    unseen.check("changePassword", change(PASSWORD)).await;
    let colleague = school.token(COLLEAGUE).await;
    unseen.check("changePassword", change(PASSWORD).bearer(&colleague)).await;
    for _ in 0..6 {
        unseen.check("changePassword", change("wrong").bearer(&token)).await;
    }
    unseen.check("deleteCurrentUser", school.call("DELETE", ME)).await;
    let leaver = school.token(STUDENT).await;
    unseen.check("deleteCurrentUser", school.call("DELETE", ME).bearer(&leaver)).await;

    let disabled = School::start(kind).await;
    let dead = disabled.token(TEACHER).await;
    disabled.register(|registration| registration.app.enabled = false).await;
    unseen.check("getCurrentUser", disabled.get(ME).bearer(&dead)).await;
    unseen.check("deleteCurrentUser", disabled.call("DELETE", ME).bearer(&dead)).await;
    let body = json!({ "currentPassword": "a", "password": "b", "passwordConfirmation": "b" });
    unseen.check("changePassword", disabled.call("PUT", PASSWORD_OF_ME).bearer(&dead).json(&body)).await;

    let mut limited = School::start(kind).await;
    limited.restart(|parts| parts.identity.account_limits = AccountLimits { registrations: 1, resets: 1 });
    limited.open_registration().await;
    for _ in 0..2 {
        unseen.check("createUser", limited.post(USERS).json(&registration_body(NEW_USER))).await;
        let ask = limited.call("PUT", USERS).json(&json!({ "appUuid": APP, "email": TEACHER }));
        unseen.check("updateUser", ask).await;
    }

    school.take_mails().await;
    let secret = school.registration_link(json!({ "email": "late@example.com" })).await;
    // The state of the session is not cached any more, so that the bearer is looked up.
    school.clock.advance(TimeDelta::seconds(5));
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("createUser", register("other@example.com")).await;
        unseen.check("confirmUser", confirm(&secret)).await;
        unseen.check("updateUser", ask()).await;
        unseen.check("getCurrentUser", school.get(ME).bearer(&token)).await;
        unseen.check("getCurrentUserProfile", school.get("/user/me").bearer(&token)).await;
        unseen.check("updateCurrentUserProfile", patch(json!({})).bearer(&token)).await;
        unseen.check("changePassword", change(PASSWORD).bearer(&token)).await;
        unseen.check("deleteCurrentUser", school.call("DELETE", ME).bearer(&token)).await;
    }
}

async fn compare_classes(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let teacher = school.token(TEACHER).await;
    let colleague = school.token(COLLEAGUE).await;
    let student = school.token(STUDENT).await;
    let generate = |class: &str| school.post(&format!("/classes/{class}/join-code"));
    let read = |class: &str| school.get(&format!("/classes/{class}"));
    let join = |code: &str| school.post(&format!("/classes/join/{code}"));
    let (own, others) = (OWN_CLASS.to_string(), OTHER_CLASS.to_string());
    unseen.check("generateJoinCode", generate(&own)).await;
    unseen.check("generateJoinCode", generate(&own).bearer("x")).await;
    unseen.check("generateJoinCode", generate(&others).bearer(&teacher)).await;
    unseen.check("generateJoinCode", generate("10A1").bearer(&teacher)).await;
    let generated = unseen.check("generateJoinCode", generate(&own).bearer(&teacher)).await.json();
    let join_code = generated["data"]["joinCode"].as_str().unwrap();
    unseen.check("joinClassByCode", join(join_code)).await;
    unseen.check("joinClassByCode", join("1").bearer(&colleague)).await;
    unseen.check("joinClassByCode", join(join_code).bearer(&colleague)).await;
    unseen.check("joinClassByCode", join(join_code).bearer(&colleague)).await;
    unseen.check("getClassById", read(&own)).await;
    unseen.check("getClassById", read(&own).bearer(&teacher)).await;
    unseen.check("getClassById", read(&others).bearer(&teacher)).await;
    unseen.check("getClassById", read("10A1").bearer(&teacher)).await;
    for _ in 0..11 {
        unseen.check("joinClassByCode", join("1").bearer(&student)).await;
    }
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("generateJoinCode", generate(&own).bearer(&teacher)).await;
        unseen.check("joinClassByCode", join(join_code).bearer(&colleague)).await;
        unseen.check("getClassById", read(&own).bearer(&teacher)).await;
    }

    let limited = classroom::Settings { join_code_rate: 1, ..classroom::Settings::default() };
    let busy = School::start_with_classroom(kind, limited).await;
    let teacher = busy.token(TEACHER).await;
    for _ in 0..2 {
        let generate = busy.post(&format!("/classes/{own}/join-code")).bearer(&teacher);
        unseen.check("generateJoinCode", generate).await;
    }
}

async fn compare_own_classes(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let teacher = school.token(TEACHER).await;
    let own = format!("/classes/{OWN_CLASS}");
    let others = format!("/classes/{OTHER_CLASS}");
    let create = || school.post("/classes").json(&json!({ "name": "10B" }));
    let list = |query: &str| school.get(&format!("/classes{query}"));
    let change = |path: &str| school.call("PUT", path).json(&json!({ "name": "10B" }));
    let delete = |path: &str| school.call("DELETE", path);
    let code = |method: &str, path: &str| school.call(method, &format!("{path}/join-code"));

    unseen.check("createClass", create()).await;
    unseen.check("createClass", school.post("/classes").bearer(&teacher)).await;
    unseen.check("createClass", create().bearer(&teacher)).await;
    unseen.check("getClasses", list("")).await;
    unseen.check("getClasses", list("?page=0").bearer(&teacher)).await;
    unseen.check("getClasses", list("").bearer(&teacher)).await;
    for (method, id) in [("GET", "getJoinCode"), ("DELETE", "revokeJoinCode")] {
        school.generate_join_code(&teacher).await;
        unseen.check(id, code(method, &own)).await;
        unseen.check(id, code(method, &others).bearer(&teacher)).await;
        unseen.check(id, code(method, "/classes/10A1").bearer(&teacher)).await;
        unseen.check(id, code(method, &own).bearer(&teacher)).await;
    }
    unseen.check("getJoinCode", code("GET", &own).bearer(&teacher)).await;
    unseen.check("updateClass", school.call("PUT", &own).bearer(&teacher)).await;
    unseen.check("updateClass", change(&own)).await;
    unseen.check("updateClass", change(&others).bearer(&teacher)).await;
    unseen.check("updateClass", change("/classes/10A1").bearer(&teacher)).await;
    unseen.check("updateClass", change(&own).bearer(&teacher).header("If-Match", "\"7\"")).await;
    unseen.check("updateClass", change(&own).bearer(&teacher)).await;
    unseen.check("deleteClass", delete(&own)).await;
    unseen.check("deleteClass", delete(&own).bearer(&teacher).header("If-Match", "1".repeat(1025))).await;
    unseen.check("deleteClass", delete(&others).bearer(&teacher)).await;
    unseen.check("deleteClass", delete("/classes/10A1").bearer(&teacher)).await;
    unseen.check("deleteClass", delete(&own).bearer(&teacher).header("If-Match", "\"7\"")).await;
    unseen.check("deleteClass", delete(&own).bearer(&teacher)).await;

    let mut limited = School::start(kind).await;
    limited.restart(|parts| parts.classroom.classes_per_owner = 1);
    let token = limited.token(TEACHER).await;
    unseen
        .check("createClass", limited.post("/classes").bearer(&token).json(&json!({ "name": "10B" })))
        .await;

    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("createClass", create().bearer(&teacher)).await;
        unseen.check("getClasses", list("").bearer(&teacher)).await;
        unseen.check("updateClass", change(&own).bearer(&teacher)).await;
        unseen.check("deleteClass", delete(&own).bearer(&teacher)).await;
        unseen.check("getJoinCode", code("GET", &own).bearer(&teacher)).await;
        unseen.check("revokeJoinCode", code("DELETE", &own).bearer(&teacher)).await;
    }
}

async fn compare_rosters(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
    let (id, colleague) = (school.account(STUDENT).await.id, school.account(COLLEAGUE).await.id);
    let own = format!("/classes/{OWN_CLASS}");
    let others = format!("/classes/{OTHER_CLASS}");
    let list = |class: &str| school.get(&format!("{class}/students"));
    let remove = |class: &str| school.call("DELETE", &format!("{class}/students/{id}"));
    let admit = |class: &str| school.post(&format!("{class}/students/{id}/admit"));
    let leave = |class: &str| school.post(&format!("{class}/leave"));
    let update = |student: &str, status: &str| {
        school.call("PUT", &format!("/students/{student}")).json(&json!({ "status": status }))
    };
    school.enroll(OWN_CLASS, id, Status::Pending).await;
    school.enroll(OWN_CLASS, colleague, Status::Active).await;
    for class in [&own, &others, "/classes/10A1"] {
        unseen.check("getStudentsByClassId", list(class)).await;
        unseen.check("getStudentsByClassId", list(class).bearer(&teacher)).await;
    }
    unseen
        .check("getStudentsByClassId", school.get(&format!("{own}/students?page=0")).bearer(&teacher))
        .await;
    school.set_seats(OWN_CLASS, 1).await;
    unseen.check("admitStudent", admit(&own).bearer(&teacher)).await;
    school.set_seats(OWN_CLASS, 2).await;
    for class in [&own, &others, "/classes/10A1"] {
        unseen.check("admitStudent", admit(class)).await;
        unseen.check("admitStudent", admit(class).bearer(&teacher)).await;
    }
    for class in [&own, &others, "/classes/10A1"] {
        unseen.check("leaveClass", leave(class)).await;
        unseen.check("leaveClass", leave(class).bearer(&student)).await;
    }
    let token = school.token(COLLEAGUE).await;
    school.set_status(OWN_CLASS, id, Status::Active).await;
    for class in [&own, &others, "/classes/10A1"] {
        unseen.check("removeStudentFromClass", remove(class)).await;
        unseen.check("removeStudentFromClass", remove(class).bearer(&teacher)).await;
    }
    let text = id.to_string();
    unseen.check("updateStudent", update(&text, "dropped")).await;
    unseen.check("updateStudent", update(&text, "pending").bearer(&teacher)).await;
    unseen.check("updateStudent", update(&text, "dropped").bearer(&teacher)).await;
    unseen.check("updateStudent", update(&text, "dropped").bearer(&token)).await;
    school.set_seats(OWN_CLASS, 1).await;
    unseen.check("updateStudent", update(&text, "active").bearer(&teacher)).await;
    let name = school.call("PUT", &format!("/students/{text}")).json(&json!({ "firstName": "Minh" }));
    unseen.check("updateStudent", name.bearer(&teacher)).await;
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        unseen.check("getStudentsByClassId", list(&own).bearer(&teacher)).await;
        unseen.check("admitStudent", admit(&own).bearer(&teacher)).await;
        unseen.check("leaveClass", leave(&own).bearer(&student)).await;
        unseen.check("removeStudentFromClass", remove(&own).bearer(&teacher)).await;
        unseen.check("updateStudent", update(&text, "dropped").bearer(&teacher)).await;
    }
}

async fn compare_student_accounts(kind: Kind, unseen: &mut Unseen) {
    const IDS: [&str; 3] = ["createAndEnrollStudent", "submitImport", "bulkCreateStudentAccounts"];
    let mut school = School::start(kind).await;
    let teacher = school.token(TEACHER).await;
    let (own, others) = (OWN_CLASS.to_string(), OTHER_CLASS.to_string());
    let nobody = "44444444-4444-4444-4444-444444444444";
    for (id, class) in
        IDS.into_iter().flat_map(|id| [&own, &others, "10A1"].into_iter().map(move |class| (id, class)))
    {
        unseen.check(id, student_account(&school, id, class)).await;
        unseen.check(id, student_account(&school, id, class).bearer(&teacher)).await;
    }
    let body = json!({ "firstName": "Linh", "lastName": "Nguyễn" });
    let created = school.post(&format!("/classes/{own}/students")).bearer(&teacher).json(&body).send().await;
    let student = created.json()["data"]["id"].as_str().unwrap().to_owned();
    let path = |class: &str, student: &str| format!("/classes/{class}/students/{student}/reset-password");
    unseen.check("resetStudentPassword", school.post(&path(&own, &student))).await;
    for (class, student) in [(&own, student.as_str()), (&others, &student), (&own, nobody)] {
        unseen.check("resetStudentPassword", school.post(&path(class, student)).bearer(&teacher)).await;
    }
    let empty = |tail: &str| school.post(&format!("/classes/{own}/students{tail}")).bearer(&teacher);
    unseen.check("createAndEnrollStudent", empty("").json(&json!({}))).await;
    unseen.check("submitImport", empty("/import").file("")).await;
    unseen.check("bulkCreateStudentAccounts", empty("/bulk-create-accounts").json(&json!({}))).await;
    let full = school.call("PUT", &format!("/classes/{own}")).bearer(&teacher);
    assert_eq!(full.json(&json!({ "maxStudents": 1 })).send().await.status, 200);
    for id in &IDS[..2] {
        unseen.check(id, student_account(&school, id, &own).bearer(&teacher)).await;
    }
    school.restart(|parts| {
        parts.school.account_rate = 1;
        parts.school.import_rate = 1;
    });
    for id in IDS {
        unseen.check(id, student_account(&school, id, &own).bearer(&teacher)).await;
    }
    unseen.check("resetStudentPassword", school.post(&path(&own, &student)).bearer(&teacher)).await;
    for fail in [Fail::Damage, Fail::Disconnect] {
        fail.apply(&school).await;
        for id in IDS {
            unseen.check(id, student_account(&school, id, &own).bearer(&teacher)).await;
        }
        unseen.check("resetStudentPassword", school.post(&path(&own, &student)).bearer(&teacher)).await;
    }
}

/// A valid request of an operation on the students of a class.
fn student_account<'s>(school: &'s School, id: &str, class: &str) -> Call<'s> {
    let post = |tail: &str| school.post(&format!("/classes/{class}/students{tail}"));
    match id {
        "createAndEnrollStudent" => post("").json(&json!({ "firstName": "Linh", "lastName": "Nguyễn" })),
        "submitImport" => post("/import").file("firstName,lastName\nLinh,Nguyễn\n"),
        _ => post("/bulk-create-accounts").json(&json!({ "studentIds": ["1"] })),
    }
}

async fn compare_service(kind: Kind, unseen: &mut Unseen) {
    let school = School::start(kind).await;
    let id_of = |document: &Value, path: &str| {
        document["paths"][path]["get"]["operationId"].as_str().unwrap().to_owned()
    };
    for path in ["/.well-known/jwks.json", "/health/live", "/health/ready"] {
        unseen.check(&id_of(&unseen.document, path), school.get(path)).await;
    }
    for path in ["/", "/openapi.yaml", "/openapi.json", "/docs"] {
        for accept in ["*/*", "text/html"] {
            let id = id_of(&unseen.document, path);
            let get = || school.get(path).header("Accept", accept);
            let text = unseen.check(&id, get()).await;
            unseen.check(&id, get().header("If-None-Match", text.header("etag").unwrap())).await;
        }
    }
    disconnect_database(&school).await;
    let ready = id_of(&unseen.document, "/health/ready");
    unseen.check(&ready, school.get("/health/ready")).await;
}

both! {
    async fn documented_status_has_exactly_the_documented_headers(kind: Kind) {
        compare_every_status(kind, None).await;
        compare_every_status(kind, Some("https://app.example.com")).await;
    }
}

#[test]
fn header_of_every_response_is_documented_once() {
    let document = document();
    let introduction =
        document["info"]["description"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, value) in PROTECTION {
        let described = introduction.to_lowercase();
        assert!(described.contains(&format!("`{name}")), "{name}");
        // The introduction describes the value in words.
        assert!(
            name == "content-security-policy" || introduction.contains(&format!(": {value}`")),
            "{name}: {value}"
        );
    }
    for phrase in
        ["`Vary: Origin`", "`Access-Control-Allow-Origin`", "`Access-Control-Expose-Headers: Retry-After"]
    {
        assert!(introduction.contains(phrase), "{phrase}");
    }
}
