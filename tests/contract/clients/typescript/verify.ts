// A service verifies tokens of the server with its published keys, without a request to the server for each token.

import { createRemoteJWKSet, jwtVerify } from "jose";
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const serverUrl = process.env["HOMEROOM_URL"] ?? "http://127.0.0.1:8080";
const issuer = process.env["HOMEROOM_ISSUER"] ?? serverUrl;
const clientId = "app_11111111-1111-1111-1111-111111111111";

// Caches the key set for 5 minutes, which is the max-age of its `Cache-Control`. An unknown `kid` fetches it again, but at
// most every 30 seconds, so that forged tokens cannot cause many requests.
const keys = createRemoteJWKSet(new URL(`${serverUrl}/.well-known/jwks.json`), {
  cacheMaxAge: 300_000,
  cooldownDuration: 30_000,
});

// The checks that a service makes on the access token of each request.
async function verifyAccessToken(token: string) {
  const expected = { algorithms: ["RS256"], typ: "at+jwt", issuer, audience: serverUrl };
  const { payload } = await jwtVerify(token, keys, { ...expected, requiredClaims: ["exp", "sub", "client_id"] });
  return payload;
}

// The checks that the app makes once, when it receives the tokens.
async function verifyIdToken(token: string, nonce: string) {
  const expected = { algorithms: ["RS256"], typ: "JWT", issuer, audience: clientId };
  const { payload } = await jwtVerify(token, keys, { ...expected, requiredClaims: ["exp", "sub", "nonce"] });
  if (payload["nonce"] !== nonce) throw new Error("the id token belongs to another request");
  return payload;
}

function assert(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

async function rejects(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => false,
    () => true,
  );
}

const server = createClient<paths>({ baseUrl: serverUrl });
const redirectUri = "https://app.example.com/callback";
const nonce = "n-0S6_WzA2Mj";
const signedIn = await server.POST("/api/v1/codes", {
  body: {
    appUuid: clientId.slice("app_".length),
    email: "user@example.com",
    password: "VeryStrongPass123!",
    state: "state-from-client",
    redirectUri,
  },
});
const code = new URL(signedIn.data?.items[0].nextAction.url ?? "").searchParams.get("code") ?? "";
const exchanged = await server.POST("/api/v1/tokens", {
  body: {
    client_id: clientId,
    service: "email",
    grant_type: "authorization_code",
    redirect_uri: redirectUri,
    code,
    state: "state-from-client",
    nonce,
    scope: "openid email",
  },
});
const tokens = exchanged.data?.items[0];
if (tokens === undefined) throw new Error(`no tokens: ${JSON.stringify(exchanged.error)}`);

const access = await verifyAccessToken(tokens.accessToken);
const id = await verifyIdToken(tokens.idToken, nonce);
assert(access.sub === id.sub, "both tokens have the same user");
assert(String(id.exp) === tokens.expiresIn, "expiresIn equals exp of the id token");
assert(id["email"] === "user@example.com", "scope email adds the address");

// A token is not accepted as the other kind of token, and not with changed claims.
assert(await rejects(verifyAccessToken(tokens.idToken)), "an id token is not an access token");
assert(await rejects(verifyIdToken(tokens.accessToken, nonce)), "an access token is not an id token");
assert(await rejects(verifyIdToken(tokens.idToken, "another")), "the nonce is compared");
const [header, , signature] = tokens.accessToken.split(".");
const claims = Buffer.from(JSON.stringify({ ...access, sub: "another-user" })).toString("base64url");
assert(await rejects(verifyAccessToken(`${header}.${claims}.${signature}`)), "the signature covers the claims");
