// Opens / and then /docs in a real browser, as a person would: authorizes, tries both documented operations, and reads
// what comes back. Nothing may leave the server's own origin, and the browser must have nothing to complain of.
//
// With PREFIX, the browser reaches the server through a reverse proxy that strips this path.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";

const { HOMEROOM_URL, PREFIX: prefix = "", CHROMIUM: executablePath, SCREENSHOT: screenshot } = process.env;
const proxy = prefix === "" ? undefined : await proxyThatStrips(prefix, HOMEROOM_URL);
const server = proxy === undefined ? HOMEROOM_URL : `http://127.0.0.1:${proxy.address().port}${prefix}`;
const { origin } = new URL(server);
const classId = "22222222-2222-2222-2222-222222222222";
const signIn = {
    appUuid: "11111111-1111-1111-1111-111111111111",
    email: "user@example.com",
    password: "VeryStrongPass123!",
    state: "state-from-client",
    redirectUri: "https://app.example.com/callback",
    acceptPrivacyPolicy: false,
};

// A reverse proxy that passes on what is below a path, without that path, and nothing else.
async function proxyThatStrips(path, target) {
    const proxy = http.createServer((request, response) => {
        if (request.url !== path && !request.url.startsWith(`${path}/`)) {
            response.writeHead(502).end();
            return;
        }
        const rest = request.url.slice(path.length) || "/";
        const { method, headers } = request;
        const passed = http.request(new URL(target), { path: rest, method, headers }, (answer) => {
            response.writeHead(answer.statusCode, answer.headers);
            answer.pipe(response);
        });
        request.pipe(passed);
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    return proxy;
}

async function post(path, body) {
    const answer = await fetch(`${server}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
    });
    assert.equal(answer.status, 201, path);
    return (await answer.json()).items[0];
}

async function accessToken() {
    const { nextAction } = await post("/api/v1/codes", signIn);
    const query = new URL(nextAction.url).searchParams;
    const token = await post("/api/v1/tokens", {
        client_id: query.get("client_id"),
        service: query.get("service"),
        grant_type: query.get("grant_type"),
        redirect_uri: query.get("redirect_uri"),
        code: query.get("code"),
        state: query.get("state"),
    });
    return token.accessToken;
}

const profile = mkdtempSync(join(tmpdir(), "browser-"));
let context;

after(async () => {
    await context?.close();
    proxy?.close();
    proxy?.closeAllConnections();
    rmSync(profile, { recursive: true, force: true });
});

// Runs an operation from its section of the page, and returns the body that the page shows.
async function execute(page, operationId, fill) {
    const section = page.locator(`.opblock[id$="-${operationId}"]`);
    await section.locator(".opblock-summary-control").click();
    await section.getByRole("button", { name: "Try it out" }).click();
    await fill(section);
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await section.getByRole("button", { name: "Execute" }).click();
    const response = await answered;
    const live = section.locator(".live-responses-table");
    const status = live.locator("tbody .response-col_status").first();
    await status.waitFor();
    assert.equal(Number.parseInt(await status.innerText(), 10), response.status());
    const shown = await live.locator("tbody .highlight-code code").first().innerText();
    return { request: response.request(), status: response.status(), body: JSON.parse(shown) };
}

test(`Swagger UI at ${prefix}/docs signs in and draws a join code`, { timeout: 180_000 }, async () => {
    context = await chromium.launchPersistentContext(profile, {
        executablePath,
        headless: true,
        timeout: 60_000,
        viewport: { width: 1280, height: 900 },
        args: [
            // Chromium's sandbox does not work for root, and the page that is opened is our own.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Whatever would leave this machine fails, and the console says so.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(30_000);

    const requests = [];
    const complaints = [];
    context.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => complaints.push(`page error: ${error.stack}`));
    page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on("console", (message) => {
        const { url } = message.location();
        if (["error", "warning"].includes(message.type())) {
            complaints.push(`console ${message.type()}: ${message.text()} (${url})`);
        }
    });
    const token = await accessToken();

    for (const root of [server, `${server}/`]) {
        const landed = await page.goto(root);
        assert.equal(landed.status(), 200);
        assert.equal(await page.locator("h1").innerText(), "Homeroom");
    }
    const opening = page.waitForResponse(`${server}/docs`);
    await page.getByRole("link", { name: "Read the API" }).click();
    const opened = await opening;
    assert.equal(opened.status(), 200);
    assert.equal(await opened.headerValue("content-encoding"), "gzip");
    await page.locator(".swagger-ui .info .title").waitFor();
    assert.match(await page.locator(".swagger-ui .info .title").innerText(), /^Homeroom/);

    await page.locator(".auth-wrapper .authorize").first().click();
    const dialog = page.locator(".dialog-ux");
    await dialog.locator("input").fill(token);
    await dialog.getByRole("button", { name: "Apply credentials" }).click();
    await dialog.getByRole("button", { name: "Remove authorization" }).waitFor();
    await dialog.locator("button.btn-done").click();

    const code = await execute(page, "createCode", async (section) => {
        // The page offers the documented example, and that is what is sent.
        const offered = await section.locator("textarea.body-param__text").inputValue();
        assert.deepEqual(JSON.parse(offered), signIn);
    });
    assert.equal(code.status, 201);
    const { items, ...list } = code.body;
    assert.deepEqual(list, { kind: "codes", totalItems: 1, itemsLength: 1 });
    assert.equal(items.length, 1);
    const { url, ...action } = items[0].nextAction;
    assert.deepEqual(action, { action: "httpRequest", method: "GET" });
    assert.match(
        url,
        /^https:\/\/app\.example\.com\/callback\?code=[\w-]{43}&state=state-from-client&client_id=app_11111111-1111-1111-1111-111111111111&redirect_uri=https:\/\/app\.example\.com\/callback&service=email&grant_type=authorization_code$/,
    );

    const drawn = await execute(page, "generateJoinCode", async (section) => {
        await section.locator('tr[data-param-name="classId"] input').fill(classId);
    });
    assert.equal(await drawn.request.headerValue("authorization"), `Bearer ${token}`);
    assert.equal(new URL(drawn.request.url()).pathname, `${prefix}/classes/${classId}/join-code`);
    assert.equal(drawn.status, 200);
    const { data, ...envelope } = drawn.body;
    assert.deepEqual(envelope, { success: true, code: 200, message: "Join code generated successfully" });
    assert.deepEqual(Object.keys(data).sort(), ["expiresAt", "joinCode"]);
    assert.match(data.joinCode, /^[0-9B-DF-HJKMNP-TV-Z]{8}$/);
    assert.match(data.expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

    mkdirSync(dirname(screenshot), { recursive: true });
    await page.screenshot({ path: screenshot, fullPage: true });

    const away = () => requests.filter((url) => !url.startsWith("data:") && new URL(url).origin !== origin);
    assert.deepEqual(away(), []);
    assert.deepEqual(complaints, []);
    console.log(`${requests.length} requests, none to another origin`);

    // The page may not even try, and complains.
    const elsewhere = "http://elsewhere.invalid/";
    await page.evaluate((url) => fetch(url).catch(() => {}), elsewhere);
    assert.deepEqual(away(), []);
    assert.notDeepEqual(complaints, []);

    // And had it asked, that would have been seen.
    const other = await context.newPage();
    await other.goto(elsewhere).catch(() => {});
    assert.deepEqual(away(), [elsewhere]);
});
