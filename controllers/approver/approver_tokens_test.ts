import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeTokenLimits, readTokenUse, type TokenLimits, withCreator } from "../../core/token/bound_token.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { createRevocation } from "../../core/revocation/revocation.ts";
import { readRevocableRequest, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { buildCsr, type CsrOptions, sharedKey } from "../../tests/support/csr_builder.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import type { EvidenceSources } from "../../core/approval/decide_from_sources.ts";

const NEVER = new AbortController().signal;
const n1 = "n1" as NodeName;
const pin = publicKeyPin({ publicKeyDer: (await sharedKey()).publicKeyDer() });
const otherPin = publicKeyPin({ publicKeyDer: (await sharedKey("rsa-2048")).publicKeyDer() });

function createSecret(limits: Partial<TokenLimits>): SecretObject {
  const annotations = encodeTokenLimits({ networks: [], isApproval: false, ...limits });
  const secret: SecretObject = {
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system", annotations },
    type: "bootstrap.kubernetes.io/token",
    data: {},
  };
  const made = withCreator(secret, "alice", new Date("2026-11-28T02:00:00Z"));
  return { ...secret, metadata: { ...secret.metadata, ...(made === undefined ? {} : { annotations: made }) } };
}

/** Reads tokens as the approver at a kube-apiserver does. */
function readFrom(secrets: MemoryObjectStore<SecretObject>): NonNullable<EvidenceSources["readToken"]> {
  return async (id, signal) => {
    const value = await secrets.get(`bootstrap-token-${id}`, signal);
    return value === undefined ? { kind: "gone" } : { kind: "found", value };
  };
}

/** Approves one request by a token, without any permission of its requester. */
async function decide(
  secret: SecretObject | undefined,
  request: CsrOptions = {},
  { isDryRun = false }: { readonly isDryRun?: boolean } = {},
) {
  const secrets = createMemoryObjectStore<SecretObject>({ objects: secret === undefined ? [] : [secret] });
  const store = createMemoryObjectStore<CertificateSigningRequest>({ objects: [await buildCsr(request)] });
  const { reconcile } = createTestApprover({ store, secrets, sources: { readToken: readFrom(secrets) }, isDryRun });
  const outcome = await reconcile("csr-1", store.peek("csr-1"), NEVER);
  const [condition] = store.peek("csr-1").status.conditions ?? [];
  return { outcome, condition, secrets };
}

test("a token with --approve approves the request of its node, names its creator, and is bound to the key", async () => {
  const { condition, secrets } = await decide(createSecret({ node: n1, isApproval: true }));
  assert.equal(condition?.type, "Approved");
  assert.equal(condition.reason, "TokenApproved");
  assert.equal(
    condition.message,
    'Approved by bootstrap token "abcdef", which user "alice" created to approve node "n1".',
  );
  assert.deepEqual(readTokenUse(secrets.peek("bootstrap-token-abcdef")).boundKeys, [pin]);
});

for (
  const { name, secret, request, message } of [
    {
      name: "another node",
      secret: createSecret({ node: "n2" as NodeName, isApproval: true }),
      message: /only for the client certificate of node "n2"/,
    },
    { name: "another key", secret: createSecret({ publicKey: otherPin }), message: /for the key sha256/ },
    {
      name: "another signer",
      secret: createSecret({ node: n1 }),
      request: { signerName: "kubernetes.io/kube-apiserver-client" },
      message: /of signer kubernetes.io\/kube-apiserver-client\./,
    },
  ]
) {
  test(`a request that its token forbids is denied: ${name}`, async () => {
    const { condition, secrets } = await decide(secret, request);
    assert.equal(condition?.type, "Denied");
    assert.equal(condition.reason, "TokenRefused");
    assert.match(condition.message ?? "", message);
    assert.deepEqual(readTokenUse(secrets.peek("bootstrap-token-abcdef")).boundKeys, []);
  });
}

for (
  const { name, secret, request, isBound } of [
    { name: "a token without --approve, which is bound", secret: createSecret({ node: n1 }), isBound: true },
    { name: "a token without limits", secret: createSecret({}), isBound: false },
    {
      name: "usages that a kubelet does not request",
      secret: createSecret({ node: n1, isApproval: true }),
      request: { usages: ["server auth"] },
      isBound: true,
    },
  ]
) {
  test(`the other rules decide about a request with ${name}`, async () => {
    const { condition, secrets } = await decide(secret, request);
    assert.equal(condition, undefined);
    assert.equal(readTokenUse(secrets.peek("bootstrap-token-abcdef")).boundKeys.length, isBound ? 1 : 0);
  });
}

test("a request whose token is gone stays pending", async () => {
  const { outcome, condition } = await decide(undefined, {});
  assert.deepEqual([outcome, condition], [{ kind: "done" }, undefined]);
});

test("a dry run binds no token", async () => {
  const { secrets } = await decide(createSecret({ node: n1 }), {}, { isDryRun: true });
  assert.deepEqual(secrets.calls, ["get bootstrap-token-abcdef"]);
});

test("a request of a node does not look up any token", async () => {
  const { secrets } = await decide(createSecret({ node: n1 }), { username: "system:node:n1" });
  assert.deepEqual(secrets.calls, []);
});

test("a revoked token approves nothing, and is not bound", async () => {
  const secrets = createMemoryObjectStore<SecretObject>({ objects: [createSecret({ node: n1, isApproval: true })] });
  const store = createMemoryObjectStore<CertificateSigningRequest>({ objects: [await buildCsr()] });
  const index = new RevocationIndex();
  index.put(createRevocation({ kind: "token", value: "abcdef" }, { reason: "keyCompromise" }));
  const { reconcile } = createTestApprover({
    store,
    secrets,
    sources: {
      readToken: readFrom(secrets),
      findRevoked: (csr) =>
        Promise.resolve(index.findForRequest({ ...readRevocableRequest(csr), tokenSecret: undefined })),
    },
  });
  await reconcile("csr-1", store.peek("csr-1"), NEVER);
  const [condition] = store.peek("csr-1").status.conditions ?? [];
  assert.deepEqual([condition?.type, condition?.reason], ["Denied", "Revoked"]);
  assert.deepEqual(readTokenUse(secrets.peek("bootstrap-token-abcdef")).boundKeys, []);
});

test("a token that is bound at the same moment is tried again", async () => {
  const secrets = createMemoryObjectStore<SecretObject>({ objects: [createSecret({ node: n1 })] });
  const store = createMemoryObjectStore<CertificateSigningRequest>({ objects: [await buildCsr()] });
  const approver = createTestApprover({
    store,
    secrets,
    sources: {
      reviewer: { isAllowed: () => Promise.resolve(true) },
      async readToken(id, signal) {
        const found = await readFrom(secrets)(id, signal);
        secrets.put({ ...secrets.peek(`bootstrap-token-${id}`), data: { changed: "" } });
        return found;
      },
    },
  });
  await assert.rejects(approver.reconcile("csr-1", store.peek("csr-1"), NEVER), { code: "conflict" });
  assert.equal(store.peek("csr-1").status.conditions, undefined);
});
