import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../kube/kinds/constants.ts";
import type { PublicKeyPin } from "../pki/keys/key_names.ts";
import {
  decideTokenBearer,
  decideTokenRequest,
  encodeTokenLimits,
  isApprovingToken,
  isLimitedToken,
  isReplacementToken,
  isTokenSpent,
  readTokenLimits,
  readTokenUse,
  type TokenLimits,
  withBoundKey,
  withCreator,
  withKeptRecords,
  withLastRefusal,
  withLastUse,
  withUsedKey,
} from "./bound_token.ts";
import { type NodeName, toNodeSubject } from "../machine/node_name.ts";

const now = new Date("2026-11-28T02:00:00.250Z");
const n1 = "n1" as NodeName;
const keyA = `sha256:${"a".repeat(64)}` as PublicKeyPin;
const keyB = `sha256:${"b".repeat(64)}` as PublicKeyPin;
const keyC = `sha256:${"c".repeat(64)}` as PublicKeyPin;
const NONE: TokenLimits = { networks: [], isApproval: false };

function createSecret(annotations: Readonly<Record<string, string>> = {}): SecretObject {
  return {
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system", annotations },
    type: "bootstrap.kubernetes.io/token",
    data: {},
  };
}

function createLimited(limits: Partial<TokenLimits>): SecretObject {
  return createSecret(encodeTokenLimits({ ...NONE, ...limits }));
}

function withAnnotations(secret: SecretObject, annotations: SecretObject["metadata"]["annotations"]): SecretObject {
  return { ...secret, metadata: { ...secret.metadata, ...(annotations === undefined ? {} : { annotations }) } };
}

const createRequest = (key: PublicKeyPin, node = "n1") => ({
  signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  subject: toNodeSubject(node as NodeName),
  key,
});

for (
  const { name, limits } of [
    { name: "a node", limits: { ...NONE, node: n1, maxKeys: 1 } },
    {
      name: "three keys from two networks",
      limits: { ...NONE, maxKeys: 3, networks: ["10.0.0.0/24", "2001:db8::/64"] },
    },
    {
      name: "a known key of a node, approved",
      limits: { ...NONE, node: n1, maxKeys: 1, publicKey: keyA, isApproval: true },
    },
  ] satisfies { name: string; limits: TokenLimits }[]
) {
  test(`readTokenLimits() reads what encodeTokenLimits() wrote: ${name}`, () => {
    const secret = createLimited(limits);
    assert.deepEqual(readTokenLimits(secret), { ok: true, value: limits });
    assert.equal(isLimitedToken(secret), true);
    assert.equal(isApprovingToken(secret), limits.isApproval === true);
  });
}

test("a token without limits has no annotation, and one without a record has no use", () => {
  assert.deepEqual(encodeTokenLimits(NONE), {});
  assert.deepEqual(readTokenLimits(createSecret()), { ok: true, value: NONE });
  assert.deepEqual(readTokenUse(createSecret()), { boundKeys: [], usedKeys: [] });
  const unreadable = createSecret({ "tlsboot/last-use": "yesterday", "tlsboot/bound-keys": "sha256:abc" });
  assert.deepEqual(readTokenUse(unreadable), { boundKeys: [], usedKeys: [] });
});

test("the limits of a Secret of another type have no effect", () => {
  const other = { ...createLimited({ node: n1, networks: ["10.0.0.0/24"] }), type: "Opaque" };
  const made = { ...other, metadata: { ...other.metadata, creationTimestamp: now.toISOString() } };
  assert.equal(decideTokenBearer(other, "10.0.1.7"), undefined);
  assert.equal(decideTokenRequest(other, createRequest(keyA, "n2")).kind, "allowed");
  assert.equal(isReplacementToken(made, "n1", now), false);
});

test("readTokenLimits() limits a token for a node or a key to one key", () => {
  const limits = readTokenLimits(createSecret({ "tlsboot/node": "n1" }));
  assert.equal(limits.ok && limits.value.maxKeys, 1);
  const byKey = readTokenLimits(createSecret({ "tlsboot/public-key": keyA }));
  assert.equal(byKey.ok && byKey.value.maxKeys, 1);
});

