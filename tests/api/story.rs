//! The story of a class, from its first day to its last.

use homeroom::domain::id::ClassId;
use serde_json::{Value, json};

use crate::support::{Answer, COLLEAGUE, STUDENT, School, TEACHER, both};

/// A new join code of a class.
async fn new_code(school: &School, token: &str, class: ClassId) -> String {
    let answer = school.post(&format!("/classes/{class}/join-code")).bearer(token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"]["joinCode"].as_str().unwrap().to_owned()
}

async fn change(school: &School, token: &str, class: ClassId, body: &Value) -> Answer {
    let answer = school.call("PUT", &format!("/classes/{class}")).bearer(token).json(body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// The ids of the students with a status.
async fn ids(school: &School, token: &str, class: ClassId, status: &str) -> Vec<String> {
    let answer = school.roster(token, class, &format!("?status={status}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let students = answer.json()["data"].as_array().unwrap().clone();
    students.iter().map(|student| student["id"].as_str().unwrap().to_owned()).collect()
}

/// The status and the error code.
fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["errorCode"].as_str().unwrap_or_default().to_owned())
}

both! {
    async fn class_from_its_creation_to_its_end(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let (pupil, other) = (school.token(STUDENT).await, school.token(COLLEAGUE).await);
        let (pupil_id, other_id) = (school.account(STUDENT).await.id, school.account(COLLEAGUE).await.id);

        let created = school.post("/classes").bearer(&teacher).json(&json!({ "name": "7B" })).send().await;
        assert_eq!(created.status, 201, "{}", created.text);
        let class: ClassId = created.json()["data"]["id"].as_str().unwrap().parse().unwrap();
        let first = new_code(&school, &teacher, class).await;

        let typed = format!("{}-{}", &first[..4], &first[4..]).to_lowercase();
        let joined = school.join(&pupil, &typed).await;
        assert_eq!((joined.status, joined.json()["data"]["status"].clone()), (201, json!("active")));
        assert_eq!(ids(&school, &teacher, class, "active").await, [pupil_id.to_string()]);
        assert_eq!(school.get(&format!("/classes/{class}")).bearer(&pupil).send().await.status, 200);

        let second = new_code(&school, &teacher, class).await;
        assert_eq!(refusal(&school.join(&other, &first).await), (400, "INVALID_JOIN_CODE".to_owned()));

        assert_eq!(school.leave(&pupil, class).await.status, 204);
        assert_eq!(ids(&school, &teacher, class, "active").await, [""; 0]);
        assert_eq!(ids(&school, &teacher, class, "dropped").await, [pupil_id.to_string()]);
        let again = school.join(&pupil, &second).await;
        assert_eq!((again.status, again.json()["data"]["id"].clone()), (201, joined.json()["data"]["id"].clone()));

        change(&school, &teacher, class, &json!({ "maxStudents": 1 })).await;
        assert_eq!(refusal(&school.join(&other, &second).await), (409, "CLASS_FULL".to_owned()));

        change(&school, &teacher, class, &json!({ "maxStudents": 2, "requiresApproval": true })).await;
        let waiting = school.join(&other, &second).await;
        assert_eq!((waiting.status, waiting.json()["data"]["status"].clone()), (201, json!("pending")));
        assert_eq!(school.get(&format!("/classes/{class}")).bearer(&other).send().await.status, 403);
        assert_eq!(ids(&school, &teacher, class, "pending").await, [other_id.to_string()]);
        let admitted = school.admit(&teacher, class, other_id).await;
        assert_eq!((admitted.status, admitted.json()["data"]["status"].clone()), (200, json!("active")));
        assert_eq!(school.get(&format!("/classes/{class}")).bearer(&other).send().await.status, 200);
        assert_eq!(school.remove_student(&teacher, class, other_id).await.status, 204);

        let closed = change(&school, &teacher, class, &json!({ "isActive": false })).await;
        assert_eq!(closed.json()["data"]["joinCode"], json!(null));
        assert_eq!(refusal(&school.join(&other, &second).await), (400, "INVALID_JOIN_CODE".to_owned()));
        let answer = school.update_student(&teacher, other_id, &json!({ "status": "active" })).await;
        assert_eq!(refusal(&answer), (409, "CLASS_INACTIVE".to_owned()));
        let joins = school.get(&format!("/classes/{class}/join-code")).bearer(&teacher).send().await;
        assert_eq!(refusal(&joins), (404, "JOIN_CODE_NOT_FOUND".to_owned()));
    }
}
