//! The two documented pages, transcribed by hand, so that a newly generated document cannot change them.
//!
//! A property is written as on the page, `type(format)`. Where a page shows only an example, the type is the example's and the
//! format is ours.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{document, resolved};

/// An operation of a page.
struct Page {
    path: &'static str,
    /// The `operationId`. The pages have none; generated clients use it.
    id: &'static str,
    summary: &'static str,
    /// Name, location, type, whether it is required, and its description.
    parameters: &'static [(&'static str, &'static str, &'static str, bool, &'static str)],
    bearer: bool,
    request: Option<Request>,
    success: (&'static str, &'static str, &'static [Property]),
    failures: &'static [(&'static str, &'static str)],
    failure: &'static [Property],
}

/// A name, a type with its format, and the values of an enumeration.
type Property = (&'static str, &'static str, &'static [&'static str]);

struct Request {
    properties: &'static [Property],
    required: &'static [&'static str],
}

const GENERATE_JOIN_CODE: Page = Page {
    path: "/classes/{classId}/join-code",
    id: "generateJoinCode",
    summary: "Generates or regenerates a unique join code for the class. Only class owner can perform this action.",
    parameters: &[("classId", "path", "string", true, "The class ID")],
    bearer: true,
    request: None,
    success: (
        "200",
        "Join code generated successfully",
        &[
            ("success", "boolean", &["true"]),
            ("code", "integer(int32)", &[]),
            ("message", "string", &[]),
            ("data", "object", &[]),
            ("data.joinCode", "string", &[]),
            ("data.expiresAt", "string(date-time)", &[]),
        ],
    ),
    failures: &[
        ("401", "Unauthorized - Invalid or missing authentication token"),
        ("403", "Forbidden - Only class owner can generate join code"),
        ("404", "Class not found"),
        ("500", "Internal Server Error"),
    ],
    failure: &[
        ("success", "boolean", &["false"]),
        // The page gives the code a format in the success, and none in the errors.
        ("code", "integer", &[]),
        ("errorCode", "string", CLASSROOM_CODES),
        ("message", "string", &[]),
        ("timestamp", "string(date-time)", &[]),
    ],
};

const CREATE_CODE: Page = Page {
    path: "/api/v1/codes",
    id: "createCode",
    summary: "Creates a new codes resource",
    parameters: &[(
        "Origin",
        "header",
        "string",
        false,
        "Used for custom-domain lookup in public app resolution",
    )],
    bearer: false,
    request: Some(Request {
        properties: &[
            ("appUuid", "string", &[]),
            ("email", "string(email)", &[]),
            ("password", "string(password)", &[]),
            // An addition, for passwords that the server generated.
            ("newPassword", "string(password)", &[]),
            ("state", "string", &[]),
            ("redirectUri", "string(uri)", &[]),
            ("acceptPrivacyPolicy", "boolean", &[]),
            // An addition (RFC 7636).
            ("codeChallenge", "string", &[]),
            ("codeChallengeMethod", "string", &[]),
        ],
        required: &["email", "password", "state", "redirectUri"],
    }),
    success: (
        "201",
        "The code, inside the URL to send the user to",
        &[
            // The family's other operation uses this enumeration too.
            ("kind", "string", &["codes"]),
            ("totalItems", "integer(int32)", &[]),
            ("itemsLength", "integer(int32)", &[]),
            ("items", "array", &[]),
            ("items[]", "object", &[]),
            ("items[].nextAction", "object", &[]),
            ("items[].nextAction.action", "string", &["httpRequest"]),
            ("items[].nextAction.url", "string(uri)", &[]),
            ("items[].nextAction.method", "string", &["GET"]),
        ],
    ),
    failures: &[("400", "Bad Request / validation error"), ("500", "Internal Server Error")],
    failure: &[
        ("errors", "array", &[]),
        ("errors[]", "object", &[]),
        ("errors[].validation", "string", &["error"]),
        (
            "errors[].code",
            "string",
            &[
                "[E0000]", "[E4000]", "[E4010]", "[E4030]", "[E4040]", "[E4050]", "[E4150]", "[E4290]",
                "[E5010]", "[E5030]",
            ],
        ),
        ("errors[].message", "string", &[]),
    ],
};

const CLASSROOM_CODES: &[&str] = &[
    "BAD_REQUEST",
    "INVALID_JOIN_CODE",
    "OWN_CLASS",
    "INVALID_FILE",
    "STUDENT_ACCOUNTS_DISABLED",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "CLASS_LIMIT_REACHED",
    "NOT_SCHOOL_ACCOUNT",
    "NOT_FOUND",
    "CLASS_NOT_FOUND",
    "STUDENT_NOT_FOUND",
    "JOIN_CODE_NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "ALREADY_ENROLLED",
    "CLASS_FULL",
    "CLASS_INACTIVE",
    "PRECONDITION_FAILED",
    "UNSUPPORTED_MEDIA_TYPE",
    "TOO_MANY_REQUESTS",
    "INTERNAL_SERVER_ERROR",
    "NOT_IMPLEMENTED",
    "SERVICE_UNAVAILABLE",
];

/// The statuses that are not on the pages.
const OURS: [&str; 2] = ["429", "503"];

/// A property of the document.
type Found = (String, String, Vec<String>);

fn found((name, kind, values): &Property) -> Found {
    ((*name).to_owned(), (*kind).to_owned(), values.iter().map(|&value| value.to_owned()).collect())
}

