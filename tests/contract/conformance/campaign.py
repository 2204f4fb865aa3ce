"""Runs Schemathesis against one server as everybody who may call it, and counts what it did from its own reports.

  campaign.py run DATABASE DIRECTORY EXAMPLES SEED
      signs in as each identity in turn at $HOMEROOM_URL; the reports are in DIRECTORY
  campaign.py total REQUIRED DIRECTORY...
      prints the figures of these runs, and fails if there were fewer than REQUIRED requests
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent

# "both" comes before "student", who then is enrolled and sees what students see.
IDENTITIES = ["nobody", "teacher", "both", "student"]

# What the stateful phase must have seen, as one identity or another; what stands in LINKED, by following a link.
STORY = {
    ("createCode", 201),
    ("createToken", 201),
    ("generateJoinCode", 200),
    ("joinClassByCode", 201),
    ("joinClassByCode", 409),
    ("getClassById", 200),
}
LINKED = {"createToken", "joinClassByCode", "getClassById"}


def fetch(url, path):
    """Keeps the document that the server serves. Read from its address, it would be left out of the tests."""
    with urllib.request.urlopen(url, timeout=30) as response:
        path.write_bytes(response.read())


def run(database, directory, examples, seed):
    directory.mkdir(parents=True, exist_ok=True)
    server = os.environ["HOMEROOM_URL"]
    document = directory / "openapi.yaml"
    fetch(f"{server}/openapi.yaml", document)
    operations = operation_ids(document)
    figures, story, failed = {}, set(), []
    for number, identity in enumerate(IDENTITIES):
        began = time.monotonic()
        reports = directory / identity
        reports.mkdir(exist_ok=True)
        ended = schemathesis(server, document, reports, identity, examples, seed + number)
        report = json.loads((reports / "report.json").read_text())
        phases, seen = read_events(reports / "events.ndjson", operations)
        story |= seen
        figures[identity] = {
            # As Schemathesis counts them; the phases below are counted from its events.
            "requests": report["test_cases"]["generated"],
            "phases": phases,
            "failures": report["test_cases"]["unique_failures"],
            "seconds": round(time.monotonic() - began, 1),
        }
        print(f"{database} {identity}: {figures[identity]}", flush=True)
        whole = report["complete"] and report["operations"]["tested"] == len(operations)
        done = all(phase["status"] == "success" for phase in report["phases"].values())
        if ended != 0 or not whole or not done:
            failed.append(identity)
            print((reports / "output.txt").read_text(), flush=True)
    (directory / "figures.json").write_text(json.dumps(figures, indent=2))
    if failed:
        sys.exit(f"{database}: Schemathesis failed as {', '.join(failed)} (seeds from {seed})")
    if missing := STORY - story:
        sys.exit(f"{database}: the stateful phase never saw {sorted(missing)}")


def schemathesis(server, document, reports, identity, examples, seed):
    """One run; its exit status."""
    command = [Path(sys.executable).parent / "st", "--no-color", "--config-file", HERE / "schemathesis.toml"]
    command += ["run", document, "--url", server, "--seed", str(seed), "--max-examples", str(examples)]
    command += ["--report", "json,ndjson", "--report-json-path", reports / "report.json"]
    command += ["--report-ndjson-path", reports / "events.ndjson"]
    environment = os.environ | {
        "CONFORMANCE_IDENTITY": identity,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
    }
    with open(reports / "output.txt", "w") as output:
        # Schemathesis leaves files of its own where it is run.
        return subprocess.run(
            command,
            cwd=reports,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=120 + 3 * examples,
        ).returncode


def operation_ids(document):
    """The `operationId` of each method and path."""
    paths = yaml.safe_load(document.read_text())["paths"]
    return {
        (method.upper(), path): operation["operationId"]
        for path, item in paths.items()
        for method, operation in item.items()
    }


def read_events(path, operations):
    """How many requests each phase sent, and what the stateful phase reached."""
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
    print(f"{requests} requests in all")
    if requests < required:
        sys.exit(f"{required} were to be generated at least")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        total(int(sys.argv[2]), [Path(directory) for directory in sys.argv[3:]])
