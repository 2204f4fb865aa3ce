"""Signs in to the sample school."""

import json
import urllib.parse
import urllib.request

APP = "11111111-1111-1111-1111-111111111111"
REDIRECT_URI = "https://app.example.com/callback"
STATE = "conformance"
PASSWORD = "VeryStrongPass123!"
TEACHER = "user@example.com"
STUDENT = "student@example.com"


def _post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["items"][0]


def credentials(email):
    """Returns the request body to sign in as this user."""
    return {"appUuid": APP, "email": email, "password": PASSWORD, "state": STATE, "redirectUri": REDIRECT_URI}


def access_token(server, email):
    """Returns an access token of this user."""
    code = _post(f"{server}/api/v1/codes", credentials(email))
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(code["nextAction"]["url"]).query)
    tokens = _post(
        f"{server}/api/v1/tokens",
        {
            "client_id": APP,
            "service": "email",
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT_URI,
            "code": query["code"][0],
            "state": STATE,
        },
    )
    return tokens["accessToken"]
