import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "../../core/ports.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { CLIENT_CA_PATH, createClientTrust } from "./read_client_trust.ts";

const NEVER = new AbortController().signal;

/** An API whose ConfigMap has these client CAs; it fails with `status` unless that is 200. */
function createApi(state: { pem: string | undefined; status: number; reads: number }): Transport {
  return {
    send(request) {
      assert.equal(request.path, CLIENT_CA_PATH);
      state.reads++;
      const data = state.pem === undefined ? {} : { "client-ca-file": state.pem };
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data };
      const failure = { apiVersion: "v1", kind: "Status", status: "Failure", code: state.status, message: "no" };
      const body = new TextEncoder().encode(JSON.stringify(state.status === 200 ? object : failure));
      return Promise.resolve({
        status: state.status,
        headers: { "content-type": "application/json" },
        body: (async function* () {
          yield await Promise.resolve(body);
        })(),
      });
    },
  };
}

test("createClientTrust() reads the ConfigMap once a minute, and keeps the last answer when the next one fails", async () => {
  const [ca, other] = await Promise.all([createSigningCa(), createSigningCa({ commonName: "other" })]);
  const state = { pem: ca.certificatePem as string | undefined, status: 200, reads: 0 };
  const [clock, logger] = [createFakeClock(), createMemoryLogger()];
  const isTrusted = createClientTrust(createApi(state), { clock, logger }, NEVER);
  assert.deepEqual(await Promise.all([isTrusted(ca), isTrusted(other)]), [true, false]);
  assert.equal(state.reads, 1);
  state.pem = other.certificatePem;
  assert.equal(await isTrusted(other), false);
  await clock.advance(60_000);
  assert.equal(await isTrusted(other), true);
  state.status = 403;
  await clock.advance(60_000);
  assert.deepEqual([await isTrusted(other), await isTrusted(ca)], [true, false]);
  assert.deepEqual(logger.messages("warn"), ["cannot read which CAs the API trusts for clients"]);
  Object.assign(state, { status: 200, pem: undefined });
  await clock.advance(60_000);
  assert.equal(await isTrusted(other), false, "an API without client CAs trusts no one");
});

for (
  const [name, state] of [["is forbidden", { status: 403, pem: "" }], ["is not PEM", {
    status: 200,
    pem: "x",
  }]] as const
) {
  test(`createClientTrust() returns undefined when the ConfigMap ${name}`, async () => {
    const logger = createMemoryLogger();
    const api = createApi({ ...state, reads: 0 });
    const isTrusted = createClientTrust(api, { clock: createFakeClock(), logger }, NEVER);
    assert.equal(await isTrusted(await createSigningCa()), undefined);
    assert.equal(logger.messages("warn").length, 1);
  });
}
