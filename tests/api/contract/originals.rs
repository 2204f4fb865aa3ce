//! Facts about the operations of the source systems. Their clients depend on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{document, resolved};

/// An operation of the source system. Other statuses are additions of this server: 429 and 503.
struct Original {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    /// Name and location of each parameter. All are required strings.
    parameters: &'static [(&'static str, &'static str)],
    /// The properties of the request body. All are optional.
    body: &'static [&'static str],
    success: &'static str,
    /// The schema of `data`, in the source's order.
    data: &'static [Property],
    /// Each error status with a part of its description.
    failures: &'static [(&'static str, &'static [&'static str])],
}

/// A property: name, type with its format, whether it is nullable, whether the source requires it, and its bounds.
struct Property {
    name: &'static str,
    kind: &'static str,
    nullable: bool,
    required: bool,
    max_length: Option<u64>,
    values: &'static [&'static str],
}

const fn property(name: &'static str, kind: &'static str) -> Property {
    Property { name, kind, nullable: false, required: false, max_length: None, values: &[] }
}

const fn required(name: &'static str, kind: &'static str) -> Property {
    Property { required: true, ..property(name, kind) }
}

const fn nullable(name: &'static str, kind: &'static str) -> Property {
    Property { nullable: true, ..property(name, kind) }
}

const PROFILE: &[Property] = &[
    property("id", "string"),
    property("email", "string(email)"),
    property("firstName", "string"),
    property("lastName", "string"),
    property("dateOfBirth", "string(date)"),
    nullable("avatarUrl", "string(uri)"),
    property("createdAt", "string(date-time)"),
    property("updatedAt", "string(date-time)"),
    nullable("phoneNumber", "string"),
];

const ORIGINALS: [Original; 5] = [
    Original {
        id: "generateJoinCode",
        method: "post",
        path: "/classes/{classId}/join-code",
        parameters: &[("classId", "path")],
        body: &[],
        success: "200",
        data: &[property("joinCode", "string"), property("expiresAt", "string(date-time)")],
        failures: &[
            ("401", &["Invalid or missing authentication token"]),
            ("403", &["Only class owner"]),
            ("404", &["Class not found"]),
            ("500", &["Internal Server Error"]),
        ],
    },
    Original {
        id: "joinClassByCode",
        method: "post",
        path: "/classes/join/{joinCode}",
        parameters: &[("joinCode", "path")],
        body: &[],
        success: "201",
        data: &[
            required("id", "string"),
            required("classId", "string"),
            required("studentId", "string"),
            property("enrolledAt", "string(date)"),
            // `pending` is an addition of this server: the student waits for the owner's approval.
            Property {
                values: &["active", "dropped", "completed", "pending"],
                ..property("status", "string")
            },
            property("createdAt", "string(date-time)"),
            property("updatedAt", "string(date-time)"),
        ],
        failures: &[
            ("400", &["invalid", "expired"]),
            ("401", &["Invalid or missing authentication token"]),
            ("409", &["Already enrolled"]),
            ("500", &["Internal Server Error"]),
        ],
    },
    Original {
        id: "getClassById",
        method: "get",
        path: "/classes/{classId}",
        parameters: &[("classId", "path")],
        body: &[],
        success: "200",
        data: &[
            required("id", "string"),
            required("ownerId", "string"),
            Property { max_length: Some(50), ..required("name", "string") },
            nullable("description", "string"),
            Property { max_length: Some(10), ..nullable("joinCode", "string") },
            nullable("settings", "object"),
            property("isActive", "boolean"),
            property("createdAt", "string(date-time)"),
            property("updatedAt", "string(date-time)"),
            // Additions of this server.
            nullable("maxStudents", "integer(int32)"),
            property("requiresApproval", "boolean"),
        ],
        failures: &[
            ("401", &["Invalid or missing authentication token"]),
            ("403", &["owner", "enrolled"]),
            ("404", &["Class not found"]),
            ("500", &["Internal Server Error"]),
        ],
    },
    Original {
        id: "getCurrentUserProfile",
        method: "get",
        path: "/user/me",
        parameters: &[],
        body: &[],
        success: "200",
        data: PROFILE,
        failures: &[
            ("401", &["Invalid or missing authentication token"]),
            ("500", &["Internal Server Error"]),
        ],
    },
    Original {
        id: "updateCurrentUserProfile",
        method: "patch",
        path: "/user/me",
        parameters: &[],
        body: &["firstName", "lastName", "dateOfBirth"],
        success: "200",
        data: PROFILE,
        failures: &[
            ("400", &["Bad Request"]),
            ("401", &["Invalid or missing authentication token"]),
            ("500", &["Internal Server Error"]),
        ],
    },
];

