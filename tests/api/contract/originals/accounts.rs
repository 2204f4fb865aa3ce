//! The operations of the sign-in family about accounts.

use std::collections::BTreeSet;

use super::super::{document, resolved};

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
