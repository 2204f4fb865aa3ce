// A teacher draws a join code, and a student joins with it.

import createClient, { type Client } from "openapi-fetch";
// What `openapi-typescript openapi.yaml --default-non-nullable=false --output api.d.ts` writes.
import type { components, paths } from "./api.js";

const app = "11111111-1111-1111-1111-111111111111";
const callback = "https://app.example.com/callback";
const lesson = { params: { path: { classId: "22222222-2222-2222-2222-222222222222" } } };
const somebodyElses = { params: { path: { classId: "33333333-3333-3333-3333-333333333333" } } };
const unknown = { params: { path: { classId: "unknown" } } };

const baseUrl = process.env["HOMEROOM_URL"] ?? "http://127.0.0.1:8080";
const anyone = createClient<paths>({ baseUrl });

// What every call gives: the documented success, or the documented failure.
type Answer<Success, Failure> = { data?: Success; error?: Failure; response: Response };

function succeeded<Success>(status: number, answer: Answer<Success, unknown>): Success {
  if (answer.response.status === status && answer.data !== undefined) return answer.data;
  throw new Error(`expected ${status}, got ${answer.response.status}: ${JSON.stringify(answer.error)}`);
}

function failed<Failure>(status: number, answer: Answer<unknown, Failure>): Failure {
  if (answer.response.status === status && answer.error !== undefined) return answer.error;
  throw new Error(`expected ${status}, got ${answer.response.status}: ${JSON.stringify(answer)}`);
}

function same<Value>(actual: Value, expected: NoInfer<Value>): void {
  if (actual !== expected) throw new Error(`expected ${expected}, got ${actual}`);
}

function requestCode(email: string, password: string) {
  const body = { appUuid: app, email, password, state: "state-from-client", redirectUri: callback };
  return anyone.POST("/api/v1/codes", { body });
}

// Signs in: the answer is a URL with a code in it, and the code becomes an access token, once.
async function signIn(email: string): Promise<Client<paths>> {
  const { nextAction } = succeeded(201, await requestCode(email, "VeryStrongPass123!")).items[0];
  const query = new URL(nextAction.url).searchParams;
  const body: components["schemas"]["CreateTokenRequest"] = {
    client_id: app,
    service: "email",
    grant_type: "authorization_code",
    redirect_uri: callback,
    code: query.get("code") ?? "",
    state: query.get("state") ?? "",
  };
  const token = succeeded(201, await anyone.POST("/api/v1/tokens", { body })).items[0];
  const again = failed(400, await anyone.POST("/api/v1/tokens", { body }));
  same(again.errors[0].code, "[E4000]");
  const headers = { Authorization: `${token.tokenType} ${token.accessToken}` };
  return createClient<paths>({ baseUrl, headers });
}

const wrong = failed(400, await requestCode("user@example.com", "not-the-password"));
same(wrong.errors[0].code, "[E4000]");

const teacher = await signIn("user@example.com");
const { joinCode } = succeeded(200, await teacher.POST("/classes/{classId}/join-code", lesson)).data;

const notMine = failed(403, await teacher.POST("/classes/{classId}/join-code", somebodyElses));
same(notMine.errorCode, "FORBIDDEN");
const nowhere = failed(404, await teacher.POST("/classes/{classId}/join-code", unknown));
same(nowhere.errorCode, "CLASS_NOT_FOUND");
const stranger = failed(401, await anyone.POST("/classes/{classId}/join-code", lesson));
same(stranger.errorCode, "UNAUTHORIZED");

const student = await signIn("student@example.com");
const join = (joinCode: string) => student.POST("/classes/join/{joinCode}", { params: { path: { joinCode } } });
same(succeeded(201, await join(joinCode)).data.status, "active");
same(failed(409, await join(joinCode)).errorCode, "ALREADY_ENROLLED");
same(failed(400, await join("unknown")).errorCode, "INVALID_JOIN_CODE");

same(succeeded(200, await teacher.GET("/classes/{classId}", lesson)).data.joinCode, joinCode);
same(succeeded(200, await student.GET("/classes/{classId}", lesson)).data.joinCode, null);
