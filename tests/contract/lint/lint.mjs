// Lints openapi.yaml with Redocly CLI and with Spectral. Warnings count as errors. Also tests the linters themselves: each
// must find the errors that are put into a copy of the document, and each exception in its configuration must still be
// needed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const document = resolve(here, "../../../openapi.yaml");
const text = readFileSync(document, "utf8");

// The packages of Spectral, resolved from its command line program.
const require = createRequire(createRequire(import.meta.url).resolve("@stoplight/spectral-cli/package.json"));
const { oas3, oas3_0 } = require("@stoplight/spectral-formats");
const { Yaml } = require("@stoplight/spectral-parsers");
const { getRuleset } = require("./dist/services/linter/utils/getRuleset.js");

const yaml = (name) => Yaml.parse(readFileSync(join(here, name), "utf8")).data;

const scratch = mkdtempSync(join(tmpdir(), "lint-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

// Runs a linter and returns its report. Exit status 1 means findings, and every status above 1 an error of the linter.
function report(tool, args) {
    const run = spawnSync(join(here, "node_modules/.bin", tool), args, {
        cwd: here,
        encoding: "utf8",
        env: { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", NO_COLOR: "1" },
        maxBuffer: 1 << 28,
        timeout: 120_000,
        killSignal: "SIGKILL",
    });
    try {
        if (run.error || (run.status !== 0 && run.status !== 1)) throw run.error ?? new Error(`status ${run.status}`);
        return JSON.parse(run.stdout);
    } catch (error) {
        throw new Error(`${tool} gave no report: ${error.message}\n${run.stdout}${run.stderr}`);
    }
}

const pointer = (path) => `#/${path.map((key) => String(key).replace(/~/g, "~0").replace(/\//g, "~1")).join("/")}`;

function redocly(file) {
    const { totals, problems } = report("redocly", [
        "lint", file, "--config", "redocly.yaml", "--format", "json", "--max-problems", "10000", "--lint-config", "error",
    ]);
    const found = problems.map((problem) => ({
        rule: problem.ruleId,
        error: problem.severity === "error",
        at: problem.location[0]?.pointer ?? "",
        message: problem.message,
    }));
    if (found.length !== totals.errors + totals.warnings) throw new Error("the report of redocly is incomplete");
    return { found, ignored: totals.ignored };
}

function spectral(file, ruleset = "spectral.yaml") {
    const results = report("spectral", [
        "lint", file, "--ruleset", ruleset, "--format", "json", "--quiet", "--fail-severity", "hint",
        "--fail-on-unmatched-globs",
    ]);
    const found = results.map((result) => ({
        rule: String(result.code),
        error: result.severity === 0,
        at: pointer(result.path),
        message: result.message,
    }));
    return { found };
}

// The number of rules that apply to this OpenAPI version. Internal API of Spectral, whose version is pinned.
async function spectralRules() {
    const { rules } = await getRuleset(join(here, "spectral.yaml"));
    const formats = new Set([oas3, oas3_0]);
    return Object.values(rules).filter((rule) => rule.enabled && rule.matchesFormat(formats)).length;
}

// The same rules without the exceptions, and the exceptions as pairs of a location and a rule.
function spectralBare() {
    const { overrides, ...bare } = yaml("spectral.yaml");
    const owasp = createRequire(import.meta.url).resolve("@stoplight/spectral-owasp-ruleset");
    bare.extends = bare.extends.map(([name, which]) => [name.startsWith("@") ? owasp : name, which]);
    const ruleset = join(scratch, "spectral.json");
    writeFileSync(ruleset, JSON.stringify(bare));
    const exceptions = overrides.flatMap(({ files, rules }) =>
        files.flatMap((file) => {
            const at = decodeURIComponent(file.slice(file.indexOf("#")));
            return Object.keys(rules).map((rule) => ({ at, rule }));
        }),
    );
    return { ruleset, exceptions };
}

const within = (found, at) => found === at || found.startsWith(`${at}/`);

const problems = [];

// Errors that a linter must find: the replaced text, the new text and the rule. No exception is for these rules.
const insertedErrors = [
    { linter: redocly, rule: "operation-operationId-unique", from: "operationId: createToken", to: "operationId: createCode" },
    { linter: redocly, rule: "operation-summary", from: /^ {6}summary: .*\n/m, to: "" },
    { linter: redocly, rule: "no-unresolved-refs", from: "schemas/CreateCodeRequest", to: "schemas/Nothing" },
    { linter: spectral, rule: "operation-operationId-unique", from: "operationId: createToken", to: "operationId: createCode" },
    { linter: spectral, rule: "operation-description", from: /^ {6}description: .*\n(?= {6}responses:)/m, to: "" },
    { linter: spectral, rule: "oas3-valid-media-example", from: "kind: codes\n", to: "kind: nonsense\n" },
    {
        linter: spectral,
        rule: "owasp:api4:2023-rate-limit-retry-after",
        from: / +Retry-After:\n +\$ref: .*\n/,
        to: "",
    },
    { linter: spectral, rule: "owasp:api4:2023-array-limit", from: "          maxItems: 64\n", to: "" },
];

for (const { linter, rule, from, to } of insertedErrors) {
    const changed = text.replace(from, () => to);
    const copy = join(scratch, "openapi.yaml");
    writeFileSync(copy, changed);
    const { found = [] } = linter(copy);
    if (changed === text) {
        problems.push(`the error for ${rule} cannot be inserted: the document has no ${from}`);
    } else if (!found.some((finding) => finding.rule === rule)) {
        problems.push(`${linter.name} does not find the error for ${rule}`);
    }
}

const { ruleset, exceptions } = spectralBare();
const excepted = spectral(document, ruleset).found;
for (const { at, rule } of exceptions) {
    if (!excepted.some((finding) => finding.rule === rule && within(finding.at, at))) {
        problems.push(`spectral.yaml: ${rule} finds nothing at ${at}: remove the exception`);
    }
}

const ignored = Object.values(yaml(".redocly.lint-ignore.yaml"))
    .flatMap((rules) => Object.values(rules))
    .flat().length;
const fromRedocly = redocly(document);
if (fromRedocly.ignored !== ignored) {
    problems.push(`.redocly.lint-ignore.yaml: only ${fromRedocly.ignored} of ${ignored} exceptions are needed`);
}

const fromSpectral = spectral(document);
for (const [name, found] of [["redocly", fromRedocly.found], ["spectral", fromSpectral.found]]) {
    for (const { rule, error, at, message } of found) {
        console.error(`${name}: ${error ? "error" : "warning"}: ${rule} at ${at}: ${message}`);
    }
}

function line(name, rules, found, exceptions) {
    const errors = found.filter(({ error }) => error).length;
    console.log(`${name}: ${rules}, ${errors} errors, ${found.length - errors} warnings, ${exceptions} exceptions`);
}
line("redocly", "recommended-strict", fromRedocly.found, ignored);
line("spectral", `${await spectralRules()} rules`, fromSpectral.found, exceptions.length);
console.log(`${insertedErrors.length} inserted errors found`);

for (const problem of problems) console.error(problem);
process.exitCode = problems.length + fromRedocly.found.length + fromSpectral.found.length === 0 ? 0 : 1;
