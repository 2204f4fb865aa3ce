//! Parts of hostile requests.

use serde_json::{Value, json};

use crate::support::{REDIRECT_URI, TEACHER, sign_in_body};

/// The maximum size of a body in bytes.
pub const LARGEST_BODY: usize = 24 * 1024;

/// Method, path, status, code and `Allow` of requests that reach no operation. None has a token.
#[rustfmt::skip]
pub const MISDIRECTED: &[(&str, &str, u16, &str, Option<&str>)] = &[
    // Wrong methods.
    ("GET", "/classes/join/1", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("HEAD", "/classes/join/1", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("PUT", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("DELETE", "/api/classes/join/1", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("OPTIONS", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("TRACE", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("CONNECT", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("BREW", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("post", "/classes/1/join-code", 405, "METHOD_NOT_ALLOWED", Some("POST, GET, DELETE, HEAD")),
    ("GET", "/classes/join/ABCD1234", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("POST", "/classes/1", 405, "METHOD_NOT_ALLOWED", Some("GET, PUT, DELETE, HEAD")),
    ("POST", "/classes/1/students/2", 405, "METHOD_NOT_ALLOWED", Some("DELETE")),
    ("GET", "/classes/1/students/2/admit", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("GET", "/classes/1/leave", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("GET", "/students/1", 405, "METHOD_NOT_ALLOWED", Some("PUT")),
    ("PATCH", "/api/students/1", 405, "METHOD_NOT_ALLOWED", Some("PUT")),
    ("GET", "/students", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/students/2/admit/", 404, "NOT_FOUND", None),
    ("GET", "/classes/1/students/import", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("DELETE", "/classes/1/students/bulk-create-accounts", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("GET", "/classes/1/students/2/reset-password", 405, "METHOD_NOT_ALLOWED", Some("POST")),
    ("POST", "/classes/1/students/2/reset-password/", 404, "NOT_FOUND", None),
    ("GET", "/api/v1/codes", 405, "[E4050]", Some("POST")),
    ("HEAD", "/api/v1/codes", 405, "[E4050]", Some("POST")),
    ("PATCH", "/api/v1/codes", 405, "[E4050]", Some("POST")),
    ("OPTIONS", "/api/v1/codes", 405, "[E4050]", Some("POST")),
    ("M-SEARCH", "/api/v1/codes?a=b", 405, "[E4050]", Some("POST")),
    ("DELETE", "/api/v1/tokens", 405, "[E4050]", Some("POST")),
    ("GET", "/api/v1/tokens/revoke", 405, "[E4050]", Some("POST")),
    ("DELETE", "/api/v1/users/me/sessions", 405, "[E4050]", Some("GET, HEAD")),
    ("GET", "/api/v1/users/me/sessions/1", 405, "[E4050]", Some("DELETE")),
    ("GET", "/api/v1/users", 405, "[E4050]", Some("POST, PUT")),
    ("POST", "/api/v1/users/me/password", 405, "[E4050]", Some("PUT")),
    ("POST", "/api/v1/user-confirm-hashes/a", 405, "[E4050]", Some("PUT")),
    ("GET", "/api/v1/user-confirm-hashes", 404, "[E4040]", None),
    ("PUT", "/user/me", 405, "METHOD_NOT_ALLOWED", Some("GET, PATCH, HEAD")),
    ("GET", "/user", 404, "NOT_FOUND", None),
    // Unknown paths.
    ("POST", "/", 405, "METHOD_NOT_ALLOWED", Some("GET, HEAD")),
    ("GET", "//", 404, "NOT_FOUND", None),
    ("GET", "*", 404, "NOT_FOUND", None),
    ("POST", "/nowhere", 404, "NOT_FOUND", None),
    ("POST", "/api", 404, "NOT_FOUND", None),
    ("POST", "/api/", 404, "NOT_FOUND", None),
    ("POST", "/api/v2/codes", 404, "NOT_FOUND", None),
    ("POST", "/api/v10/codes", 404, "NOT_FOUND", None),
    ("POST", "/API/V1/codes", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/2/join-code", 404, "NOT_FOUND", None),
    ("POST", "/Classes/1/join-code", 404, "NOT_FOUND", None),
    ("POST", "/api/v1", 404, "[E4040]", None),
    ("POST", "/api/v1/", 404, "[E4040]", None),
    ("POST", "/api/v1/nowhere", 404, "[E4040]", None),
    ("POST", "/api/v1/Codes", 404, "[E4040]", None),
    ("POST", "/api/v1/codes/1", 404, "[E4040]", None),
    ("POST", "/api/v1/classes/1/join-code", 404, "[E4040]", None),
    ("POST", "/api/api/classes/1/join-code", 404, "NOT_FOUND", None),
    ("POST", "/api/health/live", 404, "NOT_FOUND", None),
    // Additional slashes and dots. A path is not normalized.
    ("POST", "/classes/1/join-code/", 404, "NOT_FOUND", None),
    ("POST", "/classes/1//join-code", 404, "NOT_FOUND", None),
    ("POST", "//classes/1/join-code", 404, "NOT_FOUND", None),
    ("POST", "/classes//join-code", 404, "NOT_FOUND", None),
    ("POST", "/./classes/1/join-code", 404, "NOT_FOUND", None),
    ("POST", "/a/../classes/1/join-code", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/x/%2e%2e/join-code", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/join-code;a=b", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/join-code%00", 404, "NOT_FOUND", None),
    ("POST", "/classes/1/join-code%20", 404, "NOT_FOUND", None),
    ("POST", "/classes%2F1%2Fjoin-code", 404, "NOT_FOUND", None),
    ("POST", "/%63lasses/%FF/join-code", 404, "NOT_FOUND", None),
    ("POST", "/api/v1/codes/", 404, "[E4040]", None),
    ("POST", "/api/v1//codes", 404, "[E4040]", None),
    ("POST", "/api//v1/codes", 404, "NOT_FOUND", None),
    ("POST", "/api/v1/./codes", 404, "[E4040]", None),
    ("POST", "/api/v1/../v1/codes", 404, "[E4040]", None),
    ("POST", "/api/v1/%63odes", 404, "[E4040]", None),
    ("POST", "/api/v1/codes%00", 404, "[E4040]", None),
    ("POST", "/api/v1/codes%FF", 404, "[E4040]", None),
    ("POST", "/api/v1/codes%2F", 404, "[E4040]", None),
    ("POST", "/%FF", 404, "NOT_FOUND", None),
    ("POST", "/%", 404, "NOT_FOUND", None),
    ("POST", "/api/v1/%ZZ", 404, "[E4040]", None),
    ("GET", "/health/live/", 404, "NOT_FOUND", None),
];

/// Unknown class ids and join codes, as in a path.
pub const UNKNOWN_IDS: &[&str] = &[
    "%00",
    "22222222-2222-2222-2222-222222222222%00",
    "%FF",
    "%C0%AF",
    "%ED%A0%80",
    "%2F",
    "..",
    ".",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "'%20OR%20'1'='1",
    "1;DROP%20TABLE%20classes;--",
    "22222222-2222-2222-2222-222222222222'--",
    "{{7*7}}",
    "%24%7Bjndi:ldap:%2F%2Fx%7D",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    ":classId",
    "{classId}",
    "*",
    "-1",
    "9223372036854775808",
    "null",
    "%F0%9F%8E%93",
    "%0D%0ASet-Cookie:%20a=b",
    "22222222-2222-2222-2222-22222222222",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

/// Bodies that are not JSON, and the message for each.
pub fn malformed() -> Vec<(Vec<u8>, &'static str)> {
    const SYNTAX: &str = "the body is not valid JSON (line ";
    const MARK: &str = "the body must not begin with a byte order mark";
    let good = sign_in_body(TEACHER).to_string();
    let texts = [
        String::new(),
        " ".into(),
        "{".into(),
        "not JSON".into(),
        "email=user@example.com&password=a".into(),
        "<xml/>".into(),
        "{'email': 'a'}".into(),
        "{\"email\": \"a\",}".into(),
        "{\"email\": NaN}".into(),
        "{\"email\": 0x10}".into(),
        "{\"email\": 1e99999}".into(),
        "{\"email\": \"a\nb\"}".into(),
        "/* a */ {}".into(),
        good.replace("user@", r"\ud800@"),
        good.replace("user@", r"\udc00\ud800@"),
        good.replace("user@", r"\x00"),
        format!("{good}}}"),
        format!("{good}{good}"),
        format!("{good}\0"),
        format!(")]}}',\n{good}"),
        "[".repeat(LARGEST_BODY),
        "{\"a\":".repeat(LARGEST_BODY / 5),
        format!("{}{}", "[".repeat(LARGEST_BODY / 2), "]".repeat(LARGEST_BODY / 2)),
    ];
    let mut bodies: Vec<_> = texts.into_iter().map(|text| (text.into_bytes(), SYNTAX)).collect();
    let marked = format!("\u{FEFF}{good}");
    let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
    bodies.extend([
        (marked.clone().into_bytes(), MARK),
        (b"\xEF\xBB\xBF".to_vec(), MARK),
        (utf_16(&marked, u16::to_le_bytes), MARK),
        (utf_16(&marked, u16::to_be_bytes), MARK),
    ]);
    let utf_16 = utf_16(&good, u16::to_le_bytes);
    let cut = good.into_bytes().into_iter().take(40).chain([0xF0, 0x9F]).collect();
    bodies.extend([(utf_16, SYNTAX), (cut, SYNTAX), (b"{\"email\": \"\xFF\"}".to_vec(), SYNTAX)]);
    bodies
}

/// Unusual values for a property.
pub fn strange_values(good: &Value) -> Vec<Value> {
    let text = good.as_str().unwrap_or(REDIRECT_URI);
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!([]),
        json!([good]),
        json!({ "$ne": null }),
        json!({ "a": { "a": { "a": {} } } }),
        json!(""),
        json!(" "),
        json!("\0"),
        json!(format!("{text}\0")),
        json!(format!("\0{text}")),
        json!(format!(" {text} ")),
        json!(format!("{text}\r\nSet-Cookie: a=b")),
        json!(format!("{text}' OR '1'='1")),
        json!("'; DROP TABLE users; --"),
        json!("{{7*7}}${7*7}<%= 7*7 %>"),
        json!("\u{1F393}".repeat(64)),
        json!("\u{FDFA}".repeat(256)),
        json!("\u{202E}\u{200B}\u{FEFF}\u{FFFF}"),
        json!("a\u{301}".repeat(500)),
        json!("a".repeat(12_000)),
        json!(format!("{}@example.com", "a".repeat(300))),
        json!(format!("https://{}/", "a".repeat(3_000))),
        json!("https://[::1"),
        json!("%00%FF"),
    ]
}
