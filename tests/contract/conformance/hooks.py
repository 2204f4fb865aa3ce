"""Adds to Schemathesis what the document cannot express: the identity, one link, and one check.

HOMEROOM_URL is the server. CONFORMANCE_IDENTITY is "anonymous", "teacher", "student" or "both". With "both", the teacher
generates join codes, and the student joins and reads the class. The account "owner" of each identity owns classes and students
that its operations may change and delete.
"""

import os
from urllib.error import HTTPError

import schemathesis
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import stateful

from accounts import address, restore_password
from classes import Scene
from sign_in import STUDENT, TEACHER, access_token, credentials

IDENTITY = os.environ["CONFORMANCE_IDENTITY"]

# An account has at most 100 sessions. The run begins further ones, and the oldest ends.
REFRESH_SECONDS = 30
# The holder ends its own session in most runs, and needs the next one soon.
HOLDER_REFRESH_SECONDS = 1

CLASSES = [
    "generateJoinCode",
    "joinClassByCode",
    "getClassById",
    "getClasses",
    "createClass",
    "getJoinCode",
    "revokeJoinCode",
]
OWNER = address("owner", IDENTITY)
# Operations on a class of the account "owner", and on a student of it.
OWN_CLASS = ["updateClass", "deleteClass"]
OWN_STUDENT = []
OWN_ACCOUNT = ["getCurrentUser", "getCurrentUserProfile", "updateCurrentUserProfile"]
SIGNED_IN_OPERATIONS = {
    "anonymous": {},
    "teacher": {TEACHER: [*CLASSES, *OWN_ACCOUNT]},
    "student": {STUDENT: [*CLASSES, *OWN_ACCOUNT]},
    "both": {TEACHER: ["generateJoinCode"], STUDENT: ["joinClassByCode", "getClassById", *OWN_ACCOUNT]},
}[IDENTITY]
if IDENTITY != "anonymous":
    # These operations end the session or the account of the caller.
    SIGNED_IN_OPERATIONS |= {
        address("leaver", IDENTITY): ["deleteCurrentUser"],
        address("changer", IDENTITY): ["changePassword"],
        address("holder", IDENTITY): ["getSessions", "deleteSession"],
        # These operations change or end classes. They get classes of their own.
        OWNER: [*OWN_CLASS, *OWN_STUDENT],
    }


def sign_in_as(email, operations):
    """Sends the token of `email` with `operations`."""

    interval = HOLDER_REFRESH_SECONDS if email.startswith("holder.") else REFRESH_SECONDS

    @schemathesis.auth(refresh_interval=interval).apply_to(operation_id=operations)
    class Bearer:
        def get(self, case, context):
            try:
                return access_token(os.environ["HOMEROOM_URL"], email)
            except HTTPError as error:
                if error.code == 400 and email.startswith("changer."):
                    # A request of the account changed its password.
                    restore_password(email)
                    return access_token(os.environ["HOMEROOM_URL"], email)
                # The account was deleted by its own request. An invalid token gets 401.
                if error.code != 400 or not email.startswith("leaver."):
                    raise
                return "deleted"

        def set(self, case, data, context):
            case.headers["Authorization"] = f"Bearer {data}"


for email, operations in SIGNED_IN_OPERATIONS.items():
    sign_in_as(email, operations)


scene = Scene(OWNER)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts a class and a student of the owner into valid requests of the owner."""
    del context, kwargs
    operation = case.operation.definition.raw["operationId"]
    if IDENTITY == "anonymous" or operation not in [*OWN_CLASS, *OWN_STUDENT]:
        return
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "classId" in case.path_parameters:
        case.path_parameters["classId"] = scene.new_class() if operation == "deleteClass" else scene.shared_class()
    if "studentId" in case.path_parameters:
        case.path_parameters["studentId"] = scene.new_student()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Links createCode to createToken.

    The code is inside a URL. OpenAPI runtime expressions cannot select a part of a property, so the link uses `#regex:`,
    an extension of Schemathesis. Therefore it is here and not in the document.
    """
    del context
    codes = raw_schema["paths"]["/api/v1/codes"]["post"]
    codes["responses"]["201"]["links"] = {
        "createToken": {
            "operationId": "createToken",
            "requestBody": {
                "client_id": "$request.body#/appUuid",
                "service": "email",
                "grant_type": "authorization_code",
                "redirect_uri": "$request.body#/redirectUri",
                "code": "$response.body#/items/0/nextAction/url#regex:[?&]code=([^&]+)",
                "state": "$request.body#/state",
            },
        }
    }


# Under all names of the media type, because Schemathesis uses the first one that it knows.
@schemathesis.deserializer(*YAML_MEDIA_TYPES)
def read_yaml_as_text(context, response):
    """Returns a YAML body as text, as the document declares it. By default, Schemathesis parses it."""
    del context
    return response.content.decode()


