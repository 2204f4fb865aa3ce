//! Files of students that a teacher imports.

use std::{collections::BTreeSet, num::NonZeroUsize, time::Duration};

use homeroom::{
    domain::{network::Network, password::Password},
    entity::{
        audit_event::{self, Action},
        enrollment, user,
    },
    identity::password_hashing::{self, Cost},
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    Answer, COLLEAGUE, Kind, OTHER_CLASS, OWN_CLASS, School, TEACHER, assert_failure, both,
};

const NAME: &str = "must have 1 to 100 characters, not only blanks, and no control character";
const FORMULA: &str = "must not begin with =, +, -, @, a tab or a line break";
const EMAIL: &str = "must be an e-mail address, local@domain, of 3 to 254 characters";
const PHONE: &str = "must be a phone number: 3 to 32 digits, blanks and + - / ( ) .";
const QUOTE: &str = "has a quote; a cell with quotes must be in quotes, and its quotes doubled";
const SAVE: &str = "save the file as UTF-8";

fn path() -> String {
    format!("/classes/{OWN_CLASS}/students/import")
}

async fn import(school: &School, token: &str, file: impl AsRef<[u8]>) -> Answer {
    school.post(&path()).bearer(token).file(file).send().await
}

/// The number of accounts, enrollments and events.
async fn rows(school: &School) -> [u64; 3] {
    let db = school.db.writer();
    [
        user::Entity::find().count(db).await.unwrap(),
        enrollment::Entity::find().count(db).await.unwrap(),
        audit_event::Entity::find().count(db).await.unwrap(),
    ]
}

/// A school whose passwords are hashed quickly.
async fn quick(kind: Kind) -> School {
    let workers = NonZeroUsize::MIN;
    let settings = password_hashing::Settings { cost: Cost::FOR_TESTS, workers, ..Default::default() };
    School::start_with_hashing(kind, settings).await
}

/// `first.last` of each student, in the order of the answer.
fn user_names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let credentials = answer.json()["data"]["credentials"].take();
    let names = credentials.as_array().unwrap().iter().map(|credential| {
        let (local, domain) = credential["username"].as_str().unwrap().split_once('@').unwrap();
        assert_eq!(domain, "students.example");
        local.to_owned()
    });
    names.collect()
}

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

