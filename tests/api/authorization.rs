//! The table of who may do what with a class, compared with the document and with the answers.

use std::collections::{BTreeMap, BTreeSet};

use homeroom::{
    classroom::authorization::{Cell, Row, Standing, TABLE, authorize},
    domain::id::{ClassId, UserId},
    entity::enrollment::Status,
};
use serde_json::json;

use crate::{
    contract::{document, operations},
    support::{Answer, Call, School, TEACHER, both, process::Site},
};

/// The columns of the table.
const STANDINGS: [Standing; 5] =
    [Standing::Stranger, Standing::Pending, Standing::Student, Standing::Former, Standing::Owner];

/// The callers of all standings, and the students with whom the operations deal.
struct Cast {
    owner: UserId,
    /// The id and the token of a user of each standing.
    callers: Vec<(UserId, String)>,
    /// An active student.
    student: UserId,
    /// A pending student.
    waiting: UserId,
}

/// A class for one request.
struct Scene {
    class: ClassId,
    name: String,
    code: String,
}

impl Cast {
    async fn new(school: &School) -> Self {
        let mut users = school.add_students(6).await;
        let (student, waiting) = (users.pop().unwrap(), users.pop().unwrap());
        school.change_account("student5@example.com", |account| account.school_account = true).await;
        let owner = school.account(TEACHER).await.id;
        users.push(owner);
        let tokens = school.tokens_of(&users).await;
        Self { owner, callers: users.into_iter().zip(tokens).collect(), student, waiting }
    }

    /// A new class with a join code and a student of each status.
    async fn scene(&self, school: &School, number: usize) -> Scene {
        let name = format!("Class {number:04}");
        let class = school.add_class(self.owner, &name).await;
        let statuses = [Status::Pending, Status::Active, Status::Dropped];
        for ((user, _), status) in self.callers[1..4].iter().zip(statuses) {
            school.enroll(class, *user, status).await;
        }
        school.enroll(class, self.student, Status::Active).await;
        school.enroll(class, self.waiting, Status::Pending).await;
        let path = format!("/classes/{class}/join-code");
        let code = school.post(&path).bearer(&self.callers[4].1).send().await;
        let code = code.json()["data"]["joinCode"].as_str().unwrap().to_owned();
        Scene { class, name, code }
    }

    /// A request that succeeds for a caller who may do this.
    fn call<'s>(&self, school: &'s School, operation: &str, scene: &Scene) -> Call<'s> {
        let (class, student, waiting) = (scene.class, self.student, self.waiting);
        let call = |method: &str, path: &str| school.call(method, &format!("/classes/{class}{path}"));
        match operation {
            "getClasses" => school.get(&format!("/classes?search={}", scene.name.replace(' ', "%20"))),
            "createClass" => school.post("/classes").json(&json!({ "name": "Another" })),
            "getClassById" => call("GET", ""),
            "updateClass" => call("PUT", "").json(&json!({ "description": "Changed" })),
            "deleteClass" => call("DELETE", ""),
            "generateJoinCode" => call("POST", "/join-code"),
            "getJoinCode" => call("GET", "/join-code"),
            "revokeJoinCode" => call("DELETE", "/join-code"),
            "joinClassByCode" => school.post(&format!("/classes/join/{}", scene.code)),
            "getStudentsByClassId" => call("GET", "/students"),
            "removeStudentFromClass" => call("DELETE", &format!("/students/{student}")),
            "leaveClass" => call("POST", "/leave"),
            "admitStudent" => call("POST", &format!("/students/{waiting}/admit")),
            "updateStudent" => {
                school.call("PUT", &format!("/students/{student}")).json(&json!({ "status": "active" }))
            }
            "createAndEnrollStudent" => {
                call("POST", "/students").json(&json!({ "firstName": "Linh", "lastName": "Nguyễn" }))
            }
            "submitImport" => call("POST", "/students/import").file("firstName,lastName\nLinh,Nguyễn\n"),
            "bulkCreateStudentAccounts" => {
                call("POST", "/students/bulk-create-accounts").json(&json!({ "studentIds": [student] }))
            }
            "resetStudentPassword" => call("POST", &format!("/students/{student}/reset-password")),
            other => panic!("this test has no request for {other}"),
        }
    }
}