# The example of RFC 7636, appendix B.
CHALLENGE = {"codeChallenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "codeChallengeMethod": "S256"}


@schemathesis.hook.apply_to(operation_id="createCode")
def map_case(context, case):
    """Replaces the valid properties of an invalid sign-in request by those of the sample school.

    Then the invalid property is the only reason to refuse the request. Otherwise the generated app, user or redirect URI
    would be unknown, and the test would not find a server that accepts the invalid property.
    """
    del context
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.BODY) or not isinstance(case.body, dict):
        return case
    schema = case.operation.get_body_for_media_type("application/json").raw_schema
    validator = make_validator(schema, case.operation.schema.adapter.jsonschema_validator_cls)
    invalid = {error.instance_path[0] for error in validator.iter_errors(case.body) if error.instance_path}
    for name, value in credentials(TEACHER).items():
        if name in case.body and name not in invalid:
            case.body[name] = value
    # A challenge without its method would be a second reason.
    if not CHALLENGE.keys().isdisjoint(case.body):
        case.body = CHALLENGE | case.body
    if not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.pop("Origin", None)
    return case


# The first operations of the stateful phase. Schemathesis guesses them from names: it would take appUuid and classId for
# ids of resources that no operation creates, and would start only with generated join codes.
FIRST_OPERATIONS = {"createCode", "createClass", "generateJoinCode", "getClasses", "getSessions"}
assert callable(stateful.is_likely_root_transition)
stateful.is_likely_root_transition = lambda operation, *_: operation.definition.raw["operationId"] in FIRST_OPERATIONS


# The messages with which an operation that names an app may refuse a valid request.
APP_REFUSALS = {
    "appUuid is required unless the Origin header names the app",
    "appUuid is not the id of an enabled app",
    "Origin does not belong to the app",
}
# The beginnings of the messages about new passwords. A schema cannot express which passwords are weak or equal.
PASSWORD_REFUSALS = (
    "password must have at least ",
    "password is one of the most common passwords",
    "password is easy to guess",
    "passwordConfirmation must be equal to password",
)
LINK_REFUSED = "The link is invalid, has expired or was used"
# The messages with which an operation of the sign-in family may refuse a valid request.
SIGN_IN_REFUSALS = {
    "createCode": APP_REFUSALS
    | {
        "redirectUri is not registered for the app",
        "The e-mail address or the password is wrong",
        # The accounts of the sample school have passwords of their own.
        "newPassword is only for passwords that must be changed",
        # OpenAPI 3.0 has no keyword for a property that requires another one.
        "codeChallengeMethod is required with codeChallenge",
        # The pattern covers ASCII only. The description covers the other control characters.
        "state must have no control characters",
    },
    "createToken": {
        "The code is invalid, has expired or was redeemed, or was issued for something else",
        "The refresh token is invalid, was used before, or was issued to another app, or its session has ended",
        # OpenAPI 3.0 cannot say that a refresh token makes other properties optional.
        "redirect_uri is required",
        "code is required",
        "state is required",
        "refresh_token is required",
        "state must have no control characters",
    },
    "revokeToken": {"token was not issued to the app of client_id"},
    "createUser": APP_REFUSALS
    | {
        "email has a mail domain that may not register in the app",
        "acceptedTermsAndConditions must be true",
        "acceptedDataPrivacy must be true",
    },
    "confirmUser": APP_REFUSALS | {LINK_REFUSED},
    "updateUser": APP_REFUSALS
    | {
        LINK_REFUSED,
        # OpenAPI 3.0 has no keyword for a property that requires another one.
        "email is required to ask for a link",
        "confirmHash is required to set a new password",
        "password is required to set a new password",
        "passwordConfirmation is required to set a new password",
    },
    "changePassword": {"currentPassword is wrong"},
}
CLASSROOM_REFUSALS = {
    # A name of blanks, control characters in a text, settings that are too large.
    "createClass": {"BAD_REQUEST"},
    "updateClass": {"BAD_REQUEST"},
    "joinClassByCode": {"INVALID_JOIN_CODE", "OWN_CLASS"},
    "updateCurrentUserProfile": {"BAD_REQUEST"},
}


@schemathesis.check
def valid_request_is_accepted(ctx, response, case):
    """Fails if the server reports a validation error for a request that the document allows.

    These operations may return 400 for a valid request, so schemathesis.toml allows this status for them. This check
    allows it only for the listed reasons.
    """
    del ctx
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    operation = case.operation.definition.raw["operationId"]
    if operation in SIGN_IN_REFUSALS:
        unexpected = {error["message"] for error in response.json()["errors"]} - SIGN_IN_REFUSALS[operation]
        unexpected = {message for message in unexpected if not message.startswith(PASSWORD_REFUSALS)}
    else:
        unexpected = {response.json()["errorCode"]} - CLASSROOM_REFUSALS.get(operation, set())
    assert not unexpected, f"the server refused a request that the document allows: {', '.join(sorted(unexpected))}"
