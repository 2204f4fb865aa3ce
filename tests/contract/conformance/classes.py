"""Classes and students of the account "owner", for operations that change or end them.

The classes of the sample school stay as they are: other operations of the run need them. HOMEROOM_URL is the server.
"""

import json
import os
import urllib.request

from sign_in import access_token


class Scene:
    """The classes and students of an owner."""

    def __init__(self, owner):
        self._owner = owner
        self._token = None
        self._made = {}

    def _post(self, path, body=None):
        server = os.environ["HOMEROOM_URL"]
        # One session for the whole run: a further one could end the session of the token that the requests have.
        self._token = self._token or access_token(server, self._owner)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(server + path, json.dumps(body or {}).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]

    def _once(self, name, make):
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def new_class(self):
        """Returns the id of a class that nothing else uses."""
        return self._post("/classes", {"name": "Conformance"})["id"]

    def changed_class(self):
        """Returns the id of the class whose properties change."""
        return self._once("changed class", self.new_class)

    def class_of_students(self):
        """Returns the id of the class in which students are made."""
        return self._once("class of students", self.new_class)

    def new_student(self):
        """Returns the id of a student that nothing else uses."""
        body = {"firstName": "Linh", "lastName": "Nguyen"}
        return self._post(f"/classes/{self.class_of_students()}/students", body)["id"]

    def changed_student(self):
        """Returns the id of the student whose properties change."""
        return self._once("changed student", self.new_student)
