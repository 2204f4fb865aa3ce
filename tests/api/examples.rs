//! The examples of the document: a server with the sample school answers each request example with its response example.

use std::sync::LazyLock;

use homeroom::{
    clock::Clock,
    domain::{id::EnrollmentId, sort_key::SortKey},
    entity::{
        enrollment::{self, Origin, Status},
        user::{self, PasswordState},
    },
};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use crate::{
    contract::document,
    support::{
        Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER,
        accounts::{NEW_PASSWORD, secret_in},
        both,
        signing_in::OTHER_APP,
    },
};

/// The random bytes of the code in the examples, SHA-256 of nothing.
const CODE: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];
/// The random bytes of the join code in the examples, `7KQ2M9XD`.
const JOIN_CODE: [u8; 8] = [7, 17, 21, 2, 18, 9, 27, 12];

/// The properties whose values differ between runs.
const VOLATILE: [&str; 10] = [
    "id",
    "uuid",
    "userId",
    "studentId",
    "ownerId",
    "accessToken",
    "idToken",
    "refreshToken",
    "password",
    "temporaryPassword",
];

fn operation(path: &str, method: &str) -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
    &DOCUMENT["paths"][path][method]
}

fn request(path: &str) -> &'static Value {
    &operation(path, "post")["requestBody"]["content"]["application/json"]["example"]
}

/// Asserts that a response is the example of its status, except for volatile values.
#[track_caller]
fn assert_is_example(answer: &Answer, path: &str, method: &str) {
    let response = &operation(path, method)["responses"][answer.status.to_string()];
    let mut example = response["content"]["application/json"]["example"].clone();
    let mut body = answer.json();
    blur(&mut example);
    blur(&mut body);
    assert_eq!(body, example, "{method} {path} {}", answer.status);
}

/// Replaces volatile values by a placeholder.
fn blur(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blur),
        Value::Object(members) => {
            for (name, member) in members {
                if VOLATILE.contains(&name.as_str()) && member.is_string() {
                    *member = "volatile".into();
                }
                blur(member);
            }
        }
        _ => {}
    }
}

