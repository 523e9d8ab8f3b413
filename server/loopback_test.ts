import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../core/kube/user.ts";
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
