"""Classes and students of the account "owner", for operations that change or end them.

The classes of the sample school stay as they are: other operations of the run need them. HOMEROOM_URL is the server.
"""

import json
import os
import urllib.request

from sign_in import access_token


class Scene:
    """A class of an owner, with students."""

    def __init__(self, owner):
        self._owner = owner
        self._token = None
        self._class = None

    def _post(self, path, body=None):
        server = os.environ["HOMEROOM_URL"]
        # One session for the whole run: a further one could end the session of the token that the requests have.
        self._token = self._token or access_token(server, self._owner)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(server + path, json.dumps(body or {}).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]

    def new_class(self):
        """Returns the id of a class that nothing else uses."""
        return self._post("/classes", {"name": "Conformance"})["id"]

    def shared_class(self):
        """Returns the id of a class with a join code, which is made once."""
        if self._class is None:
            self._class = self.new_class()
            self._post(f"/classes/{self._class}/join-code")
        return self._class

    def new_student(self):
        """Returns the id of a student of the shared class that nothing else uses."""
        return self._post(f"/classes/{self.shared_class()}/students", {"firstName": "Linh", "lastName": "Nguyen"})["id"]