/// Every property of a schema and of its nested schemas.
fn properties(document: &Value, schema: &Value, prefix: &str) -> BTreeSet<Found> {
    let schema = resolved(document, schema);
    let mut all = BTreeSet::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let separator = if prefix.is_empty() { "" } else { "." };
        describe(document, property, &format!("{prefix}{separator}{name}"), &mut all);
    }
    all
}

fn describe(document: &Value, schema: &Value, name: &str, all: &mut BTreeSet<Found>) {
    let whole = resolved(document, schema);
    let format = whole["format"].as_str().map_or_else(String::new, |format| format!("({format})"));
    let kind = format!("{}{format}", whole["type"].as_str().unwrap_or("anything"));
    let values = whole["enum"].as_array().into_iter().flatten();
    let values =
        values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    all.insert((name.to_owned(), kind, values));
    all.extend(properties(document, &whole, name));
    if let Some(items) = whole.get("items") {
        describe(document, items, &format!("{name}[]"), all);
    }
}

/// Asserts that every object of a schema requires all its properties.
fn assert_promised(document: &Value, schema: &Value) {
    let whole = resolved(document, schema);
    if let Some(properties) = whole["properties"].as_object() {
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(names, texts(&whole["required"]), "{schema}");
        properties.values().for_each(|property| assert_promised(document, property));
    }
    if let Some(items) = whole.get("items") {
        assert_promised(document, items);
    }
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// The schema of a body, whose only media type is JSON.
fn json_schema(body: &Value) -> &Value {
    let content = body["content"].as_object().unwrap();
    assert_eq!(content.keys().collect::<Vec<_>>(), ["application/json"]);
    &content["application/json"]["schema"]
}

fn assert_transcribed(page: &Page) {
    let document = document();
    let item = document["paths"][page.path].as_object().unwrap();
    // Other methods of the path are additions of this server.
    assert_eq!(item.keys().next().map(String::as_str), Some("post"), "{}", page.path);
    let operation = &item["post"];
    assert!(operation["description"].as_str().unwrap().starts_with(page.summary), "{}", page.path);
    assert_eq!(operation["operationId"], page.id, "{}", page.path);
    let security = if page.bearer { json!([{ "accessToken": [] }]) } else { json!([]) };
    assert_eq!(operation["security"], security, "{}", page.path);

    let parameters = operation["parameters"].as_array().unwrap();
    assert_eq!(parameters.len(), page.parameters.len(), "{}", page.path);
    for (parameter, (name, place, kind, required, description)) in parameters.iter().zip(page.parameters) {
        assert_eq!(parameter["name"], *name);
        assert_eq!(parameter["in"], *place, "{name}");
        assert_eq!(parameter["required"], *required, "{name}");
        assert_eq!(parameter["schema"]["type"], *kind, "{name}");
        assert_eq!(parameter["schema"].get("format"), None, "{name}");
        assert!(parameter["description"].as_str().unwrap().starts_with(description), "{name}");
    }

    match &page.request {
        None => assert_eq!(operation.get("requestBody"), None, "{}", page.path),
        Some(request) => {
            let body = &operation["requestBody"];
            assert_eq!(body["required"], true, "{}", page.path);
            let schema = resolved(&document, json_schema(body));
            assert_eq!(properties(&document, &schema, ""), request.properties.iter().map(found).collect());
            assert_eq!(texts(&schema["required"]), request.required.iter().copied().collect());
            assert_ne!(schema["additionalProperties"], false, "unknown properties are ignored");
        }
    }

    let responses = operation["responses"].as_object().unwrap();
    let statuses: BTreeSet<&str> = responses.keys().map(String::as_str).collect();
    let (status, description, success) = page.success;
    let failures = page.failures.iter().map(|(status, _)| *status);
    assert_eq!(statuses, failures.chain([status]).chain(OURS).collect(), "{}", page.path);
    let described = page.failures.iter().copied().chain([(status, description)]);
    for (status, description) in described {
        assert_eq!(responses[status]["description"], description, "{status}");
    }
    for (code, response) in responses {
        let expected = if code == status { success } else { page.failure };
        let schema = json_schema(response);
        assert_eq!(resolved(&document, schema)["type"], "object", "{code}");
        assert_eq!(properties(&document, schema, ""), expected.iter().map(found).collect(), "{code}");
        assert_promised(&document, schema);
    }
}

#[test]
fn generate_join_code_matches_its_page() {
    assert_transcribed(&GENERATE_JOIN_CODE);
}

#[test]
fn create_code_matches_its_page() {
    assert_transcribed(&CREATE_CODE);
}

#[test]
fn server_is_the_root_and_bearer_tokens_are_jwts() {
    let document = document();
    let servers = document["servers"].as_array().unwrap();
    assert_eq!((servers.len(), &servers[0]["url"]), (1, &json!("/")));
    let scheme = &document["components"]["securitySchemes"]["accessToken"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| !path.starts_with("/api/classes")), "the alias is no path of its own");
    let mention = document["paths"]["/classes/{classId}/join-code"]["post"]["description"].as_str().unwrap();
    assert!(mention.contains("`/api/classes/{classId}/join-code`"));
}

#[test]
fn bounds_of_a_sign_in_match_the_contract() {
    let document = document();
    let schema = &document["components"]["schemas"]["CreateCodeRequest"]["properties"];
    for (name, min, max) in
        [("email", 3, 254), ("password", 1, 256), ("state", 1, 1024), ("redirectUri", 1, 2048)]
    {
        assert_eq!(
            (&schema[name]["minLength"], &schema[name]["maxLength"]),
            (&json!(min), &json!(max)),
            "{name}"
        );
    }
    assert_eq!(schema["acceptPrivacyPolicy"]["default"], false);
    assert_eq!(schema["password"]["writeOnly"], true);
}