both! {
    async fn request_example_gets_its_response_example(kind: Kind) {
        let school = School::start(kind).await;
        school.random.set_next(&CODE);
        let code = school.post("/api/v1/codes").json(request("/api/v1/codes")).send().await;
        assert_is_example(&code, "/api/v1/codes", "post");
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let exchange = school.post("/api/v1/tokens").json(request("/api/v1/tokens")).header("User-Agent", browser);
        let tokens = exchange.send().await;
        assert_eq!(tokens.status, 201);
        assert_is_example(&tokens, "/api/v1/tokens", "post");

        let token = tokens.json()["items"][0]["accessToken"].as_str().unwrap().to_owned();
        school.random.set_next(&JOIN_CODE);
        let generated = school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&token).send().await;
        assert_is_example(&generated, "/classes/{classId}/join-code", "post");
        let class = school.get(&format!("/classes/{OWN_CLASS}")).bearer(&token).send().await;
        assert_is_example(&class, "/classes/{classId}", "get");
        let code = school.get(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&token).send().await;
        assert_is_example(&code, "/classes/{classId}/join-code", "get");
        let list = school.get("/classes").bearer(&token).send().await;
        assert_is_example(&list, "/classes", "get");
        let student = school.token(crate::support::STUDENT).await;
        let joined = school.join(&student, "7KQ2M9XD").await;
        assert_eq!(joined.status, 201);
        assert_is_example(&joined, "/classes/join/{joinCode}", "post");

        let sessions = school.get("/api/v1/users/me/sessions").bearer(&token).send().await;
        assert_is_example(&sessions, "/api/v1/users/me/sessions", "get");
        let session = sessions.json()["items"][0]["uuid"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/users/me/sessions/{session}");
        let ended = school.call("DELETE", &path).bearer(&token).send().await;
        assert_is_example(&ended, "/api/v1/users/me/sessions/{sessionId}", "delete");
        let revoke = "/api/v1/tokens/revoke";
        assert_is_example(&school.post(revoke).json(request(revoke)).send().await, revoke, "post");
    }

    async fn request_example_about_classes_gets_its_response_example(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        assert_is_example(&school.get("/classes").send().await, "/classes", "get");
        assert_is_example(&school.post("/classes").json(request("/classes")).send().await, "/classes", "post");
        let created = school.post("/classes").bearer(&token).json(request("/classes")).send().await;
        assert_eq!(created.status, 201, "{}", created.text);
        assert_is_example(&created, "/classes", "post");
        let unnamed = school.post("/classes").bearer(&token).json(&json!({})).send().await;
        assert_is_example(&unnamed, "/classes", "post");

        let page_0 = school.get("/classes?page=0").bearer(&token).send().await;
        assert_is_example(&page_0, "/classes", "get");

        let (template, code) = ("/classes/{classId}", "/classes/{classId}/join-code");
        let (own, others) = (format!("/classes/{OWN_CLASS}"), format!("/classes/{OTHER_CLASS}"));
        let example = &operation(template, "put")["requestBody"]["content"]["application/json"]["example"];
        let change = |path: &str| school.call("PUT", path).bearer(&token).json(example);
        assert_is_example(&change("/classes/10A1").send().await, template, "put");
        assert_is_example(&change(&others).send().await, template, "put");
        assert_is_example(&change(&own).header("If-Match", "\"7\"").send().await, template, "put");
        let empty = school.call("PUT", &own).bearer(&token).json(&json!({ "name": "" }));
        assert_is_example(&empty.send().await, template, "put");
        let without = school.get(&format!("{own}/join-code")).bearer(&token).send().await;
        assert_is_example(&without, code, "get");
        school.random.set_next(&JOIN_CODE);
        school.generate_join_code(&token).await;
        let changed = change(&own).send().await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_is_example(&changed, template, "put");
        for (method, path, template) in [
            ("GET", format!("{others}/join-code"), code),
            ("DELETE", format!("{others}/join-code"), code),
            ("DELETE", others, template),
            ("DELETE", "/classes/10A1".to_owned(), template),
        ] {
            let answer = school.call(method, &path).bearer(&token).send().await;
            assert_is_example(&answer, template, &method.to_lowercase());
        }
        let long = school.call("DELETE", &own).bearer(&token).header("If-Match", "1".repeat(1025));
        assert_is_example(&long.send().await, template, "delete");
        let stale = school.call("DELETE", &own).bearer(&token).header("If-Match", "\"7\"");
        assert_is_example(&stale.send().await, template, "delete");
    }

    async fn request_example_about_students_gets_its_response_example(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        school.change_account(STUDENT, |account| account.school_account = true).await;
        let id = school.account(STUDENT).await.id;
        let (list, one) = ("/classes/{classId}/students", "/classes/{classId}/students/{studentId}");
        let (admit, leave) = ("/classes/{classId}/students/{studentId}/admit", "/classes/{classId}/leave");
        let (update, nobody) = ("/students/{studentId}", "44444444-4444-4444-4444-444444444444");
        let send = async |method: &str, template: &str, class: &str, student: &str, token: Option<&str>| {
            let call = school.call(method, &template.replace("{classId}", class).replace("{studentId}", student));
            let call = if let Some(token) = token { call.bearer(token) } else { call };
            let body = operation(template, &method.to_lowercase()).get("requestBody");
            let body = body.map(|body| &body["content"]["application/json"]["example"]);
            let answer = if let Some(body) = body { call.json(body).send().await } else { call.send().await };
            if answer.status != 204 {
                assert_is_example(&answer, template, &method.to_lowercase());
            }
            answer.status
        };
        let (own, others, id) = (OWN_CLASS.to_string(), OTHER_CLASS.to_string(), id.to_string());
        for (method, template) in
            [("GET", list), ("DELETE", one), ("POST", admit), ("POST", leave), ("PUT", update)]
        {
            assert_eq!(send(method, template, &own, &id, None).await, 401);
        }
        for (method, template) in [("DELETE", one), ("POST", admit), ("PUT", update)] {
            assert_eq!(send(method, template, &own, nobody, Some(&teacher)).await, 404);
        }
        for (method, template) in [("GET", list), ("DELETE", one), ("POST", admit), ("POST", leave)] {
            assert_eq!(send(method, template, &others, &id, Some(&teacher)).await, 403);
        }
        for (method, template) in [("GET", list), ("POST", leave)] {
            assert_eq!(send(method, template, nobody, &id, Some(&teacher)).await, 404);
        }
        let page_0 = school.get(&format!("/classes/{own}/students?page=0")).bearer(&teacher).send().await;
        assert_is_example(&page_0, list, "get");
        school.enroll(OWN_CLASS, school.account(STUDENT).await.id, enrollment::Status::Active).await;
        let unnamed = school.call("PUT", &format!("/students/{id}")).bearer(&teacher);
        assert_is_example(&unnamed.json(&json!({ "firstName": "" })).send().await, update, "put");
        assert_eq!(send("PUT", update, &own, &id, Some(&teacher)).await, 200);
        assert_eq!(send("GET", list, &own, &id, Some(&teacher)).await, 200);
        assert_eq!(send("POST", admit, &own, &id, Some(&teacher)).await, 200);
        school.change_account(STUDENT, |account| account.school_account = false).await;
        assert_eq!(send("PUT", update, &own, &id, Some(&teacher)).await, 403);
        school.set_seats(OWN_CLASS, 1).await;
        let id_of_student = school.account(STUDENT).await.id;
        school.set_status(OWN_CLASS, id_of_student, enrollment::Status::Pending).await;
        let colleague = school.account(COLLEAGUE).await.id;
        school.enroll(OWN_CLASS, colleague, enrollment::Status::Active).await;
        assert_eq!(send("POST", admit, &own, &id, Some(&teacher)).await, 409);
        assert_eq!(send("POST", leave, &own, &id, Some(&student)).await, 204);
        let full = school.call("PUT", &format!("/students/{id}")).bearer(&teacher);
        assert_is_example(&full.json(&json!({ "status": "active" })).send().await, update, "put");
    }

    async fn request_example_about_student_accounts_gets_its_response_example(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let (create, import) = ("/classes/{classId}/students", "/classes/{classId}/students/import");
        let bulk = "/classes/{classId}/students/bulk-create-accounts";
        let reset = "/classes/{classId}/students/{studentId}/reset-password";
        let nobody = "44444444-4444-4444-4444-444444444444";
        let own = OWN_CLASS.to_string();
        let send = async |template: &str, class: &str, student: &str, token: Option<&str>| {
            let call = school.post(&template.replace("{classId}", class).replace("{studentId}", student));
            let call = if let Some(token) = token { call.bearer(token) } else { call };
            let call = match template {
                _ if template == import => call.file("firstName,lastName\nLinh,Nguyễn\nMax,Groß\n"),
                _ if template == reset => call,
                _ => call.json(request(template)),
            };
            let answer = call.send().await;
            assert_is_example(&answer, template, "post");
            (answer.status, answer.json()["data"].take())
        };
        let (status, student) = send(create, &own, "", Some(&teacher)).await;
        assert_eq!(status, 200);
        let id = student["id"].as_str().unwrap().to_owned();
        assert_eq!(send(reset, &own, &id, Some(&teacher)).await.0, 200);
        for template in [create, import, bulk, reset] {
            assert_eq!(send(template, &own, &id, None).await.0, 401);
            assert_eq!(send(template, &OTHER_CLASS.to_string(), &id, Some(&teacher)).await.0, 403);
        }
        for template in [create, import, bulk] {
            assert_eq!(send(template, nobody, "", Some(&teacher)).await.0, 404);
        }
        assert_eq!(send(reset, &own, nobody, Some(&teacher)).await.0, 404);
        let post = |template: &str| school.post(&template.replace("{classId}", &own)).bearer(&teacher);
        assert_is_example(&post(create).json(&json!({})).send().await, create, "post");
        assert_is_example(&post(bulk).json(&json!({})).send().await, bulk, "post");
        assert_is_example(&post(import).file("firstName,lastName\n,Nguyễn\n").send().await, import, "post");

        // The student of the request example is one whom an import has made.
        let mut imported = school.account("linh.nguyen@students.example").await;
        user::Entity::delete_by_id(imported.id).exec(school.db.writer()).await.unwrap();
        imported.id = request(bulk)["studentIds"][0].as_str().unwrap().parse().unwrap();
        imported.password_state = PasswordState::None;
        user::Entity::create(school.db.writer(), imported.clone()).await.unwrap();
        let now = school.clock.now();
        let enrollment = enrollment::Model {
            id: EnrollmentId::from_u128(1),
            class_id: OWN_CLASS,
            student_id: imported.id,
            enrolled_at: now.date_naive(),
            status: Status::Active,
            created_at: now,
            updated_at: now,
            origin: Origin::Roster,
            student_key: SortKey::of(&["Nguyễn"]),
            sourced_id: None,
        };
        let insert = enrollment::Entity::insert(enrollment.into_active_model());
        insert.exec_without_returning(school.db.writer()).await.unwrap();
        assert_eq!(send(bulk, &own, "", Some(&teacher)).await.0, 200);

        user::Entity::delete_by_id(imported.id).exec(school.db.writer()).await.unwrap();
        assert_eq!(send(import, &own, "", Some(&teacher)).await.0, 200);
        let class = school.call("PUT", &format!("/classes/{own}")).bearer(&teacher);
        assert_eq!(class.json(&json!({ "maxStudents": 1 })).send().await.status, 200);
        for template in [create, import] {
            assert_eq!(send(template, &own, "", Some(&teacher)).await.0, 409);
        }
    }

    async fn request_example_about_accounts_gets_its_response_example(kind: Kind) {
        let school = School::start(kind).await;
        school.open_registration().await;
        let users = "/api/v1/users";
        let example_of = |method: &str, path: &str| &operation(path, method)["requestBody"]["content"]["application/json"]["example"];
        let send = async |method: &str, path: &str, token: Option<&str>, body: Option<&Value>| {
            let call = school.call(method, path);
            let call = if let Some(token) = token { call.bearer(token) } else { call };
            let call = if let Some(body) = body { call.json(body) } else { call };
            call.send().await
        };
        let language = "/api/v1/users?language=en";
        let registered = send("POST", language, None, Some(example_of("post", users))).await;
        assert_is_example(&registered, users, "post");
        let secret = secret_in(&school.take_mail("new.user@example.com", "confirm").await);
        let template = "/api/v1/user-confirm-hashes/{hash}";
        let path = format!("/api/v1/user-confirm-hashes/{secret}");
        let confirmed = send("PUT", &path, None, Some(example_of("put", template))).await;
        assert_is_example(&confirmed, template, "put");
        assert_is_example(&send("PUT", &path, None, Some(example_of("put", template))).await, template, "put");
        let asked = send("PUT", language, None, Some(example_of("put", users))).await;
        assert_is_example(&asked, users, "put");

        let token = school.token(TEACHER).await;
        let (me, profile, password) = ("/api/v1/users/me", "/user/me", "/api/v1/users/me/password");
        assert_is_example(&send("GET", me, Some(&token), None).await, me, "get");
        assert_is_example(&send("GET", profile, Some(&token), None).await, profile, "get");
        let example = example_of("patch", profile);
        assert_is_example(&send("PATCH", profile, Some(&token), Some(example)).await, profile, "patch");
        let wrong = json!({ "currentPassword": "wrong", "password": NEW_PASSWORD, "passwordConfirmation": NEW_PASSWORD });
        let colleague = school.token(COLLEAGUE).await;
        assert_is_example(&send("PUT", password, Some(&colleague), Some(&wrong)).await, password, "put");
        let example = example_of("put", password);
        assert_is_example(&send("PUT", password, Some(&colleague), Some(example)).await, password, "put");
        for (method, path) in [("GET", me), ("DELETE", me), ("GET", profile)] {
            assert_is_example(&send(method, path, None, None).await, path, &method.to_lowercase());
        }
        let nothing = json!({ "firstName": null, "lastName": null });
        assert_eq!(send("PATCH", profile, Some(&token), Some(&nothing)).await.status, 200);
        assert_is_example(&send("DELETE", me, Some(&token), None).await, me, "delete");
    }

    async fn error_that_a_client_can_cause_gets_its_example(kind: Kind) {
        let school = School::start(kind).await;
        let mut wrong = request("/api/v1/codes").clone();
        wrong["password"] = json!("wrong");
        assert_is_example(&school.post("/api/v1/codes").json(&wrong).send().await, "/api/v1/codes", "post");
        let unknown = school.post("/api/v1/tokens").json(request("/api/v1/tokens")).send().await;
        assert_is_example(&unknown, "/api/v1/tokens", "post");
        school.add_other_app().await;
        let mut others = request("/api/v1/tokens/revoke").clone();
        others["client_id"] = json!(OTHER_APP);
        others["token"] = json!(school.token(TEACHER).await);
        let others = school.post("/api/v1/tokens/revoke").json(&others).send().await;
        assert_is_example(&others, "/api/v1/tokens/revoke", "post");

        let teacher = school.token(TEACHER).await;
        let colleague = school.token(COLLEAGUE).await;
        let code = school.generate_join_code(&teacher).await;
        let nobodys = "44444444-4444-4444-4444-444444444444";
        let generate = "/classes/{classId}/join-code";
        let session = "/api/v1/users/me/sessions/{sessionId}";
        for (path, method, template, token) in [
            (format!("/classes/{OWN_CLASS}/join-code"), "POST", generate, None),
            (format!("/classes/{OTHER_CLASS}/join-code"), "POST", generate, Some(&teacher)),
            (format!("/classes/{nobodys}/join-code"), "POST", generate, Some(&teacher)),
            (format!("/classes/{OWN_CLASS}"), "GET", "/classes/{classId}", None),
            (format!("/classes/{OTHER_CLASS}"), "GET", "/classes/{classId}", Some(&teacher)),
            (format!("/classes/{nobodys}"), "GET", "/classes/{classId}", Some(&teacher)),
            (format!("/classes/join/{}", code.expose()), "POST", "/classes/join/{joinCode}", None),
            ("/api/v1/users/me/sessions".to_owned(), "GET", "/api/v1/users/me/sessions", None),
            (format!("/api/v1/users/me/sessions/{nobodys}"), "DELETE", session, None),
            (format!("/api/v1/users/me/sessions/{nobodys}"), "DELETE", session, Some(&teacher)),
            ("/classes/join/ZZZZZZZZ".to_owned(), "POST", "/classes/join/{joinCode}", Some(&teacher)),
        ] {
            let call = school.call(method, &path);
            let call = if let Some(token) = token { call.bearer(token) } else { call };
            assert_is_example(&call.send().await, template, &method.to_lowercase());
        }
        assert_eq!(school.join(&colleague, code.expose()).await.status, 201);
        assert_is_example(&school.join(&colleague, code.expose()).await, "/classes/join/{joinCode}", "post");
    }
}