/// Faulty files, and the message for each.
#[rustfmt::skip]
fn malformed() -> Vec<(Vec<u8>, String)> {
    const HEAD: &str = "firstName,lastName\n";
    let header = "firstName, lastName, email, phoneNumber";
    let full = "firstName,lastName,email,phoneNumber\n";
    let named = |text: &str, message: &str| (text.as_bytes().to_vec(), message.to_owned());
    let below = |text: &str, message: String| ([HEAD, text].concat().into_bytes(), message);
    let in_full = |text: &str, message: String| ([full, text].concat().into_bytes(), message);
    let marked = "\u{FEFF}firstName,lastName\nMax,Roe\n";
    let no_header = "file must begin with a header: the names of the columns";
    let no_student = "file must have at least one student below the header".to_owned();
    let long_line = format!("{HEAD}Max,{}\n", "a".repeat(10 * 1024 * 1024));
    let long_file = format!("{HEAD}{}", "Max,Roe\n".repeat(262_144));
    let columns = ["firstName", "lastName"].into_iter().chain(["x"; 15]).collect::<Vec<_>>().join(",");
    let faulty: String = (2..=102).map(|_| "Max,=1\n").collect();
    let all: Vec<String> = (2..=65).map(|line| format!("line {line}, column 2 (lastName): {FORMULA}; ")).collect();
    vec![
        // Nothing to read.
        named("", no_header),
        named("\n\r\n\n", no_header),
        named("\u{FEFF}", no_header),
        (HEAD.into(), no_student.clone()),
        below("\n,\n  , \n", no_student),
        // Encodings.
        (utf_16(marked, u16::to_le_bytes), format!("line 1: byte 1 of the line begins UTF-16; {SAVE}")),
        (utf_16(marked, u16::to_be_bytes), format!("line 1: byte 1 of the line begins UTF-16; {SAVE}")),
        (utf_16(HEAD, u16::to_le_bytes), format!("line 1: byte 2 of the line is NUL, as in UTF-16; {SAVE}")),
        (b"firstName,lastName\nJ\xF6rg,Roe\n".into(), format!("line 2: byte 2 of the line is not UTF-8; {SAVE}")),
        (b"firstName,lastName\nMax,Roe\n\xC3".into(), format!("line 3: byte 1 of the line is not UTF-8; {SAVE}")),
        below("Max,R\0oe\n", format!("line 2: byte 6 of the line is NUL, as in UTF-16; {SAVE}")),
        (b"\x89PNG\r\n\x1A\n".into(), format!("line 1: byte 1 of the line is not UTF-8; {SAVE}")),
        // Separators and line ends.
        named("firstName\tlastName\nMax\tRoe\n", "line 1: the header has a tab; the columns must be separated by commas or semicolons"),
        named("firstName,lastName;email\nMax,Roe;\n", "line 1: the header has commas and semicolons; only one of them separates columns"),
        named("firstName|lastName\nMax|Roe\n", &format!("line 1, column 1: has an unknown name; the columns are {header}; line 1: the header has no column firstName; line 1: the header has no column lastName")),
        below("Max,Roe\rMin,Roe\n", "line 2, column 2: has a CR without LF; lines must end with LF or CRLF".into()),
        below("Max;Roe\n", "line 2: has 1 cell, and the header has 2".into()),
        // Quotes.
        below("Max,\"Roe\nMin,Roe\n", "line 2, column 2: has an opening quote without a closing one".into()),
        below("Max,R\"oe\n", format!("line 2, column 2: {QUOTE}")),
        below("Min,Roe\n\"Max\" ,Roe\n", "line 3, column 1: has text behind the closing quote".into()),
        below("\"Max\"x,\"Roe\"y\n", "line 2, column 1: has text behind the closing quote; line 2, column 2: has text behind the closing quote".into()),
        // Columns.
        named("firstName\nMax\n", "line 1: the header has no column lastName"),
        named("Max,Roe\nMin,Roe\n", &format!("line 1, column 1: has an unknown name; the columns are {header}; line 1, column 2: has an unknown name; the columns are {header}; line 1: the header has no column firstName; line 1: the header has no column lastName")),
        named("firstName,lastName,First Name\nMax,Roe,Min\n", "line 1, column 3 (firstName): is in the header twice"),
        named("firstName,lastName,\nMax,Roe,\n", "line 1, column 3: has no name in the header"),
        named("firstName,lastName,password\nMax,Roe,secret\n", &format!("line 1, column 3: has an unknown name; the columns are {header}")),
        named(&format!("{columns}\n"), "line 1: must have at most 16 columns"),
        below("Max\nMin,Roe\nMax,Roe,x\n", "line 2: has 1 cell, and the header has 2; line 4: has 3 cells, and the header has 2".into()),
        // Cells.
        below(",Roe\n", "line 2, column 1 (firstName): must not be empty".into()),
        below("Max, \n", "line 2, column 2 (lastName): must not be empty".into()),
        below("\n\nMax,\u{200B}\n", format!("line 4, column 2 (lastName): {NAME}")),
        below("\"M\nax\",Roe\n", format!("line 2, column 1 (firstName): {NAME}")),
        below("Max,\u{7}Roe\n", format!("line 2, column 2 (lastName): {NAME}")),
        below(&format!("Max,{}\n", "é".repeat(101)), format!("line 2, column 2 (lastName): {NAME}")),
        below(&format!("Max,{}\n", "a".repeat(4097)), "line 2, column 2: must have at most 4096 bytes".into()),
        in_full("Max,Roe,max,\n", format!("line 2, column 3 (email): {EMAIL}")),
        in_full("Max,Roe,max@a.example,12\n", format!("line 2, column 4 (phoneNumber): {PHONE}")),
        // Formulas.
        below("=1+1,Roe\n", format!("line 2, column 1 (firstName): {FORMULA}")),
        below("Max,+Roe\n", format!("line 2, column 2 (lastName): {FORMULA}")),
        below("\"-cmd|' /C calc'!A0\",Roe\n", format!("line 2, column 1 (firstName): {FORMULA}")),
        below("@SUM(A1),\"\tRoe\"\n", format!("line 2, column 1 (firstName): {FORMULA}; line 2, column 2 (lastName): {FORMULA}")),
        in_full("Max,Roe,=a@b.example,+cmd|1\n", format!("line 2, column 3 (email): {FORMULA}; line 2, column 4 (phoneNumber): {FORMULA}")),
        // Sizes.
        below(&format!("Max,{}\n", "a".repeat(1024 * 1024)), "line 2, column 2: must have at most 4096 bytes".into()),
        (long_line.into_bytes(), "file must have at most 2097152 bytes".into()),
        (long_file.into_bytes(), "file must have at most 2097152 bytes; line 262143 goes beyond".into()),
        below(&"Max,Roe\n".repeat(5_001), "line 5002: goes beyond 5000, the maximum number of lines below the header".into()),
        // Many faults.
        below(&faulty, format!("{}further faulty lines: 66-102", all.concat())),
    ]
}