for (
  const annotations of [
    { "tlsboot/node": "" },
    { "tlsboot/node": "N1" },
    { "tlsboot/node": "n1 n2" },
    { "tlsboot/uses": "0" },
    { "tlsboot/uses": "1001" },
    { "tlsboot/uses": "1e2" },
    { "tlsboot/cidr": "" },
    { "tlsboot/cidr": "10.0.0.1/24" },
    { "tlsboot/cidr": "10.0.0.0/24,everywhere" },
    { "tlsboot/public-key": "sha256:abc" },
    { "tlsboot/approve": "yes", "tlsboot/node": "n1" },
    { "tlsboot/approve": "true" },
  ]
) {
  test(`a token with the malformed limit ${JSON.stringify(annotations)} authenticates no one`, () => {
    const secret = createSecret(annotations as Record<string, string>);
    assert.equal(readTokenLimits(secret).ok, false);
    assert.equal(decideTokenBearer(secret, "10.0.0.1")?.kind, "malformed");
    const decision = decideTokenRequest(secret, createRequest(keyA));
    assert.ok(decision.kind === "refused" && decision.refusal.kind === "malformed");
  });
}

test("readTokenLimits() returns an answer for any text", () => {
  const names = ["tlsboot/node", "tlsboot/uses", "tlsboot/cidr", "tlsboot/public-key", "tlsboot/approve"];
  fc.assert(fc.property(fc.constantFrom(...names), fc.string(), (name, text) => {
    const secret = createSecret({ [name]: text });
    const limits = readTokenLimits(secret);
    if (!limits.ok) assert.ok(limits.error.includes("tlsboot/"));
    decideTokenBearer(secret, text);
    decideTokenRequest(secret, createRequest(keyA));
  }));
});

for (
  const { name, limits, address, want } of [
    { name: "inside", limits: { networks: ["10.0.0.0/24"] }, address: "10.0.0.7", want: undefined },
    {
      name: "inside the second network",
      limits: { networks: ["10.0.0.0/24", "::1/128"] },
      address: "::1",
      want: undefined,
    },
    {
      name: "an IPv4 client of a dual stack socket",
      limits: { networks: ["10.0.0.0/24"] },
      address: "::ffff:10.0.0.7",
      want: undefined,
    },
    { name: "outside", limits: { networks: ["10.0.0.0/24"] }, address: "10.0.1.7", want: "network" },
    { name: "the other family", limits: { networks: ["0.0.0.0/0"] }, address: "2001:db8::1", want: "network" },
    { name: "an unknown address", limits: { networks: ["0.0.0.0/0"] }, address: undefined, want: "network" },
    { name: "no network", limits: { node: n1 }, address: undefined, want: undefined },
    { name: "no limit", limits: {}, address: "10.0.1.7", want: undefined },
  ]
) {
  test(`decideTokenBearer() answers ${want} for ${name}`, () => {
    assert.equal(decideTokenBearer(createLimited(limits), address)?.kind, want);
  });
}

test("decideTokenBearer() has nothing to refuse without a Secret, and names the address that it refuses", () => {
  assert.equal(decideTokenBearer(undefined, "10.0.1.7"), undefined);
  const secret = createLimited({ networks: ["10.0.0.0/24", "::1/128"] });
  const message = (address?: string) => decideTokenBearer(secret, address)?.message;
  assert.equal(message("10.0.1.7"), "the token is for clients in 10.0.0.0/24, ::1/128, not from 10.0.1.7");
  assert.equal(message(), "the token is for clients in 10.0.0.0/24, ::1/128, not from an unknown address");
});

for (
  const { name, secret, request, want } of [
    { name: "no limit", secret: createLimited({}), request: createRequest(keyA, "n7"), want: "allowed" },
    {
      name: "only networks",
      secret: createLimited({ networks: ["10.0.0.0/24"] }),
      request: createRequest(keyA),
      want: "allowed",
    },
    { name: "the first key", secret: createLimited({ node: n1 }), request: createRequest(keyA), want: "bind" },
    { name: "another node", secret: createLimited({ node: n1 }), request: createRequest(keyA, "n2"), want: "node" },
    {
      name: "another signer",
      secret: createLimited({ node: n1 }),
      request: { ...createRequest(keyA), signerName: KUBELET_SERVING_SIGNER },
      want: "node",
    },
    {
      name: "another organization",
      secret: createLimited({ node: n1 }),
      request: { ...createRequest(keyA), subject: { commonName: "system:node:n1", organizations: ["system:masters"] } },
      want: "node",
    },
    {
      name: "an extra organization",
      secret: createLimited({ node: n1 }),
      request: {
        ...createRequest(keyA),
        subject: { commonName: "system:node:n1", organizations: ["system:nodes", "system:masters"] },
      },
      want: "node",
    },
    {
      name: "any name with two keys",
      secret: createLimited({ maxKeys: 2 }),
      request: createRequest(keyA, "n9"),
      want: "bind",
    },
    { name: "the known key", secret: createLimited({ publicKey: keyA }), request: createRequest(keyA), want: "bind" },
    {
      name: "not the known key",
      secret: createLimited({ publicKey: keyA }),
      request: createRequest(keyB),
      want: "key",
    },
  ]
) {
  test(`decideTokenRequest() answers ${want} for ${name}`, () => {
    const decision = decideTokenRequest(secret, request);
    assert.equal(decision.kind === "refused" ? decision.refusal.kind : decision.kind, want);
  });
}

