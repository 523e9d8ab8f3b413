import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../core/kube/user.ts";
import { ADMIN, createTestApp } from "../tests/support/test_app.ts";
import type { Answer } from "./http/answer.ts";
import { createLoopbackTransport } from "./loopback.ts";

const USER: UserInfo = { username: "test", uid: "", groups: [], extra: {} };

/** An app whose answers never end, and which ignores the request's signal. */
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

test("createLoopbackTransport() delivers the object that a body has as JSON", async () => {
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
