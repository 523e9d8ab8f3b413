import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../core/kube/user.ts";
import { ADMIN, createTestApp } from "../tests/support/test_app.ts";
import type { Answer } from "./http/answer.ts";
import { createLoopbackTransport } from "./loopback.ts";

const USER: UserInfo = { username: "test", uid: "", groups: [], extra: {} };

/** Creates an app whose answers never end, and which ignores the request's signal. */
function createEndlessApp(end: PromiseWithResolvers<undefined>): () => Promise<Answer> {
  const cancel = (): void => end.resolve(undefined);
  return () => Promise.resolve({ status: 200, headers: {}, body: { next: () => end.promise, cancel } });
}

test("createLoopbackTransport() ends the body and cancels the stream when the signal aborts", async () => {
  const abort = new AbortController();
  const end = Promise.withResolvers<undefined>();
  const transport = createLoopbackTransport(createEndlessApp(end), USER, "test");
  const answer = await transport.send({ method: "GET", path: "/watch", headers: {} }, abort.signal);
  const ended = Array.fromAsync(answer.body);
  abort.abort(new Error("enough"));
  assert.deepEqual(await ended, []);
  await end.promise;
});

test("createLoopbackTransport() reads nothing once the signal has aborted", async () => {
  const abort = new AbortController();
  const end = Promise.withResolvers<undefined>();
  const transport = createLoopbackTransport(createEndlessApp(end), USER, "test");
  const answer = await transport.send({ method: "GET", path: "/watch", headers: {} }, abort.signal);
  abort.abort(new Error("enough"));
  assert.deepEqual(await Array.fromAsync(answer.body), []);
  await end.promise;
});

test("createLoopbackTransport() delivers the object that a body encodes as JSON", async () => {
  await using app = await createTestApp();
  const configMaps = "/api/v1/namespaces/default/configmaps";
  const body = { metadata: { name: "kept", labels: { "10": "b", a: "c" } }, data: { "2": "<é", "10": "one" } };
  const created = await app.send("POST", configMaps, { body });
  assert.equal(created.code, 201, created.text);
  const transport = app.api.transportFor(ADMIN, "test");
  const { value } = await transport.send(
    { method: "GET", path: `${configMaps}/kept`, headers: {} },
    new AbortController().signal,
  );
  assert.deepEqual(value, JSON.parse((await app.send("GET", `${configMaps}/kept`)).text));
});

test("createLoopbackTransport() sends a value with the same effect as its JSON, and the server does not keep it", async () => {
  await using app = await createTestApp();
  const path = "/api/v1/namespaces/default/configmaps";
  const transport = app.api.transportFor(ADMIN, "test");
  const send = async (body: object) => {
    const headers = { "content-type": "application/json" };
    const answer = await transport.send({ method: "POST", path, headers, body }, new AbortController().signal);
    const text = await new Response(ReadableStream.from(answer.body)).text();
    return { status: answer.status, warning: answer.headers["warning"] ?? null, text };
  };
  const sent = {
    metadata: { name: "a", labels: { x: "y", gone: undefined } },
    data: { "10": "ten", "2": "<é", b: "c" },
    zoo: 1,
  };
  const unset = { ...sent, kind: undefined, apiVersion: undefined, moo: undefined };
  for (const body of [unset, { ...sent, kind: "Secret" }, { ...sent, apiVersion: "v2" }, { ...sent, data: [1] }]) {
    const wanted = await app.send("POST", `${path}?dryRun=All`, { body });
    const got = await send(body);
    const details = { status: wanted.code, warning: wanted.headers.get("warning") };
    assert.deepEqual({ ...got, text: undefined }, { ...details, text: undefined }, got.text);
    if (wanted.code !== 201) assert.equal(got.text, wanted.text);
  }
  sent.data["2"] = "changed";
  const stored = await app.send("GET", `${path}/a`);
  assert.deepEqual([stored.at("data"), stored.at("metadata/labels")], [{ "10": "ten", "2": "<é", b: "c" }, { x: "y" }]);
});

test("createLoopbackTransport() impersonates only with the permission to do so", async () => {
  await using app = await createTestApp();
  const send = async (user: UserInfo) => {
    const { status, body } = await app.api.transportFor(user, "test").send({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      headers: { "Impersonate-User": "jane" },
      body: {},
    }, new AbortController().signal);
    return { status, text: await new Response(ReadableStream.from(body)).text() };
  };
  assert.equal((await send(USER)).status, 403);
  const { status, text } = await send(ADMIN);
  assert.deepEqual([status, JSON.parse(text).status.userInfo.username], [201, "jane"]);
});
