//! The operations and schemas of the classroom family, as its source describes them.

use super::{
    Body, Data, Original, Parameter, Property, Schema, nullable, path_parameter, property, query_parameter,
    required,
};

type Failure = (&'static str, &'static [&'static str]);

const INVALID: Failure = ("400", &["Bad Request"]);
const UNAUTHORIZED: Failure = ("401", &["Invalid or missing authentication token"]);
const OWNER_ONLY: Failure = ("403", &["Only class owner"]);
const NO_CLASS: Failure = ("404", &["Class not found"]);
const NO_STUDENT: Failure = ("404", &["tudent not found"]);
const FAILED: Failure = ("500", &["Internal Server Error"]);

const CLASS_ID: Parameter = path_parameter("classId");
const STUDENT_ID: Parameter = path_parameter("studentId");

pub const PAGINATION: Schema = Schema {
    name: "pagination",
    properties: &[
        property("currentPage", "integer(int32)"),
        property("pageSize", "integer(int32)"),
        property("totalItems", "integer(int32)"),
        property("totalPages", "integer(int32)"),
    ],
};

const CLASS: Schema = Schema {
    name: "Class",
    properties: &[
        required("id", "string"),
        required("ownerId", "string"),
        Property { max_length: Some(50), ..required("name", "string") },
        nullable("description", "string"),
        Property { max_length: Some(10), ..nullable("joinCode", "string") },
        nullable("settings", "object"),
        property("isActive", "boolean"),
        property("createdAt", "string(date-time)"),
        property("updatedAt", "string(date-time)"),
    ],
};

const CLASS_CREATE_REQUEST: Schema = Schema {
    name: "ClassCreateRequest",
    properties: &[
        Property { max_length: Some(50), ..required("name", "string") },
        nullable("description", "string"),
        nullable("settings", "object"),
    ],
};

const CLASS_UPDATE_REQUEST: Schema = Schema {
    name: "ClassUpdateRequest",
    properties: &[
        nullable("name", "string"),
        nullable("description", "string"),
        nullable("settings", "object"),
        nullable("isActive", "boolean"),
    ],
};

const JOIN_CODE: Schema = Schema {
    name: "JoinCode",
    properties: &[property("joinCode", "string"), property("expiresAt", "string(date-time)")],
};

const CLASS_ENROLLMENT: Schema = Schema {
    name: "ClassEnrollment",
    properties: &[
        required("id", "string"),
        required("classId", "string"),
        required("studentId", "string"),
        property("enrolledAt", "string(date)"),
        Property { values: &["active", "dropped", "completed"], ..property("status", "string") },
        property("createdAt", "string(date-time)"),
        property("updatedAt", "string(date-time)"),
    ],
};

const STUDENT_STATUS: Property =
    Property { values: &["active", "transferred", "graduated", "dropped"], ..nullable("status", "string") };

/// The newer form. The older one has also `email` and `role`.
const STUDENT: Schema = Schema {
    name: "Student",
    properties: &[
        property("id", "string"),
        property("userId", "string"),
        nullable("enrollmentDate", "string(date)"),
        nullable("address", "string"),
        nullable("parentContactEmail", "string"),
        STUDENT_STATUS,
        nullable("createdAt", "string(date-time)"),
        nullable("updatedAt", "string(date-time)"),
        nullable("username", "string"),
        nullable("password", "string"),
        nullable("firstName", "string"),
        nullable("lastName", "string"),
        nullable("phoneNumber", "string"),
        nullable("avatarUrl", "string(uri)"),
    ],
};

const STUDENT_CREATE_REQUEST: Schema = Schema {
    name: "StudentCreateRequest",
    properties: &[
        Property { max_length: Some(100), ..required("firstName", "string") },
        Property { max_length: Some(100), ..required("lastName", "string") },
        required("email", "string(email)"),
        nullable("phoneNumber", "string"),
        nullable("avatarUrl", "string(uri)"),
    ],
};

const STUDENT_UPDATE_REQUEST: Schema = Schema {
    name: "StudentUpdateRequest",
    properties: &[
        nullable("firstName", "string"),
        nullable("lastName", "string"),
        nullable("phoneNumber", "string"),
        nullable("avatarUrl", "string(uri)"),
        STUDENT_STATUS,
    ],
};

const STUDENT_IMPORT: Schema =
    Schema { name: "StudentImport", properties: &[required("file", "string(binary)")] };

const CREDENTIAL: Schema = Schema {
    name: "Credential",
    properties: &[
        property("studentId", "string"),
        property("username", "string"),
        property("password", "string"),
        nullable("email", "string(email)"),
        nullable("fullName", "string"),
    ],
};

const IMPORT_RESULT: Schema = Schema {
    name: "ImportResult",
    properties: &[
        property("success", "boolean"),
        nullable("studentsCreated", "integer(int32)"),
        nullable("message", "string"),
        Property { nested: Some(&CREDENTIAL), ..property("credentials", "object[]") },
        nullable("errors", "string[]"),
    ],
};

const BULK_REQUEST: Schema =
    Schema { name: "BulkCreateAccountsRequest", properties: &[required("studentIds", "string[]")] };

const CREATED_ACCOUNT: Schema = Schema {
    name: "CreatedAccount",
    properties: &[
        property("studentId", "string"),
        property("username", "string"),
        property("temporaryPassword", "string"),
    ],
};

const FAILED_ACCOUNT: Schema = Schema {
    name: "FailedAccount",
    properties: &[property("studentId", "string"), property("reason", "string")],
};

const BULK_RESULT: Schema = Schema {
    name: "BulkCreateAccountsResult",
    properties: &[
        property("totalCreated", "integer(int32)"),
        property("totalFailed", "integer(int32)"),
        Property { nested: Some(&CREATED_ACCOUNT), ..property("createdAccounts", "object[]") },
        Property { nested: Some(&FAILED_ACCOUNT), ..property("failedAccounts", "object[]") },
    ],
};

const USER_PROFILE: Schema = Schema {
    name: "UserProfile",
    properties: &[
        property("id", "string"),
        property("email", "string(email)"),
        property("firstName", "string"),
        property("lastName", "string"),
        property("dateOfBirth", "string(date)"),
        nullable("avatarUrl", "string(uri)"),
        property("createdAt", "string(date-time)"),
        property("updatedAt", "string(date-time)"),
        nullable("phoneNumber", "string"),
    ],
};

const USER_PROFILE_UPDATE_REQUEST: Schema = Schema {
    name: "UserProfileUpdateRequest",
    properties: &[
        property("firstName", "string"),
        property("lastName", "string"),
        property("dateOfBirth", "string(date)"),
    ],
};

/// All operations of the family.
pub const ORIGINALS: [Original; 15] = [
    Original {
        id: "getClasses",
        method: "get",
        path: "/classes",
        parameters: &[
            Parameter {
                bounds: (Some(1), None),
                default: Some(1),
                ..query_parameter("page", "integer(int32)")
            },
            Parameter {
                bounds: (Some(1), Some(100)),
                default: Some(10),
                ..query_parameter("pageSize", "integer(int32)")
            },
            // The source names two of these values as examples.
            Parameter {
                values: &["name-asc", "name-desc", "createdAt-asc", "createdAt-desc"],
                ..query_parameter("sort", "string")
            },
            query_parameter("search", "string"),
            query_parameter("isActive", "boolean"),
        ],
        body: Body::None,
        success: "200",
        data: Data::Page(&CLASS),
        failures: &[UNAUTHORIZED, FAILED],
    },
    Original {
        id: "createClass",
        method: "post",
        path: "/classes",
        parameters: &[],
        body: Body::Json(&CLASS_CREATE_REQUEST),
        success: "201",
        data: Data::One(&CLASS),
        failures: &[INVALID, UNAUTHORIZED, FAILED],
    },
    Original {
        id: "getClassById",
        method: "get",
        path: "/classes/{classId}",
        parameters: &[CLASS_ID],
        body: Body::None,
        success: "200",
        data: Data::One(&CLASS),
        failures: &[UNAUTHORIZED, ("403", &["owner", "enrolled"]), NO_CLASS, FAILED],
    },
    Original {
        id: "updateClass",
        method: "put",
        path: "/classes/{classId}",
        parameters: &[CLASS_ID],
        body: Body::Json(&CLASS_UPDATE_REQUEST),
        success: "200",
        data: Data::One(&CLASS),
        failures: &[INVALID, NO_CLASS, FAILED],
    },
    Original {
        id: "deleteClass",
        method: "delete",
        path: "/classes/{classId}",
        parameters: &[CLASS_ID],
        body: Body::None,
        success: "204",
        data: Data::None,
        failures: &[NO_CLASS, FAILED],
    },
    Original {
        id: "generateJoinCode",
        method: "post",
        path: "/classes/{classId}/join-code",
        parameters: &[CLASS_ID],
        body: Body::None,
        success: "200",
        data: Data::One(&JOIN_CODE),
        failures: &[UNAUTHORIZED, OWNER_ONLY, NO_CLASS, FAILED],
    },
    Original {
        id: "joinClassByCode",
        method: "post",
        path: "/classes/join/{joinCode}",
        parameters: &[path_parameter("joinCode")],
        body: Body::None,
        success: "201",
        data: Data::One(&CLASS_ENROLLMENT),
        failures: &[("400", &["invalid", "expired"]), UNAUTHORIZED, ("409", &["Already enrolled"]), FAILED],
    },
    Original {
        id: "getStudentsByClassId",
        method: "get",
        path: "/classes/{classId}/students",
        parameters: &[
            CLASS_ID,
            Parameter { default: Some(1), ..query_parameter("page", "integer(int32)") },
            Parameter { default: Some(10), ..query_parameter("size", "integer(int32)") },
        ],
        body: Body::None,
        success: "200",
        data: Data::Page(&STUDENT),
        failures: &[NO_CLASS, FAILED],
    },
    Original {
        id: "createAndEnrollStudent",
        method: "post",
        path: "/classes/{classId}/students",
        parameters: &[CLASS_ID],
        body: Body::Json(&STUDENT_CREATE_REQUEST),
        success: "200",
        data: Data::One(&STUDENT),
        failures: &[INVALID, NO_CLASS, FAILED],
    },
    Original {
        id: "removeStudentFromClass",
        method: "delete",
        path: "/classes/{classId}/students/{studentId}",
        parameters: &[CLASS_ID, STUDENT_ID],
        body: Body::None,
        success: "204",
        data: Data::None,
        failures: &[NO_STUDENT, FAILED],
    },
    Original {
        id: "submitImport",
        method: "post",
        path: "/classes/{classId}/students/import",
        parameters: &[CLASS_ID],
        body: Body::Form(&STUDENT_IMPORT),
        success: "200",
        data: Data::One(&IMPORT_RESULT),
        failures: &[("400", &["Bad Request", "file"]), NO_CLASS, FAILED],
    },
    Original {
        id: "bulkCreateStudentAccounts",
        method: "post",
        path: "/classes/{classId}/students/bulk-create-accounts",
        parameters: &[CLASS_ID],
        body: Body::Json(&BULK_REQUEST),
        success: "200",
        data: Data::One(&BULK_RESULT),
        failures: &[INVALID, UNAUTHORIZED, OWNER_ONLY, NO_CLASS, FAILED],
    },
    Original {
        id: "updateStudent",
        method: "put",
        path: "/students/{studentId}",
        parameters: &[STUDENT_ID],
        body: Body::Json(&STUDENT_UPDATE_REQUEST),
        success: "200",
        data: Data::One(&STUDENT),
        failures: &[INVALID, NO_STUDENT, FAILED],
    },
    Original {
        id: "getCurrentUserProfile",
        method: "get",
        path: "/user/me",
        parameters: &[],
        body: Body::None,
        success: "200",
        data: Data::One(&USER_PROFILE),
        failures: &[UNAUTHORIZED, FAILED],
    },
    Original {
        id: "updateCurrentUserProfile",
        method: "patch",
        path: "/user/me",
        parameters: &[],
        body: Body::Json(&USER_PROFILE_UPDATE_REQUEST),
        success: "200",
        data: Data::One(&USER_PROFILE),
        failures: &[INVALID, UNAUTHORIZED, FAILED],
    },
];
