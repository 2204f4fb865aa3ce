"""Prepares the accounts and the app of a run, with the commands of the measured program.

HOMEROOM_BINARY is the program, and HOMEROOM_DATA_DIR its data directory.
"""

import os
import subprocess

from sign_in import APP, PASSWORD

# Each of these accounts is for operations that end its session or the account itself, or that change its classes.
PURPOSES = ["leaver", "changer", "holder", "owner"]


def address(purpose, identity):
    """Returns the e-mail address of the account that an identity uses for a purpose."""
    return f"{purpose}.{identity}@example.com"


def _command(*arguments, text=""):
    subprocess.run([os.environ["HOMEROOM_BINARY"], *arguments], input=text, text=True, check=True, timeout=60)


def restore_password(email):
    """Gives an account the password of the sample school again."""
    _command("user", "set", "--email", email, "--password", text=PASSWORD)


def prepare(identities):
    """Opens the sample app for registration, and creates the accounts of each identity."""
    _command("app", "set", APP, "--registration", "open")
    for identity in identities:
        for purpose in PURPOSES:
            _command("user", "add", "--email", address(purpose, identity), text=PASSWORD)
