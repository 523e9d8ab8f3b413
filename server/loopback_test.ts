import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../core/kube/user.ts";
import { readJsonLines } from "../client/objects/watch_events.ts";
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

test("createLoopbackTransport() delivers the values that bodies have as JSON, and ends them with a watch", async () => {
  await using app = await createTestApp();
  const configMaps = "/api/v1/namespaces/default/configmaps";
  const body = { metadata: { name: "kept", labels: { "10": "b", a: "c" } }, data: { "2": "<é", "10": "one" } };
  const created = await app.send("POST", configMaps, { body });
  assert.equal(created.code, 201, created.text);
  const transport = app.api.transportFor(ADMIN, "test");
  const { values: whole } = await transport.send(
    { method: "GET", path: `${configMaps}/kept`, headers: {} },
    new AbortController().signal,
  );
  const [object] = await Array.fromAsync(whole!);
  assert.deepEqual(object, JSON.parse((await app.send("GET", `${configMaps}/kept`)).text));
  const abort = new AbortController();
  const query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
  const watch = () => transport.send({ method: "GET", path: `${configMaps}?${query}`, headers: {} }, abort.signal);
  const [inValues, inLines] = [await watch(), await watch()];
  await app.send("DELETE", `${configMaps}/kept`);
  const received = inValues.values![Symbol.asyncIterator]();
  const printed = readJsonLines(inLines.body)[Symbol.asyncIterator]();
  for (const type of ["ADDED", "BOOKMARK", "DELETED"]) {
    const { value } = await received.next() as { readonly value: { readonly type: string } };
    assert.equal(value.type, type);
    assert.deepEqual(JSON.parse(JSON.stringify(value)), (await printed.next()).value);
  }
  abort.abort(new Error("enough"));
  assert.equal((await received.next()).done, true);
  assert.equal((await printed.next()).done, true);
});
