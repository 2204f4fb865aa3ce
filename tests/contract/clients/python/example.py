"""A teacher draws a join code, and a student joins with it."""

import os
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

# What `openapi-python-client generate --path openapi.yaml --meta none --output-path homeroom` writes.
from homeroom import AuthenticatedClient, Client
from homeroom.api.classes import generate_join_code, get_class_by_id, join_class_by_code
from homeroom.api.sign_in import create_code, create_token
from homeroom.models import (
    ClassEnrollmentStatus,
    ClassEnrollmentSuccess,
    ClassroomError,
    ClassroomErrorCode,
    CreateCodeRequest,
    CreateTokenRequest,
    GeneratedJoinCodeSuccess,
    IssuedCodeList,
    SchoolClassSuccess,
    SignInErrorCode,
    SignInErrors,
    SignInService,
    TokenGrantType,
    TokenSetList,
)
from homeroom.types import Response

APP = "11111111-1111-1111-1111-111111111111"
CALLBACK = "https://app.example.com/callback"
CLASS = "22222222-2222-2222-2222-222222222222"
SOMEBODY_ELSES = "33333333-3333-3333-3333-333333333333"
URL = os.environ.get("HOMEROOM_URL", "http://127.0.0.1:8080")

anyone = Client(URL)
Body = TypeVar("Body")
Documented = TypeVar("Documented")


def expect(status: int, body: type[Body], answer: Response[Documented]) -> Body:
    """The body of an answer that has this status and this type."""
    if answer.status_code != status or not isinstance(answer.parsed, body):
        raise SystemExit(f"expected {status} {body.__name__}, got {answer}")
    return answer.parsed


def request_code(email: str, password: str) -> Response[IssuedCodeList | SignInErrors]:
    body = CreateCodeRequest(email, password, "state-from-client", CALLBACK, app_uuid=APP)
    return create_code.sync_detailed(client=anyone, body=body)


def sign_in(email: str) -> AuthenticatedClient:
    """The answer is a URL with a code in it, and the code becomes an access token, once."""
    code = expect(201, IssuedCodeList, request_code(email, "VeryStrongPass123!")).items[0]
    query = parse_qs(urlsplit(code.next_action.url).query)
    body = CreateTokenRequest(
        client_id=APP,
        service=SignInService.EMAIL,
        grant_type=TokenGrantType.AUTHORIZATION_CODE,
        redirect_uri=CALLBACK,
        code=query["code"][0],
        state=query["state"][0],
    )
    token = expect(201, TokenSetList, create_token.sync_detailed(client=anyone, body=body)).items[0]
    again = expect(400, SignInErrors, create_token.sync_detailed(client=anyone, body=body))
    assert again.errors[0].code is SignInErrorCode("[E4000]"), again
    return AuthenticatedClient(URL, token=token.access_token, prefix=token.token_type)


wrong = expect(400, SignInErrors, request_code("user@example.com", "not-the-password"))
assert wrong.errors[0].code is SignInErrorCode("[E4000]"), wrong

teacher = sign_in("user@example.com")
drawn = expect(200, GeneratedJoinCodeSuccess, generate_join_code.sync_detailed(CLASS, client=teacher)).data

failure = expect(403, ClassroomError, generate_join_code.sync_detailed(SOMEBODY_ELSES, client=teacher))
assert failure.error_code is ClassroomErrorCode.FORBIDDEN, failure
failure = expect(404, ClassroomError, generate_join_code.sync_detailed("unknown", client=teacher))
assert failure.error_code is ClassroomErrorCode.CLASS_NOT_FOUND, failure
nobody = AuthenticatedClient(URL, token="", prefix="")
failure = expect(401, ClassroomError, generate_join_code.sync_detailed(CLASS, client=nobody))
assert failure.error_code is ClassroomErrorCode.UNAUTHORIZED, failure

student = sign_in("student@example.com")
joined = expect(201, ClassEnrollmentSuccess, join_class_by_code.sync_detailed(drawn.join_code, client=student))
assert joined.data.status is ClassEnrollmentStatus.ACTIVE, joined
failure = expect(409, ClassroomError, join_class_by_code.sync_detailed(drawn.join_code, client=student))
assert failure.error_code is ClassroomErrorCode.ALREADY_ENROLLED, failure
failure = expect(400, ClassroomError, join_class_by_code.sync_detailed("unknown", client=student))
assert failure.error_code is ClassroomErrorCode.INVALID_JOIN_CODE, failure

seen = expect(200, SchoolClassSuccess, get_class_by_id.sync_detailed(CLASS, client=teacher))
assert seen.data.join_code == drawn.join_code, seen
seen = expect(200, SchoolClassSuccess, get_class_by_id.sync_detailed(CLASS, client=student))
assert seen.data.join_code is None, seen