/// The statuses that this server adds to an operation.
fn additions(id: &str) -> &'static [&'static str] {
    match id {
        "generateJoinCode" | "joinClassByCode" => &["429", "503"],
        _ => &["503"],
    }
}

fn kind(schema: &Value) -> String {
    let format = schema["format"].as_str().map_or_else(String::new, |format| format!("({format})"));
    format!("{}{format}", schema["type"].as_str().unwrap())
}

fn assert_data(document: &Value, original: &Original, data: &Value) {
    let names: Vec<&str> = data["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        original.data.iter().map(|property| property.name).collect::<Vec<_>>(),
        "{}",
        original.id
    );
    for property in original.data {
        let context = format!("{} {}", original.id, property.name);
        let schema = resolved(document, &data["properties"][property.name]);
        assert_eq!(kind(&schema), property.kind, "{context}");
        assert_eq!(schema["nullable"] == true, property.nullable, "{context}");
        let promised = data["required"].as_array().unwrap().contains(&json!(property.name));
        assert!(promised || !property.required, "{context}");
        if let Some(most) = property.max_length {
            assert!(schema["maxLength"].as_u64().is_some_and(|length| length <= most), "{context}");
        }
        if !property.values.is_empty() {
            assert_eq!(schema["enum"], json!(property.values), "{context}");
        }
    }
    // An object of any form.
    if let Some(settings) = data["properties"].get("settings") {
        assert!(settings["additionalProperties"] == json!({}) && settings.get("properties").is_none());
    }
}

#[test]
fn classroom_operation_has_the_parameters_statuses_and_properties_of_its_source() {
    let document = document();
    for original in &ORIGINALS {
        let operation = &document["paths"][original.path][original.method];
        assert_eq!(operation["operationId"], original.id, "{}", original.path);
        assert_eq!(operation["security"], json!([{ "accessToken": [] }]), "{}", original.id);
        let body = resolved(&document, &operation["requestBody"]["content"]["application/json"]["schema"]);
        for name in original.body {
            assert!(
                body["properties"].get(*name).is_some() && body.get("required").is_none(),
                "{} {name}",
                original.id
            );
        }
        assert_eq!(operation.get("requestBody").is_some(), !original.body.is_empty(), "{}", original.id);
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            assert_eq!(parameter["required"], true, "{}", original.id);
            assert_eq!(kind(&parameter["schema"]), "string", "{}", original.id);
            (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap())
        });
        assert_eq!(parameters.collect::<Vec<_>>(), original.parameters, "{}", original.id);

        let responses: BTreeMap<&str, &Value> = operation["responses"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(status, body)| (status.as_str(), body))
            .collect();
        let failures = original.failures.iter().map(|(status, _)| *status);
        let mut statuses: Vec<&str> = failures.chain([original.success]).collect();
        statuses.extend(additions(original.id));
        statuses.sort_unstable();
        assert_eq!(responses.keys().copied().collect::<Vec<_>>(), statuses, "{}", original.id);
        for (status, words) in original.failures {
            let description = responses[status]["description"].as_str().unwrap();
            assert!(
                words.iter().all(|word| description.contains(word)),
                "{} {status}: {description}",
                original.id
            );
        }
        for (status, response) in &responses {
            let body = resolved(&document, &response["content"]["application/json"]["schema"]);
            let names: Vec<&str> =
                body["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            if *status == original.success {
                assert_eq!(names, ["success", "code", "message", "data"], "{} {status}", original.id);
                assert_eq!(kind(&body["properties"]["code"]), "integer(int32)", "{} {status}", original.id);
                assert_data(&document, original, &resolved(&document, &body["properties"]["data"]));
            } else {
                let failure = ["success", "code", "errorCode", "message", "timestamp"];
                assert_eq!(names, failure, "{} {status}", original.id);
            }
        }
    }
}

