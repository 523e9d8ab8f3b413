import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestApp } from "../../tests/support/test_app.ts";

const DER = Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05);
const CRLS = { find: (name: string) => name === "ca.crl" ? DER : undefined };
/** A request without credentials that goes through authentication. */
const UNAUTHENTICATED = { user: undefined };

test("GET /pki/<ca>.crl needs no credentials, even if anonymous requests are refused", async () => {
  for (const anonymous of [true, false]) {
    await using app = await createTestApp({ crls: CRLS, anonymous });
    const answer = await app.send("GET", "/pki/ca.crl", UNAUTHENTICATED);
    assert.equal(answer.code, 200);
    assert.deepEqual(answer.bytes, DER);
    assert.equal(answer.headers.get("content-type"), "application/pkix-crl");
    const etag = answer.headers.get("etag") ?? "";
    const again = await app.send("GET", "/pki/ca.crl", { ...UNAUTHENTICATED, headers: { "if-none-match": etag } });
    assert.deepEqual([again.code, again.bytes.length], [304, 0]);
  }
});

test("GET /pki/<ca>.crl answers a client whose credentials are refused, and ignores impersonation", async () => {
  await using app = await createTestApp({ crls: CRLS });
  const wrong = { ...UNAUTHENTICATED, headers: { authorization: "Bearer abcdef.0123456789abcdef" } };
  assert.equal((await app.send("GET", "/version", wrong)).code, 401);
  assert.equal((await app.send("GET", "/pki/ca.crl", wrong)).code, 200);
  const rawHeaders = ["Impersonate-User", "admin"];
  assert.equal((await app.send("GET", "/pki/ca.crl", { ...UNAUTHENTICATED, rawHeaders })).code, 200);
});

test("GET /pki/<ca>.crl is audited as a request of system:anonymous", async () => {
  await using app = await createTestApp({ crls: CRLS });
  await app.send("GET", "/pki/ca.crl", UNAUTHENTICATED);
  const [event] = app.auditLines.map((line) => JSON.parse(line)).filter(({ stage }) => stage === "ResponseComplete");
  assert.deepEqual([event?.user.username, event?.requestURI, event?.responseStatus.code], [
    "system:anonymous",
    "/pki/ca.crl",
    200,
  ]);
});

for (
  const { name, method, path, code } of [
    { name: "a CRL that does not exist", method: "GET", path: "/pki/other.crl", code: 403 },
    { name: "the folder", method: "GET", path: "/pki/", code: 403 },
    { name: "a path below", method: "GET", path: "/pki/ca.crl/x", code: 403 },
    { name: "the key of the CA", method: "GET", path: "/pki/ca.key", code: 403 },
    { name: "a write", method: "POST", path: "/pki/ca.crl", code: 403 },
    { name: "a path that leads back to the API", method: "GET", path: "/pki/ca.crl/../../api/v1/secrets", code: 403 },
  ]
) {
  test(`GET /pki/<ca>.crl lets an unauthenticated client read nothing else: ${name}`, async () => {
    await using app = await createTestApp({ crls: CRLS });
    assert.equal((await app.send(method, path, UNAUTHENTICATED)).code, code);
  });
}

test("GET /pki/<ca>.crl answers an administrator 404 and 405 as other paths do", async () => {
  await using app = await createTestApp({ crls: CRLS });
  assert.equal((await app.send("GET", "/pki/other.crl")).code, 404);
  assert.equal((await app.send("POST", "/pki/ca.crl")).code, 405);
});
