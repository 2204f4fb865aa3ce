// Opens / and /docs in Chromium, authorizes, executes both documented operations and checks the responses. The pages must
// send no request to another origin, and cause no error and no warning in the browser.
//
// If PREFIX is set, the browser reaches the server through a reverse proxy that strips this path.

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

// A reverse proxy that forwards only requests below `path`, and removes `path` from them.
async function proxyThatStrips(path, target) {
    const proxy = http.createServer((request, response) => {
        if (request.url !== path && !request.url.startsWith(`${path}/`)) {
            response.writeHead(502).end();
            return;
        }
        const rest = request.url.slice(path.length) || "/";
        const { method, headers } = request;
        const forwarded = http.request(new URL(target), { path: rest, method, headers }, (answer) => {
            response.writeHead(answer.statusCode, answer.headers);
            answer.pipe(response);
        });
        request.pipe(forwarded);
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

// Executes an operation in its section of the page. Returns the displayed response.
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

test(`Swagger UI at ${prefix}/docs signs in and generates a join code`, { timeout: 180_000 }, async () => {
    context = await chromium.launchPersistentContext(profile, {
        executablePath,
        headless: true,
        timeout: 60_000,
        viewport: { width: 1280, height: 900 },
        args: [
            // The sandbox of Chromium does not work for root. The pages are trusted.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Requests to other hosts fail with a message on the console.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(30_000);

    const requests = [];
    const messages = [];
    context.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => messages.push(`page error: ${error.stack}`));
    page.on("requestfailed", (request) => messages.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on("console", (message) => {
        const { url } = message.location();
        if (["error", "warning"].includes(message.type())) {
            messages.push(`console ${message.type()}: ${message.text()} (${url})`);
        }
    });
    const token = await accessToken();

    for (const root of [server, `${server}/`]) {
        const landing = await page.goto(root);
        assert.equal(landing.status(), 200);
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
        // The page shows the documented example, which is sent unchanged.
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

    const generated = await execute(page, "generateJoinCode", async (section) => {
        await section.locator('tr[data-param-name="classId"] input').fill(classId);
    });
    assert.equal(await generated.request.headerValue("authorization"), `Bearer ${token}`);
    assert.equal(new URL(generated.request.url()).pathname, `${prefix}/classes/${classId}/join-code`);
    assert.equal(generated.status, 200);
    const { data, ...envelope } = generated.body;
    assert.deepEqual(envelope, { success: true, code: 200, message: "Join code generated successfully" });
    assert.deepEqual(Object.keys(data).sort(), ["expiresAt", "joinCode"]);
    assert.match(data.joinCode, /^[0-9B-DF-HJKMNP-TV-Z]{8}$/);
    assert.match(data.expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

    mkdirSync(dirname(screenshot), { recursive: true });
    await page.screenshot({ path: screenshot, fullPage: true });

    const otherOrigins = () => requests.filter((url) => !url.startsWith("data:") && new URL(url).origin !== origin);
    assert.deepEqual(otherOrigins(), []);
    assert.deepEqual(messages, []);
    console.log(`${requests.length} requests, none to another origin`);

    // The content security policy blocks a request to another origin, with a message on the console.
    const elsewhere = "http://elsewhere.invalid/";
    await page.evaluate((url) => fetch(url).catch(() => {}), elsewhere);
    assert.deepEqual(otherOrigins(), []);
    assert.notDeepEqual(messages, []);

    // This test records requests to other origins: a navigation there is recorded.
    const other = await context.newPage();
    await other.goto(elsewhere).catch(() => {});
    assert.deepEqual(otherOrigins(), [elsewhere]);
});
