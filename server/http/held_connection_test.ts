import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, createTestApp } from "../../tests/support/test_app.ts";
import { isStream } from "./answer.ts";

for (
  const { who, path, isStaying } of [
    { who: undefined, path: "/api/v1/nodes?watch=1", isStaying: false },
    { who: ADMIN, path: "/api/v1/nodes?watch=1&fieldSelector=spec.nothing=1", isStaying: false },
    { who: ADMIN, path: "/api/v1/nodes", isStaying: false },
    { who: ADMIN, path: "/api/v1/nodes?watch=1", isStaying: true },
    { who: ADMIN, path: "/tlsboot/snapshot", isStaying: true },
  ]
) {
  test(`createApp() gives ${who?.username ?? "an unauthenticated client"} ${isStaying ? "unlimited" : "limited"} time for ${path}`, async () => {
    await using app = await createTestApp();
    let stays = 0;
    const { body } = await app.api.app(new Request(`https://api.test${path}`), {
      peer: undefined,
      remoteAddress: "192.0.2.1",
      rawHeaders: [],
      ...(who === undefined ? {} : { user: who }),
      connection: { authenticated: () => {}, markStreaming: () => stays++ },
    });
    assert.equal(stays, isStaying ? 1 : 0);
    if (isStream(body)) body.cancel();
  });
}
