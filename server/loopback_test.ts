import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../core/kube/user.ts";
import { createLoopbackTransport } from "./loopback.ts";

const USER: UserInfo = { username: "test", uid: "", groups: [], extra: {} };

/** An app whose answers never end, and which never looks at the request's signal. */
function endlessApp(onCancel: () => void): () => Promise<Response> {
  return () => Promise.resolve(new Response(new ReadableStream({ cancel: onCancel })));
}

test("createLoopbackTransport() ends the body and cancels the stream when the signal aborts", async () => {
  const life = new AbortController();
  let cancelled = 0;
  const transport = createLoopbackTransport(endlessApp(() => cancelled++), USER, "test");
  const answer = await transport.send({ method: "GET", path: "/watch", headers: {} }, life.signal);
  const ended = Array.fromAsync(answer.body);
  life.abort(new Error("enough"));
  assert.deepEqual(await ended, []);
  assert.equal(cancelled, 1);
});

test("createLoopbackTransport() reads nothing once the signal has aborted", async () => {
  const life = new AbortController();
  let cancelled = 0;
  const transport = createLoopbackTransport(endlessApp(() => cancelled++), USER, "test");
  const answer = await transport.send({ method: "GET", path: "/watch", headers: {} }, life.signal);
  life.abort(new Error("enough"));
  assert.deepEqual(await Array.fromAsync(answer.body), []);
  assert.equal(cancelled, 1);
});