test("a token is bound to its first keys, lets them try again, and refuses any other", () => {
  let secret = createLimited({ maxKeys: 2 });
  secret = withAnnotations(secret, withBoundKey(secret, keyA));
  assert.equal(decideTokenRequest(secret, createRequest(keyA)).kind, "allowed");
  assert.equal(decideTokenRequest(secret, createRequest(keyB)).kind, "bind");
  secret = withAnnotations(secret, withBoundKey(secret, keyB));
  assert.deepEqual(readTokenUse(secret).boundKeys, [keyA, keyB]);
  const decision = decideTokenRequest(secret, createRequest(keyC));
  assert.ok(decision.kind === "refused");
  assert.equal(
    decision.refusal.message,
    `2 other keys have used the token, which is for 2; this request has the key ${keyC}`,
  );
});

test("a token for one key refuses another key", () => {
  const secret = createLimited({ node: n1 });
  const decision = decideTokenRequest(withAnnotations(secret, withBoundKey(secret, keyA)), createRequest(keyB));
  assert.ok(decision.kind === "refused");
  assert.equal(
    decision.refusal.message,
    `another key has used the token, which is for 1; this request has the key ${keyB}`,
  );
});

test("a token with a malformed limit is not spent", () => {
  assert.equal(isTokenSpent(createSecret({ "tlsboot/uses": "0", "tlsboot/used-keys": keyA })), false);
});

test("a token is spent when the certificate of each of its keys has been used", () => {
  let secret = createLimited({ maxKeys: 2 });
  for (const key of [keyA, keyB]) {
    assert.equal(decideTokenBearer(secret, "10.0.0.1"), undefined);
    secret = withAnnotations(secret, withBoundKey(secret, key));
    secret = withAnnotations(secret, withUsedKey(secret, key));
    secret = withAnnotations(secret, withUsedKey(secret, key));
  }
  assert.equal(isTokenSpent(secret), true);
  assert.equal(decideTokenBearer(secret, "10.0.0.1")?.kind, "spent");
});

test("readTokenUse() reads the last use and the last refusal", () => {
  let secret = createLimited({ node: n1 });
  secret = withAnnotations(secret, withLastUse(secret, { at: now, address: "10.0.0.7" }));
  const refusal = { kind: "key", message: "another key has used the token" } as const;
  secret = withAnnotations(secret, withLastRefusal(secret, { at: now, address: "" }, refusal));
  const { lastUse, lastRefusal } = readTokenUse(secret);
  assert.deepEqual(lastUse, { at: new Date("2026-11-28T02:00:00Z"), address: "10.0.0.7" });
  assert.deepEqual(lastRefusal, { at: new Date("2026-11-28T02:00:00Z"), address: "", reason: refusal.message });
});

test("withCreator() records the creator of a limited token, whatever the client sent, but of no other token", () => {
  const sent = withAnnotations(createLimited({ node: n1 }), {
    "tlsboot/created-by": "someone else",
    "tlsboot/node": "n1",
    "tlsboot/used-keys": keyA,
  });
  const annotations = withCreator(sent, "alice", now);
  assert.deepEqual(annotations, {
    "tlsboot/created-at": "2026-11-28T02:00:00.250Z",
    "tlsboot/created-by": "alice",
    "tlsboot/node": "n1",
  });
  assert.deepEqual(Object.keys(annotations ?? {}), ["tlsboot/created-at", "tlsboot/created-by", "tlsboot/node"]);
  assert.equal(withCreator({ ...sent, metadata: { name: "x" } }, "alice", now), undefined);
});

test("withCreator() writes the proof of the server, and removes one that a client sent", () => {
  const forged = { "tlsboot/attested": "ssh SHA256:forged 2026-11-28T02:00:00Z" };
  const limits = { "tlsboot/node": "n1", "tlsboot/public-key": keyA };
  const sent = createSecret({ ...limits, ...forged });
  assert.equal(withCreator(sent, "alice", now)?.["tlsboot/attested"], undefined);
  const proof = "ssh SHA256:abc 2026-11-28T02:00:00Z";
  assert.equal(withCreator(sent, "system:attestation", now, proof)?.["tlsboot/attested"], proof);
  assert.deepEqual(withCreator(createSecret(forged), "alice", now), {});
});

