// A teacher signs in with the vendor's browser SDK, unmodified, in Chromium, and stays signed in.
//
// The pages belong to the app of the sample school, https://app.example.com. Playwright intercepts requests to that origin.
// Requests to the server go over the network, and the browser applies CORS.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

const { HOMEROOM_URL: server, HOMEROOM_ISSUER: issuer, CHROMIUM: executablePath } = process.env;
const callback = "https://app.example.com/callback";
const clientId = "app_11111111-1111-1111-1111-111111111111";
const classId = "22222222-2222-2222-2222-222222222222";

// `main` is dist/userdocks.js. The build for a <script> element is in the same directory.
const dist = dirname(createRequire(import.meta.url).resolve("@userdocks/web-client-sdk"));
const sdk = readFileSync(join(dist, "userdocks.umd.js"), "utf8");

const browser = await chromium.launch({
    executablePath,
    timeout: 60_000,
    args: [
        // The sandbox of Chromium does not work for root. The pages are trusted.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        // A public page may call a server on this machine only with the user's permission.
        "--disable-features=LocalNetworkAccessChecks",
        // Other hosts cannot be resolved. The SDK then works without its web worker.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
});

try {
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    const requests = [];
    const messages = [];
    page.on("console", (message) => messages.push(`${message.type()}: ${message.text()}`));
    page.on("request", (request) => {
        if (request.method() === "POST") requests.push(request.postDataJSON());
    });
    await page.route("https://app.example.com/**", (route) =>
        route.fulfill({ contentType: "text/html", body: "<!doctype html><title>App</title>" }),
    );

    // Loads the SDK into the page, calls a method, and returns the tokens of the SDK.
    async function call(method) {
        await page.addScriptTag({ content: sdk });
        return page.evaluate(
            async ([apiUri, clientId, redirectUri, method]) => {
                const app = { origin: location.origin, clientId, redirectUri };
                await userdocks.initialize({ authServer: { apiUri }, app });
                await userdocks[method]();
                return userdocks.getToken();
            },
            [server, clientId, callback, method],
        );
    }

    // The page uses an access token.
    async function generateJoinCode({ accessToken }) {
        const { status, body } = await page.evaluate(
            async ([url, accessToken]) => {
                const headers = { Authorization: `Bearer ${accessToken}` };
                const response = await fetch(url, { method: "POST", headers });
                return { status: response.status, body: await response.json() };
            },
            [`${server}/classes/${classId}/join-code`, accessToken],
        );
        assert.equal(status, 200, JSON.stringify(body));
    }

    // The sign-in page of the app sends the documented request.
    await page.goto("https://app.example.com/sign-in");
    const { status, body } = await page.evaluate(async (server) => {
        const response = await fetch(`${server}/api/v1/codes`, {
            method: "POST",
            headers: {
                "Content-Type": "application/json",
            },
            body: '{"appUuid":"11111111-1111-1111-1111-111111111111","email":"user@example.com","password":"VeryStrongPass123!","state":"state-from-client","redirectUri":"https://app.example.com/callback","acceptPrivacyPolicy":false}',
        });
        return { status: response.status, body: await response.json() };
    }, server);
    assert.equal(status, 201, JSON.stringify(body));

    // The browser goes to the URL of the response. The SDK reads the code from it.
    await page.goto(body.items[0].nextAction.url);
    const token = await call("exchangeCodeForToken");
    // Without a token, the SDK refused a response, or the server refused a request.
    assert.ok(token.accessToken, `no token: ${JSON.stringify({ requests, messages }, null, 2)}`);
    assert.equal(token.tokenType, "Bearer");
    assert.equal(token.redirectUri, callback);
    assert.ok(token.expiresIn > 0);

    const exchange = requests.at(-1);
    assert.equal(typeof exchange.auth_time, "string");
    assert.equal(exchange.client_id, clientId);
    const claims = JSON.parse(Buffer.from(token.idToken.split(".")[1], "base64url"));
    assert.equal(claims.iss, issuer);
    assert.equal(claims.aud, clientId);
    assert.equal(claims.nonce, exchange.nonce);

    await generateJoinCode(token);

    // Refreshes twice: on the same page, whose URL has the old code, and after a visit of the page without it.
    let previous = token;
    for (const url of [null, callback]) {
        if (url) await page.goto(url);
        const refreshed = await call("refresh");
        assert.ok(refreshed.accessToken, `no token: ${JSON.stringify({ requests, messages }, null, 2)}`);
        assert.notEqual(refreshed.accessToken, previous.accessToken);
        const refresh = requests.filter((request) => request?.grant_type).at(-1);
        assert.equal(refresh.refresh_token, previous.refreshToken);
        assert.notEqual(refreshed.refreshToken, previous.refreshToken);
        await generateJoinCode(refreshed);
        previous = refreshed;
    }

    console.log(`@userdocks/web-client-sdk signed in and refreshed: sub ${claims.sub}, for ${token.expiresIn} s`);
} finally {
    await browser.close();
}
