"""What Schemathesis cannot read from the document: who is signed in, the one link that OpenAPI cannot express, and
a check of ours.

The environment names the server (HOMEROOM_URL) and who is signed in (CONFORMANCE_IDENTITY): "nobody", "teacher",
"student", or "both", where each operation is called by whoever calls it in the story.
"""

import os

import schemathesis
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import stateful

from sign_in import STUDENT, TEACHER, access_token, credentials

IDENTITY = os.environ["CONFORMANCE_IDENTITY"]

# Well within the 60 minutes that a token lives, so that a soak may last as long as one likes.
REFRESH_SECONDS = 20 * 60

WHO_SIGNS_IN = {
    "nobody": {},
    "teacher": {TEACHER: ["generateJoinCode", "joinClassByCode", "getClassById"]},
    "student": {STUDENT: ["generateJoinCode", "joinClassByCode", "getClassById"]},
    "both": {TEACHER: ["generateJoinCode"], STUDENT: ["joinClassByCode", "getClassById"]},
}


def sign_in_as(email, operations):
    """Lets `email` call `operations`."""

    @schemathesis.auth(refresh_interval=REFRESH_SECONDS).apply_to(operation_id=operations)
    class Bearer:
        def get(self, case, context):
            return access_token(os.environ["HOMEROOM_URL"], email)

        def set(self, case, data, context):
            case.headers["Authorization"] = f"Bearer {data}"


for email, operations in WHO_SIGNS_IN[IDENTITY].items():
    sign_in_as(email, operations)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Links a code to the tokens it becomes.

    The code is inside a URL, and runtime expressions of OpenAPI end at the property that holds the URL; the part behind
    `#regex:` is Schemathesis' own, and so it stands here and not in the document.
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


# All names of the media type: Schemathesis takes the first that it knows.
@schemathesis.deserializer(*YAML_MEDIA_TYPES)
def read_yaml_as_text(context, response):
    """Keeps a YAML file the text that the document calls it, where Schemathesis would read what is in it."""
    del context
    return response.content.decode()


# The example of RFC 7636, appendix B.
CHALLENGE = {"codeChallenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "codeChallengeMethod": "S256"}


@schemathesis.hook.apply_to(operation_id="createCode")
def map_case(context, case):
    """Leaves a faulty request to sign in no other reason to be refused than its fault.

    What was made up names no app, no user and no redirect URI, so that a server that overlooks the fault would refuse
    the request all the same. What is well-formed becomes what the sample school has; what is faulty, or missing, stays.
    """
    del context
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.BODY) or not isinstance(case.body, dict):
        return case
    schema = case.operation.get_body_for_media_type("application/json").raw_schema
    validator = make_validator(schema, case.operation.schema.adapter.jsonschema_validator_cls)
    faulty = {error.instance_path[0] for error in validator.iter_errors(case.body) if error.instance_path}
    for name, value in credentials(TEACHER).items():
        if name in case.body and name not in faulty:
            case.body[name] = value
    # A challenge needs its method, which is another reason.
    if not CHALLENGE.keys().isdisjoint(case.body):
        case.body = CHALLENGE | case.body
    if not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.pop("Origin", None)
    return case


# Where a story begins. Schemathesis guesses that from names: it takes appUuid and classId for the ids of resources that
# no operation makes, and would begin with join codes that are made up, and with nothing else.
BEGINNINGS = {"createCode", "generateJoinCode"}
assert callable(stateful.is_likely_root_transition)
stateful.is_likely_root_transition = lambda operation, *_: operation.definition.raw["operationId"] in BEGINNINGS


# What createCode and createToken say to a request that is well-formed, and is refused for what it names.
SIGN_IN_REFUSALS = {
    "createCode": {
        "appUuid is required unless the Origin header names the app",
        "appUuid is not the id of an enabled app",
        "Origin does not belong to the app",
        "redirectUri is not registered for the app",
        "The e-mail address or the password is wrong",
        # That a challenge needs its method, the document says in words: OpenAPI 3.0 has no keyword for it.
        "codeChallengeMethod is required with codeChallenge",
        # The pattern is ASCII, and the document says in words what it cannot.
        "state must have no control characters",
    },
    "createToken": {
        "The code is invalid, has expired or was redeemed, or was issued for something else",
        "state must have no control characters",
    },
}
JOIN_REFUSALS = {"INVALID_JOIN_CODE", "OWN_CLASS"}


@schemathesis.check
def form_is_accepted(ctx, response, case):
    """What the document allows is never called a fault of the form.

    The three operations that may answer 400 to a well-formed request are excused from `positive_data_acceptance` for
    that status (schemathesis.toml); this holds them to the reasons for which they may.
    """
    del ctx
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    operation = case.operation.definition.raw["operationId"]
    if operation in SIGN_IN_REFUSALS:
        unexpected = {error["message"] for error in response.json()["errors"]} - SIGN_IN_REFUSALS[operation]
    else:
        unexpected = {response.json()["errorCode"]} - JOIN_REFUSALS
    assert not unexpected, f"a request that the document allows was refused: {', '.join(sorted(unexpected))}"