test("withKeptRecords() keeps the proof only of a token for the same node and key", () => {
  const proof = "ssh SHA256:abc 2026-11-28T02:00:00Z";
  const limits = { "tlsboot/node": "n1", "tlsboot/public-key": keyA };
  const stored = createSecret({ ...limits, "tlsboot/attested": proof });
  const readProof = (annotations: Readonly<Record<string, string>>): string | undefined =>
    readTokenUse(withAnnotations(stored, withKeptRecords(createSecret(annotations), stored))).attested;
  assert.equal(readProof(limits), proof);
  assert.equal(readProof({ ...limits, "tlsboot/attested": "ssh SHA256:forged 2026-11-28T02:00:00Z" }), proof);
  assert.equal(readProof({ ...limits, "tlsboot/node": "n2" }), undefined);
  assert.equal(readProof({ ...limits, "tlsboot/public-key": keyB }), undefined);
  assert.equal(readProof({}), undefined);
  const plain = createSecret(limits);
  const forged = createSecret({ ...limits, "tlsboot/attested": proof });
  assert.equal(readTokenUse(withAnnotations(plain, withKeptRecords(forged, plain))).attested, undefined);
});

test("withKeptRecords() keeps the keys and the creator of a token that is replaced", () => {
  const secret = createLimited({ node: n1 });
  const made = withAnnotations(secret, withCreator(secret, "alice", now));
  const stored = withAnnotations(made, withBoundKey(made, keyA));
  assert.deepEqual(withKeptRecords(secret, stored), stored.metadata.annotations);
  const forged = withAnnotations(secret, { "tlsboot/created-by": "bob", "tlsboot/bound-keys": keyB });
  const kept = withAnnotations(secret, withKeptRecords(forged, stored));
  assert.deepEqual(readTokenUse(kept).boundKeys, [keyA, keyB]);
  assert.equal(readTokenUse(kept).createdBy, "alice");
  const plain = createSecret();
  assert.deepEqual(withKeptRecords(plain, plain), {});
});

test("withKeptRecords() works without annotations on either side", () => {
  const bare: SecretObject = { ...createSecret(), metadata: { name: "bootstrap-token-abcdef" } };
  assert.equal(withKeptRecords(bare, bare), undefined);
  const used = createSecret({ "tlsboot/used-keys": keyA });
  assert.deepEqual(withKeptRecords(bare, used), { "tlsboot/used-keys": keyA });
  assert.deepEqual(withKeptRecords(used, bare), { "tlsboot/used-keys": keyA });
});

test("withKeptRecords() keeps nothing of a Secret that was not a token", () => {
  const stored = { ...createSecret({ "tlsboot/created-by": "alice", "tlsboot/used-keys": keyA }), type: "Opaque" };
  assert.deepEqual(withKeptRecords(createSecret({ a: "1" }), stored), { a: "1" });
});

for (
  const { name, secret, revokedAt, want } of [
    { name: "the same moment", secret: createLimited({ node: n1 }), revokedAt: now, want: true },
    { name: "later", secret: createLimited({ node: n1 }), revokedAt: new Date(now.getTime() - 1), want: true },
    { name: "earlier", secret: createLimited({ node: n1 }), revokedAt: new Date(now.getTime() + 1), want: false },
    { name: "another node", secret: createLimited({ node: "n2" as NodeName }), revokedAt: now, want: false },
    { name: "any machine", secret: createLimited({ maxKeys: 1 }), revokedAt: now, want: false },
    { name: "no limit", secret: createLimited({}), revokedAt: now, want: false },
  ]
) {
  test(`isReplacementToken() answers ${want} for a token for: ${name}`, () => {
    const made = withAnnotations(secret, withCreator(secret, "alice", now));
    assert.equal(isReplacementToken(made, "n1", revokedAt), want);
  });
}

test("isReplacementToken() answers false for a token that the server gave for a proof", () => {
  const secret = createLimited({ node: n1, publicKey: keyA });
  const made = withAnnotations(
    secret,
    withCreator(secret, "system:attestation", now, "tpm sha256:0a 2026-11-28T02:00:00Z"),
  );
  assert.equal(isReplacementToken(made, "n1", now), false);
});

test("isReplacementToken() uses the creation time of a token that another server stored", () => {
  const secret = createLimited({ node: n1 });
  const stored = { ...secret, metadata: { ...secret.metadata, creationTimestamp: "2026-11-28T02:00:00Z" } };
  assert.equal(isReplacementToken(stored, "n1", new Date("2026-11-28T02:00:00Z")), true);
  assert.equal(isReplacementToken(stored, "n1", now), false);
  assert.equal(isReplacementToken(secret, "n1", now), false);
});