/// The documented success of each operation below `/classes` and `/students`.
fn successes() -> BTreeMap<String, u16> {
    let document = document();
    let found = operations(&document).into_iter().filter(|(path, ..)| {
        ["/classes", "/students"]
            .iter()
            .any(|prefix| path == prefix || path.starts_with(&format!("{prefix}/")))
    });
    let success = |responses: &serde_json::Value| {
        let mut statuses = responses.as_object().unwrap().keys().filter(|status| status.starts_with('2'));
        statuses.next().unwrap().parse().unwrap()
    };
    found
        .map(|(.., operation)| {
            (operation["operationId"].as_str().unwrap().to_owned(), success(&operation["responses"]))
        })
        .collect()
}

/// The status that a cell of the table means.
fn expected(cell: Cell, success: u16) -> u16 {
    match cell {
        Cell::Allowed | Cell::NotListed => success,
        Cell::Forbidden => 403,
        Cell::Hidden => 404,
        Cell::Other(status) => status.parse().unwrap(),
    }
}

#[track_caller]
fn assert_cell(row: &Row, standing: Standing, cell: Cell, success: u16, answer: &Answer, scene: &Scene) {
    let context = format!("{} by {standing:?}: {}", row.operation, answer.text);
    assert_eq!(answer.status, expected(cell, success), "{context}");
    if row.operation == "getClasses" {
        let listed = answer.json()["data"].as_array().unwrap().len();
        assert_eq!(listed, usize::from(cell == Cell::Allowed), "{context}");
    }
    if answer.status < 400 {
        return;
    }
    // A refusal says nothing about the class and its students.
    assert!(!answer.text.contains(&scene.name), "{context}");
    assert!(!answer.text.contains(&scene.code), "{context}");
}

#[test]
fn table_has_every_operation_on_classes_and_students_once() {
    let rows: Vec<&str> = TABLE.iter().map(|row| row.operation).collect();
    let unique: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(rows.len(), unique.len());
    let documented = successes();
    assert_eq!(unique, documented.keys().map(String::as_str).collect());
}

#[test]
fn authorize_refuses_an_unknown_operation_and_all_but_allowed_cells() {
    for standing in STANDINGS {
        assert!(authorize("unknown", standing).is_err());
    }
    for row in TABLE {
        for (standing, cell) in STANDINGS.into_iter().zip(row.cells) {
            assert_eq!(
                authorize(row.operation, standing).is_ok(),
                cell == Cell::Allowed,
                "{}",
                row.operation
            );
        }
    }
}

#[tokio::test]
async fn command_of_the_operator_in_the_table_has_a_help() {
    let commands: BTreeSet<&str> = TABLE.iter().filter_map(|row| row.operator).collect();
    assert!(commands.len() > 2, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = Site::bare().run(&arguments).await.success();
        assert!(help.contains(command), "{command}: {help}");
    }
}

both! {
    async fn every_cell_of_the_table_is_the_answer_to_a_request(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let cast = Cast::new(&school).await;
        let successes = successes();
        let mut number = 0;
        for row in TABLE {
            let success = successes[row.operation];
            let scene = cast.scene(&school, number).await;
            let without = cast.call(&school, row.operation, &scene).send().await;
            assert_eq!(without.status, 401, "{}", row.operation);
            for (column, standing) in STANDINGS.into_iter().enumerate() {
                number += 1;
                let scene = cast.scene(&school, number).await;
                let token = &cast.callers[column].1;
                let answer = cast.call(&school, row.operation, &scene).bearer(token).send().await;
                assert_cell(row, standing, row.cells[column], success, &answer, &scene);
            }
        }
        assert_eq!(number, 5 * TABLE.len());
    }

    async fn school_account_creates_no_class_in_any_standing(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let cast = Cast::new(&school).await;
        let scene = cast.scene(&school, 0).await;
        for number in 0..4 {
            let email = format!("student{number}@example.com");
            school.change_account(&email, |account| account.school_account = true).await;
            let token = &cast.callers[number].1;
            let answer = cast.call(&school, "createClass", &scene).bearer(token).send().await;
            assert_eq!(answer.status, 403, "{number}: {}", answer.text);
        }
    }
}