/// An operation of the source's sign-in family about accounts.
struct AccountOriginal {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    parameters: &'static [&'static str],
    body: &'static [&'static str],
    success: &'static str,
    /// The error statuses, ours among them. The source also lists 400 for the two operations without a request body. It cannot
    /// happen here: nothing in their requests can be invalid.
    failures: &'static [&'static str],
}

const ACCOUNT_ORIGINALS: [AccountOriginal; 5] = [
    AccountOriginal {
        id: "createUser",
        method: "post",
        path: "/api/v1/users",
        parameters: &["language", "type", "Origin"],
        body: &[
            "email",
            "password",
            "passwordConfirmation",
            "acceptedTermsAndConditions",
            "acceptedDataPrivacy",
            "acceptPrivacyPolicy",
            "appUuid",
            "referrer",
            "phoneNumber",
        ],
        success: "201",
        failures: &["400", "429", "500", "503"],
    },
    AccountOriginal {
        id: "confirmUser",
        method: "put",
        path: "/api/v1/user-confirm-hashes/{hash}",
        parameters: &["hash", "Origin"],
        body: &["appUuid"],
        success: "200",
        failures: &["400", "500", "503"],
    },
    AccountOriginal {
        id: "updateUser",
        method: "put",
        path: "/api/v1/users",
        parameters: &["language", "Origin"],
        body: &[
            "appUuid",
            "email",
            "acceptPrivacyPolicy",
            "confirmHash",
            "password",
            "passwordConfirmation",
            "acceptedTermsAndConditions",
            "acceptedDataPrivacy",
        ],
        success: "200",
        failures: &["400", "429", "500", "503"],
    },
    AccountOriginal {
        id: "getCurrentUser",
        method: "get",
        path: "/api/v1/users/me",
        parameters: &[],
        body: &[],
        success: "200",
        failures: &["401", "403", "500", "503"],
    },
    AccountOriginal {
        id: "deleteCurrentUser",
        method: "delete",
        path: "/api/v1/users/me",
        parameters: &[],
        body: &[],
        success: "200",
        failures: &["401", "403", "500", "503"],
    },
];

#[test]
fn account_operation_has_the_parameters_properties_and_statuses_of_its_source() {
    let document = document();
    for original in &ACCOUNT_ORIGINALS {
        let operation = &document["paths"][original.path][original.method];
        assert_eq!(operation["operationId"], original.id, "{}", original.path);
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: BTreeSet<&str> =
            parameters.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(parameters, original.parameters.iter().copied().collect(), "{}", original.id);
        let body = resolved(&document, &operation["requestBody"]["content"]["application/json"]["schema"]);
        let properties = body["properties"].as_object().into_iter().flatten();
        let properties: BTreeSet<&str> = properties.map(|(name, _)| name.as_str()).collect();
        assert_eq!(properties, original.body.iter().copied().collect(), "{}", original.id);
        let responses = operation["responses"].as_object().unwrap();
        let statuses: BTreeSet<&str> = responses.keys().map(String::as_str).collect();
        let expected = original.failures.iter().copied().chain([original.success]).collect();
        assert_eq!(statuses, expected, "{}", original.id);
        let success = &responses[original.success]["content"]["application/json"]["schema"];
        let success = resolved(&document, success);
        let envelope = ["kind", "totalItems", "itemsLength", "items"];
        assert!(success["properties"].as_object().unwrap().keys().eq(envelope), "{}", original.id);
    }
}