both! {
    async fn import_creates_all_students_of_a_file(kind: Kind) {
        let school = quick(kind).await;
        let token = school.token(TEACHER).await;
        let before = rows(&school).await;
        let file = "\u{FEFF}Phone Number;LAST-NAME;first_name;E-Mail\r\n+49 30 123;Nguyễn;Linh;\r\n\r\n\
                    ;\"O'Brien; Jr.\"; Max ;m.ob@old.example\r\n;'=x;'-y;\r\n";
        let answer = import(&school, &token, file).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut body = answer.json();
        assert_eq!(body["message"], "Students imported");
        let credentials = body["data"]["credentials"].take();
        let rest = json!({ "success": true, "studentsCreated": 3, "message": "3 students created", "credentials": null, "errors": [] });
        assert_eq!(body["data"], rest);
        let mut seen = Vec::new();
        for credential in credentials.as_array().unwrap() {
            let user_name = credential["username"].as_str().unwrap();
            let account = school.account(user_name).await;
            assert_eq!(credential["studentId"], account.id.to_string());
            assert_eq!(credential["email"], Value::Null);
            let password = Password::parse(credential["password"].as_str().unwrap()).unwrap();
            assert_eq!(password.expose().split('-').count(), 4);
            let hashing = &school.server.identity.hashing;
            assert!(hashing.verify(Network::of(None), Some(account.password_hash), password).await.unwrap());
            let phone = account.phone_number.map(|number| number.as_str().to_owned());
            seen.push((user_name.to_owned(), credential["fullName"].as_str().unwrap().to_owned(), phone));
        }
        let student = |name: &str, full: &str, phone: Option<&str>| {
            (format!("{name}@students.example"), full.to_owned(), phone.map(str::to_owned))
        };
        let expected = [
            student("linh.nguyen", "Linh Nguyễn", Some("+49 30 123")),
            student("m.ob", "Max O'Brien; Jr.", None),
            student("y.x", "-y =x", None),
        ];
        assert_eq!(seen, expected);
        let after = rows(&school).await;
        assert_eq!((after[0] - before[0], after[1] - before[1], after[2] - before[2]), (3, 3, 3));
        let teacher = school.account(TEACHER).await.id;
        for event in school.events().await.iter().filter(|event| event.action == Action::AccountCreate && event.class_id.is_some()) {
            assert_eq!((event.by_user_id, event.class_id), (Some(teacher), Some(OWN_CLASS)));
        }
    }

    async fn import_of_equal_names_numbers_the_user_names(kind: Kind) {
        let school = quick(kind).await;
        let token = school.token(TEACHER).await;
        let file = "lastName,firstName\nNguyễn,Linh\nRoe,Max\nNguyen,LINH\nNguyễn,Linh\n";
        let names = user_names(&import(&school, &token, file).await);
        assert_eq!(names, ["linh.nguyen", "max.roe", "linh.nguyen2", "linh.nguyen3"]);
        let names = user_names(&import(&school, &token, file).await);
        assert_eq!(names, ["linh.nguyen4", "max.roe2", "linh.nguyen5", "linh.nguyen6"]);
        // A wish for a name that the numbers also give.
        let file = "firstName,lastName,email\nMax,Roe,\nMax,Roe,max.roe4@a.example\nMax,Roe,\nMax,Roe,\n";
        let names = user_names(&import(&school, &token, file).await);
        let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(distinct.len(), 4, "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("max.roe")), "{names:?}");
    }

    async fn malformed_file_is_a_400_with_line_and_column_and_writes_nothing(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.school.import_rate = 0);
        let token = school.token(TEACHER).await;
        let before = rows(&school).await;
        let files = malformed();
        assert!(files.len() >= 30, "{}", files.len());
        for (file, message) in files {
            let answer = import(&school, &token, &file).await;
            let shown = String::from_utf8_lossy(&file[..file.len().min(60)]).into_owned();
            assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(message.as_str())), "{shown:?}");
            let code = assert_failure(&path(), &answer);
            // The upload itself is limited before the file is read.
            let expected = if message.starts_with("file must have at most") { "BAD_REQUEST" } else { "INVALID_FILE" };
            assert_eq!(code, expected, "{shown:?}");
        }
        assert_eq!(rows(&school).await, before);
    }

    async fn faulty_files_count_in_the_limit(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.school.import_rate = 3);
        let token = school.token(TEACHER).await;
        for file in ["", "firstName,lastName\nMax,\n", "firstName\tlastName\n"] {
            let answer = import(&school, &token, file).await;
            assert_eq!((answer.status, assert_failure(&path(), &answer)), (400, "INVALID_FILE".to_owned()), "{file}");
        }
        for file in ["", "firstName,lastName\nMax,\n", "firstName,lastName\nMax,Roe\n"] {
            let answer = import(&school, &token, file).await;
            assert_eq!((answer.status, assert_failure(&path(), &answer)), (429, "TOO_MANY_REQUESTS".to_owned()), "{file}");
        }
    }

    async fn lines_without_a_value_are_skipped(kind: Kind) {
        let school = quick(kind).await;
        let token = school.token(TEACHER).await;
        let file = "firstName,lastName,email\n,,\nMax,Roe,\n\n , ,\n,,,,\nLinh,Roe,\n,,\n";
        assert_eq!(user_names(&import(&school, &token, file).await), ["max.roe", "linh.roe"]);
        // They count in line numbers.
        let answer = import(&school, &token, "firstName,lastName\n,\nMax,\n").await;
        assert_eq!(answer.json()["message"], "line 3, column 2 (lastName): must not be empty", "{}", answer.text);
    }

    async fn upload_that_is_not_a_form_with_one_file_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let post = || school.post(&path()).bearer(&token);
        let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nfirstName,lastName\r\n");
        let form = |body: String| post().header("Content-Type", "multipart/form-data; boundary=b").body(body);
        let one = "the form must have exactly one part named file";
        for (call, message) in [
            (post(), "Content-Type must be multipart/form-data with a boundary"),
            (post().json(&json!({ "file": "a" })), "Content-Type must be multipart/form-data with a boundary"),
            (post().header("Content-Type", "text/csv").body("firstName,lastName\na,b\n"), "Content-Type must be multipart/form-data with a boundary"),
            (form("--b--\r\n".to_owned()), one),
            (form(part("students") + "--b--\r\n"), one),
            (form(part("file") + &part("file") + "--b--\r\n"), one),
            (form(part("file")), "the body is not a valid multipart form"),
        ] {
            let answer = call.send().await;
            assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(message)), "{}", answer.text);
        }
        let coded = post().file("firstName,lastName\na,b\n").header("Content-Encoding", "gzip").send().await;
        assert_eq!(coded.status, 415, "{}", coded.text);
    }

    async fn import_of_a_caller_who_may_not_is_refused_in_the_order_of_all_operations(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.school.import_rate = 2);
        let (teacher, colleague) = (school.token(TEACHER).await, school.token(COLLEAGUE).await);
        let good = "firstName,lastName\nMax,Roe\n";
        let send = async |class: &str, token: Option<&str>, file: &str| {
            let call = school.post(&format!("/classes/{class}/students/import")).file(file);
            let call = if let Some(token) = token { call.bearer(token) } else { call };
            let answer = call.send().await;
            (answer.status, answer.json()["errorCode"].as_str().map(str::to_owned).unwrap_or_default())
        };
        let own = OWN_CLASS.to_string();
        assert_eq!(send("10A1", None, "").await, (401, "UNAUTHORIZED".to_owned()));
        // A faulty file makes no difference to a caller who may not import.
        for file in [good, ""] {
            assert_eq!(send("10A1", Some(&teacher), file).await, (404, "CLASS_NOT_FOUND".to_owned()));
            assert_eq!(send(&OTHER_CLASS.to_string(), Some(&teacher), file).await, (403, "FORBIDDEN".to_owned()));
            assert_eq!(send(&own, Some(&colleague), file).await, (403, "FORBIDDEN".to_owned()));
        }
        assert_eq!(send(&own, Some(&teacher), good).await.0, 200);
        assert_eq!(send(&own, Some(&teacher), "").await, (400, "INVALID_FILE".to_owned()));
        for file in [good, ""] {
            assert_eq!(send(&own, Some(&teacher), file).await, (429, "TOO_MANY_REQUESTS".to_owned()));
        }
        school.restart(|parts| parts.school.student_domain = None);
        let answer = import(&school, &teacher, good).await;
        assert_eq!((answer.status, assert_failure(&path(), &answer)), (400, "STUDENT_ACCOUNTS_DISABLED".to_owned()));
    }

    async fn import_into_a_class_with_too_few_seats_writes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let class = format!("/classes/{OWN_CLASS}");
        let change = async |change: Value| {
            assert_eq!(school.call("PUT", &class).bearer(&token).json(&change).send().await.status, 200);
        };
        change(json!({ "maxStudents": 3 })).await;
        let two = "firstName,lastName\nMax,Roe\nLinh,Nguyễn\n";
        assert_eq!(import(&school, &token, two).await.status, 200);
        let before = rows(&school).await;
        let full = import(&school, &token, two).await;
        assert_eq!((full.status, assert_failure(&class, &full)), (409, "CLASS_FULL".to_owned()));
        change(json!({ "isActive": false })).await;
        let inactive = import(&school, &token, two).await;
        assert_eq!((inactive.status, assert_failure(&class, &inactive)), (409, "CLASS_INACTIVE".to_owned()));
        assert_eq!(rows(&school).await, before);
    }

    async fn import_of_a_client_that_disconnects_writes_nothing_and_ends(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let before = rows(&school).await;
        let file = format!("firstName,lastName\n{}", "Max,Roe\n".repeat(1_000));
        let cut = tokio::time::timeout(Duration::from_millis(300), import(&school, &token, &file)).await;
        assert!(cut.is_err(), "the import took less than the test expects");
        assert_eq!(import(&school, &token, "firstName,lastName\nLinh,Roe\n").await.status, 200);
        let after = rows(&school).await;
        assert_eq!((after[0] - before[0], after[1] - before[1], after[2] - before[2]), (1, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_import_at_once_is_a_503_after_five_seconds() {
    let school = School::start(Kind::Sqlite).await;
    let token = school.token(TEACHER).await;
    // Takes longer than the second request waits.
    let file = format!("firstName,lastName\n{}", "Max,Roe\n".repeat(5_000));
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        import(&school, &token, "firstName,lastName\nLinh,Roe\n").await
    };
    tokio::select! {
        first = import(&school, &token, &file) => panic!("the first import is quick: {}", first.text),
        answer = second => {
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("15")), "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn largest_file_is_imported() {
    let school = quick(Kind::Sqlite).await;
    let token = school.token(TEACHER).await;
    // Half of the students have one name.
    let lines: String = (0..5_000)
        .map(|number| if number % 2 == 0 { "Linh,Nguyễn\n".to_owned() } else { format!("Max{number},Roe\n") })
        .collect();
    let begin = std::time::Instant::now();
    let names = user_names(&import(&school, &token, format!("firstName,lastName\n{lines}")).await);
    println!("5,000 students in {:?}", begin.elapsed());
    let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!((names.len(), distinct.len()), (5_000, 5_000));
    assert_eq!((names[0].as_str(), names[2].as_str()), ("linh.nguyen", "linh.nguyen2"));
    assert_eq!((names[4998].as_str(), names[4999].as_str()), ("linh.nguyen2500", "max4999.roe"));
    assert_eq!(rows(&school).await[1], 5_000);
}
