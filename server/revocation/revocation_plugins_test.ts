import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { configMapKind, revocationKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createRevocation, type RevocationTarget } from "../../core/revocation/revocation.ts";
import { creation, update, validateWith } from "../../tests/support/admission_requests.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import type { Storage } from "../storage/storage.ts";
import { createRevocationPlugins } from "./revocations.ts";

const TOKEN_KEY = "/registry/secrets/kube-system/bootstrap-token-abcdef";
const secret = { metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" } } as KubeObject;
const store: Pick<Storage, "get"> = {
  get(key) {
    if (key.endsWith("/bootstrap-token-broken")) return Promise.reject(new Error("encrypted"));
    const stored = { key, revision: 7, object: secret, bytes: new Uint8Array(), size: 0 };
    return Promise.resolve(key === TOKEN_KEY ? stored : undefined);
  },
};

function createPlugins(isRevoked = true) {
  const asked: unknown[] = [];
  const logger = createMemoryLogger();
  const [check, deletion] = createRevocationPlugins({
    revocations: {
      findForRequest(csr) {
        asked.push(csr);
        const revoked = createRevocation({ kind: "user", value: "u" }, { reason: "unspecified" });
        return Promise.resolve(isRevoked ? { message: "revoked", revoked } : undefined);
      },
    },
    storage: store,
    logger,
  });
  return { check, deletion, asked, logger };
}

const csr = await buildCsr();
const approved = await buildCsr({ conditions: [condition("Approved")] });
const denied = await buildCsr({ conditions: [condition("Denied")] });
const signed = await buildCsr({ conditions: [condition("Approved")], certificate: encodeBase64("certificate") });
const approval = { subresource: "approval" };
const status = { subresource: "status" };

for (
  const { name, request, want } of [
    { name: "a creation", request: creation(csr), want: csr },
    { name: "a creation with a decision in it", request: creation(signed, approval), want: signed },
    { name: "an approval", request: update(csr, approved, approval), want: csr },
    { name: "a denial", request: update(csr, denied, approval) },
    { name: "an approved request that is written again", request: update(approved, approved, approval) },
    { name: "an approved request whose status is written", request: update(csr, approved, status) },
    { name: "a signature", request: update(approved, signed, status), want: approved },
    { name: "a signed request that is written again", request: update(signed, signed, status) },
    { name: "a signed request that is approved again", request: update(approved, signed, approval) },
    { name: "a signature outside the status", request: update(approved, signed) },
    { name: "a status of a creation", request: creation(csr, status) },
    { name: "an update", request: update(csr, csr) },
    { name: "another kind", request: creation(csr, { kind: configMapKind }) },
  ]
) {
  test(`Revocation ${want === undefined ? "does not check" : "checks"} ${name}`, async () => {
    const { check, asked } = createPlugins();
    const refusal = await validateWith(check, request);
    assert.deepEqual(asked, want === undefined ? [] : [want]);
    assert.deepEqual(refusal, want === undefined ? undefined : { message: "revoked" });
  });
}

test("Revocation passes a request that nothing revokes", async () => {
  const { check, asked } = createPlugins(false);
  assert.equal(await validateWith(check, creation(csr)), undefined);
  assert.equal(asked.length, 1);
});

const revoke = (target: RevocationTarget) => createRevocation(target, { reason: "keyCompromise" });
const token = revoke({ kind: "token", value: "abcdef" });
const kind = revocationKind;

for (
  const { name, request, want = [] } of [
    {
      name: "of a token",
      request: creation(token, { kind }),
      want: [{ kind: "delete", key: TOKEN_KEY, expectedRevision: 7 }],
    },
    { name: "of a token that is gone", request: creation(revoke({ kind: "token", value: "bcdefg" }), { kind }) },
    { name: "of a user", request: creation(revoke({ kind: "user", value: "abcdef" }), { kind }) },
    { name: "that is updated", request: update(token, token, { kind }) },
    { name: "of another kind", request: creation(token, { kind: configMapKind }) },
    { name: "of a token that cannot be read", request: creation(revoke({ kind: "token", value: "broken" }), { kind }) },
  ]
) {
  test(`RevokedTokenDeletion deletes ${want.length} Secrets with a Revocation ${name}`, async () => {
    const { deletion, logger } = createPlugins();
    const writes: unknown[] = [];
    const alsoWrite = (write: unknown) => void writes.push(write);
    assert.equal(await validateWith(deletion, { ...request, alsoWrite }), undefined);
    assert.deepEqual(writes, want);
    assert.equal(logger.entries.length, name.endsWith("cannot be read") ? 1 : 0);
  });
}

test("RevokedTokenDeletion writes nothing if the request writes nothing, as in a dry run", async () => {
  const { deletion, logger } = createPlugins();
  assert.equal(await validateWith(deletion, creation(token, { kind })), undefined);
  assert.equal(logger.entries.length, 0);
});
