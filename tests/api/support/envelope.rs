//! Exact checks of the two error envelopes.

use chrono::NaiveDateTime;
use serde_json::Value;

use super::Answer;

/// The error codes of the classroom family, with their statuses.
pub const CLASSROOM_CODES: [(&str, u16); 23] = [
    ("BAD_REQUEST", 400),
    ("INVALID_JOIN_CODE", 400),
    ("OWN_CLASS", 400),
    ("INVALID_FILE", 400),
    ("STUDENT_ACCOUNTS_DISABLED", 400),
    ("UNAUTHORIZED", 401),
    ("FORBIDDEN", 403),
    ("CLASS_LIMIT_REACHED", 403),
    ("NOT_SCHOOL_ACCOUNT", 403),
    ("NOT_FOUND", 404),
    ("CLASS_NOT_FOUND", 404),
    ("STUDENT_NOT_FOUND", 404),
    ("JOIN_CODE_NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("ALREADY_ENROLLED", 409),
    ("CLASS_FULL", 409),
    ("CLASS_INACTIVE", 409),
    ("PRECONDITION_FAILED", 412),
    ("UNSUPPORTED_MEDIA_TYPE", 415),
    ("TOO_MANY_REQUESTS", 429),
    ("INTERNAL_SERVER_ERROR", 500),
    ("NOT_IMPLEMENTED", 501),
    ("SERVICE_UNAVAILABLE", 503),
];

/// The error codes of the sign-in family, with their statuses.
pub const SIGN_IN_CODES: [(&str, u16); 10] = [
    ("[E0000]", 500),
    ("[E4000]", 400),
    ("[E4010]", 401),
    ("[E4030]", 403),
    ("[E4040]", 404),
    ("[E4050]", 405),
    ("[E4150]", 415),
    ("[E4290]", 429),
    ("[E5010]", 501),
    ("[E5030]", 503),
];

/// Asserts the envelope of an error of a family, and the headers of every response of a family. Returns the code.
pub fn assert_failure(path: &str, answer: &Answer) -> String {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}: {answer:?}");
    assert_eq!(answer.header("vary"), Some("Origin"), "{path}: {answer:?}");
    assert_envelope(path, answer)
}

/// Asserts the envelope of an error of any path. Returns the code.
pub fn assert_envelope(path: &str, answer: &Answer) -> String {
    let shown: String = path.chars().take(80).collect();
    let context = format!("{shown}: {answer:?}");
    assert!((400..600).contains(&answer.status), "{context}");
    assert_eq!(answer.headers.get_all("content-type").iter().count(), 1, "{context}");
    assert_eq!(answer.header("allow").is_some(), answer.status == 405, "{context}");
    assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{context}");
    assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503), "{context}");
    let codings = (answer.status == 415).then_some("identity");
    assert_eq!(answer.header("accept-encoding"), codings, "{context}");
    let body = answer.json();
    let path = path.split('?').next().unwrap_or_default();
    if path == "/api/v1" || path.starts_with("/api/v1/") {
        sign_in(&body, answer.status, &context)
    } else {
        classroom(&body, answer.status, &context)
    }
}

fn classroom(body: &Value, status: u16, context: &str) -> String {
    assert_keys(body, &["success", "code", "errorCode", "message", "timestamp"], context);
    assert_eq!(body["success"], false, "{context}");
    assert_eq!(body["code"], status, "{context}");
    let timestamp = body["timestamp"].as_str().expect(context);
    assert!(NaiveDateTime::parse_from_str(timestamp, "%Y-%m-%dT%H:%M:%SZ").is_ok(), "{context}");
    assert_eq!(timestamp.len(), "2026-05-04T09:42:00Z".len(), "{context}");
    assert_message(&body["message"], context);
    assert_code(&body["errorCode"], &CLASSROOM_CODES, status, context)
}

fn sign_in(body: &Value, status: u16, context: &str) -> String {
    assert_keys(body, &["errors"], context);
    let errors = body["errors"].as_array().expect(context);
    assert!(!errors.is_empty(), "{context}");
    for error in errors {
        assert_keys(error, &["validation", "code", "message"], context);
        assert_eq!(error["validation"], "error", "{context}");
        assert_message(&error["message"], context);
        assert_code(&error["code"], &SIGN_IN_CODES, status, context);
    }
    errors[0]["code"].as_str().unwrap().to_owned()
}

/// Asserts the members of an object in the documented order.
fn assert_keys(object: &Value, keys: &[&str], context: &str) {
    let found: Vec<&String> = object.as_object().expect(context).keys().collect();
    assert_eq!(found, keys, "{context}");
}

fn assert_message(message: &Value, context: &str) {
    assert!(message.as_str().is_some_and(|message| !message.trim().is_empty()), "{context}");
}

fn assert_code(code: &Value, known: &[(&str, u16)], status: u16, context: &str) -> String {
    let code = code.as_str().expect(context);
    assert!(known.contains(&(code, status)), "{context}");
    code.to_owned()
}
