"""Runs Schemathesis against one server with each identity, and summarizes its reports.

  campaign.py run DATABASE DIRECTORY EXAMPLES SEED
      runs with each identity at $HOMEROOM_URL; the reports are in DIRECTORY
  campaign.py total REQUIRED DIRECTORY...
      prints the figures of these runs, and fails if they sent fewer than REQUIRED requests
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml

import accounts

HERE = Path(__file__).resolve().parent

# "both" is before "student", so that the student is enrolled then.
IDENTITIES = ["anonymous", "teacher", "both", "student"]

# The operations of the identity "both". All operations would seldom follow the links from a join code to its class.
OF_BOTH = ["createCode", "createToken", "generateJoinCode", "joinClassByCode", "getClassById"]

# The responses that the stateful phase must have received, with any identity. For the operations in LINKED, only
# requests that follow a link count.
REQUIRED_RESPONSES = {
    ("createCode", 201),
    ("createToken", 201),
    ("generateJoinCode", 200),
    ("joinClassByCode", 201),
    ("joinClassByCode", 409),
    ("getClassById", 200),
    ("createClass", 201),
    ("getClasses", 200),
    ("getSessions", 200),
    ("deleteSession", 200),
}
LINKED = {"createToken", "joinClassByCode", "getClassById"}


def fetch(url, path):
    """Stores the served document. Schemathesis does not test the operation of the document if it reads it from there."""
    with urllib.request.urlopen(url, timeout=30) as response:
        path.write_bytes(response.read())


def run(database, directory, examples, seed):
    directory.mkdir(parents=True, exist_ok=True)
    accounts.prepare([identity for identity in IDENTITIES if identity != "anonymous"])
    server = os.environ["HOMEROOM_URL"]
    document = directory / "openapi.yaml"
    fetch(f"{server}/openapi.yaml", document)
    operations = operation_ids(document)
    figures, received, failed = {}, set(), []
    for number, identity in enumerate(IDENTITIES):
        began = time.monotonic()
        reports = directory / identity
        reports.mkdir(exist_ok=True)
        ended = schemathesis(server, document, reports, identity, examples, seed + number)
        report = json.loads((reports / "report.json").read_text())
        phases, seen = read_events(reports / "events.ndjson", operations)
        received |= seen
        figures[identity] = {
            # Counted by Schemathesis. The numbers of the phases are counted from its events.
            "requests": report["test_cases"]["generated"],
            "phases": phases,
            "failures": report["test_cases"]["unique_failures"],
            "seconds": round(time.monotonic() - began, 1),
        }
        print(f"{database} {identity}: {figures[identity]}", flush=True)
        tested = len(OF_BOTH) if identity == "both" else len(operations)
        whole = report["complete"] and report["operations"]["tested"] == tested
        done = all(phase["status"] == "success" for phase in report["phases"].values())
        if ended != 0 or not whole or not done:
            failed.append(identity)
            print((reports / "output.txt").read_text(), flush=True)
        else:
            # Hundreds of megabytes, which only help to explain a failure.
            (reports / "events.ndjson").unlink()
    (directory / "figures.json").write_text(json.dumps(figures, indent=2))
    if failed:
        sys.exit(f"{database}: Schemathesis failed with the identities {', '.join(failed)} (seeds from {seed})")
    if missing := REQUIRED_RESPONSES - received:
        sys.exit(f"{database}: the stateful phase never received {sorted(missing)}")


def schemathesis(server, document, reports, identity, examples, seed):
    """Runs Schemathesis once. Returns its exit status."""
    command = [Path(sys.executable).parent / "st", "--no-color", "--config-file", HERE / "schemathesis.toml"]
    command += ["run", document, "--url", server, "--seed", str(seed), "--max-examples", str(examples)]
    command += ["--report", "json,ndjson", "--report-json-path", reports / "report.json"]
    command += ["--report-ndjson-path", reports / "events.ndjson"]
    if identity == "both":
        command += [argument for operation in OF_BOTH for argument in ("--include-operation-id", operation)]
    environment = os.environ | {
        "CONFORMANCE_IDENTITY": identity,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
    }
    with open(reports / "output.txt", "w") as output:
        # Schemathesis writes other files to its current directory.
        return subprocess.run(
            command,
            cwd=reports,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=120 + 3 * examples,
        ).returncode


def operation_ids(document):
    """Returns the `operationId` of each method and path."""
    paths = yaml.safe_load(document.read_text())["paths"]
    return {
        (method.upper(), path): operation["operationId"]
        for path, item in paths.items()
        for method, operation in item.items()
    }


def read_events(path, operations):
    """Returns the number of requests of each phase, and the responses of the stateful phase."""
    phases, seen = {}, set()
    with open(path) as events:
        for line in events:
            scenario = json.loads(line).get("ScenarioFinished")
            if scenario is None:
                continue
            phase, recorder = scenario["phase"], scenario["recorder"]
            phases[phase] = phases.get(phase, 0) + len(recorder.get("interactions", {}))
            if phase != "stateful":
                continue
            for case_id, interaction in recorder.get("interactions", {}).items():
                case = recorder["cases"].get(case_id)
                if case is None or interaction.get("response") is None:
                    continue
                operation = operations.get((case["value"]["method"], case["value"]["path"]))
                if case.get("is_transition_applied") or operation not in LINKED:
                    seen.add((operation, interaction["response"]["status_code"]))
    return phases, seen


def total(required, directories):
    requests = 0
    for directory in directories:
        for identity, figures in json.loads((directory / "figures.json").read_text()).items():
            phases = ", ".join(f"{count} {phase}" for phase, count in figures["phases"].items())
            print(
                f"{directory.name:<10} {identity:<8} {figures['requests']:>7} requests "
                f"{figures['failures']:>3} failures {figures['seconds']:>7} s  ({phases})"
            )
            requests += figures["requests"]
    print(f"{requests} requests in total")
    if requests < required:
        sys.exit(f"at least {required} requests are required")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        total(int(sys.argv[2]), [Path(directory) for directory in sys.argv[3:]])
