import assert from "node:assert/strict";
import { test } from "node:test";
import { createSealingKey } from "../../core/attestation/exchange.ts";
import { type ExpectedProofs, readTokenProof } from "../../core/attestation/proof.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { err, ok } from "../../core/lib/result.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { readTokenLimits, readTokenUse } from "../../core/token/bound_token.ts";
import { listTokenFacts } from "../../core/token/token_secret.ts";
import { DEFAULT_AUDIT_POLICY } from "../../core/audit/policy.ts";
import { attesterObjects } from "../../instance/instance_rbac.ts";
import { createSshHost, type SshHost } from "../../tests/support/ssh_host.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import { createMetricsRegistry } from "../metrics/registry.ts";

const PATH = "/apis/tlsboot/v1alpha1/nodeattestations";
const EVENTS = "/api/v1/namespaces/default/events";
const caHash = `sha256:${"c".repeat(64)}` as PublicKeyPin;
const publicKeyDer = (await generatePrivateKey("ecdsa-p256")).publicKeyDer();
const publicKey = encodeBase64(publicKeyDer);
const key = publicKeyPin({ publicKeyDer });
const [host, foreign] = [await createSshHost(), await createSshHost()];
const LISTED: ReadonlyMap<string, ExpectedProofs> = new Map([["n1", { ssh: [host.fingerprint], pcrs: new Map() }]]);

/** Creates a server that expects machines, with an inventory and an audit log of the test. */
async function createAttesting(machines: () => ReadonlyMap<string, ExpectedProofs> = () => LISTED) {
  const registry = createMetricsRegistry();
  const auditLines: string[] = [];
  const everything = { ...DEFAULT_AUDIT_POLICY.rules[0]!, level: "RequestResponse" as const };
  const app = await createTestApp({
    registry,
    objects: attesterObjects(),
    audit: {
      policy: { ...DEFAULT_AUDIT_POLICY, rules: [everything] },
      sink: { write: (line) => auditLines.push(line) > 0 },
    },
    attestation: {
      sealingKey: createSealingKey(new Uint8Array(32)),
      caHash: () => caHash,
      expected: () => ({
        kinds: machines().size === 0 ? [] : ["ssh"],
        pcrs: [],
        find(node) {
          const proofs = machines().get(node);
          return proofs === undefined ? err("the inventory lists no proof of this node") : ok(proofs);
        },
      }),
    },
  });
  return { app, registry, auditLines };
}

/** Posts a call without a credential. */
function post(app: TestApp, spec: object, path = PATH) {
  const body = {
    apiVersion: "tlsboot/v1alpha1",
    kind: "NodeAttestation",
    spec: { nodeName: "n1", publicKey, ...spec },
  };
  return app.send("POST", path, { user: undefined, body });
}

const begin = (app: TestApp, { evidence }: Pick<SshHost, "evidence"> = host, more: object = {}) =>
  post(app, { evidence: { ssh: { hostKey: encodeBase64(evidence.hostKey) } }, ...more });

/** Answers the challenge of a first call. */
function complete(app: TestApp, begun: Awaited<ReturnType<typeof begin>>, by = host, more: object = {}, path = PATH) {
  const challenge = String(begun.at("status/challenge/nonce"));
  const { signature } = by.sign({ caHash, node: "n1" as NodeName, key, challenge });
  const answer = { ssh: { signature: encodeBase64(signature) } };
  return post(app, { answer, state: begun.at("status/state"), ...more }, path);
}

function listTokens(app: TestApp) {
  return app.storage.list("/registry/secrets/").then(({ items }) => items.map(({ object }) => object as SecretObject));
}

test("nodeattestations exchanges a proof for an approving token that is bound to the node and the key", async () => {
  const { app, registry } = await createAttesting();
  await using _app = app;
  const begun = await begin(app);
  assert.equal(begun.code, 201, begun.text);
  assert.equal(begun.at("status/challenge/caCertHash"), caHash);
  assert.deepEqual(await listTokens(app), []);
  const done = await complete(app, begun);
  assert.equal(done.code, 201, done.text);
  const [secret, ...more] = await listTokens(app);
  assert.ok(secret);
  assert.deepEqual(more, []);
  const facts = listTokenFacts(secret);
  assert.equal(done.at("status/token"), `${facts?.id}.${facts?.token?.secret.reveal()}`);
  assert.equal(done.at("status/expirationTimestamp"), "2026-01-01T00:10:00Z");
  assert.deepEqual(facts?.usages, ["authentication"]);
  assert.deepEqual(facts?.groups, ["system:bootstrappers:tlsboot"]);
  const limits = readTokenLimits(secret);
  assert.deepEqual(limits.ok && limits.value, {
    networks: [],
    isApproval: true,
    node: "n1",
    maxKeys: 1,
    publicKey: key,
  });
  assert.equal(readTokenUse(secret).createdBy, "system:attestation");
  assert.deepEqual(readTokenProof(secret), {
    kind: "ssh",
    key: host.fingerprint,
    at: new Date("2026-01-01T00:00:00Z"),
  });
  const again = await complete(app, begun);
  assert.equal(again.at("status/token"), done.at("status/token"));
  assert.equal((await listTokens(app)).length, 1);
  const metrics = await registry.metrics();
  assert.match(metrics, /^tlsboot_node_attestations_total\{kind="ssh",result="challenged"\} 1$/m);
  assert.match(metrics, /^tlsboot_node_attestations_total\{kind="ssh",result="accepted"\} 2$/m);
});

test("nodeattestations counts each kind and each result from zero", async () => {
  const { app, registry } = await createAttesting();
  await using _app = app;
  const series = (await registry.metrics()).match(/^tlsboot_node_attestations_total\{.*$/gm) ?? [];
  const results = ["challenged", "accepted", "malformed", "limited", "state", "proof", "inventory"];
  const named = ["tpm", "ssh"].flatMap((kind) => results.map((result) => `kind="${kind}",result="${result}"`));
  const all = [...named, 'kind="",result="malformed"', 'kind="",result="limited"'];
  assert.deepEqual(series.toSorted(), all.map((labels) => `tlsboot_node_attestations_total{${labels}} 0`).toSorted());
});

test("nodeattestations keeps proofs and tokens out of logs, and records what was proven in the audit log", async () => {
  const { app, auditLines } = await createAttesting();
  await using _app = app;
  const begun = await begin(app);
  const done = await complete(app, begun);
  await complete(app, begun, foreign);
  await post(app, { evidence: { ssh: { hostKey: "!" } } });
  const texts = [...auditLines, JSON.stringify(app.logger.entries)].join("\n");
  const [tokenId = "", tokenSecret = ""] = String(done.at("status/token")).split(".");
  for (
    const secret of [tokenSecret, String(begun.at("status/state")), publicKey, encodeBase64(host.evidence.hostKey)]
  ) {
    assert.ok(secret.length > 3 && !texts.includes(secret), secret);
  }
  const annotations = auditLines.map((line) => JSON.parse(line).annotations);
  assert.ok(
    annotations.some((values) =>
      values["attestation.tlsboot/proof"] === `ssh ${host.fingerprint} 2026-01-01T00:00:00Z` &&
      values["attestation.tlsboot/token-id"] === tokenId && values["attestation.tlsboot/node"] === "n1"
    ),
  );
  assert.ok(annotations.some((values) => String(values["attestation.tlsboot/refused"]).includes("signature")));
});

test("nodeattestations answers a wrong proof and an unknown machine alike, and reports both in detail", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const wrong = await complete(app, await begin(app), foreign);
  const unlisted = await complete(app, await begin(app, foreign), foreign);
  assert.equal(wrong.code, 403);
  assert.equal(wrong.text, unlisted.text);
  assert.match(wrong.text, /the proof was not accepted/);
  const unknown = await begin(app, foreign, { nodeName: "n9" });
  assert.equal(unknown.code, 201);
  assert.equal(unknown.text.length, (await begin(app, foreign, { nodeName: "n1" })).text.length);
  await app.clock.advance(1_000);
  const events = await app.send("GET", EVENTS);
  assert.deepEqual(events.names().length, 1);
  assert.equal(events.at("items/0/reason"), "NodeAttestationRefused");
  assert.equal(
    events.at("items/0/message"),
    `An attempt from 192.0.2.1 to prove to be node "n1" was refused: ssh ${host.fingerprint}: ` +
      "the signature is by another key",
  );
  assert.deepEqual(await listTokens(app), []);
});

test("nodeattestations writes an Event about a machine once a minute, and one for all unknown machines", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const refuse = async (nodeName: string) => {
    const begun = await begin(app, foreign, { nodeName });
    return await complete(app, begun, host, { nodeName });
  };
  for (const name of ["n1", "n2", "n3", "n1", "n4"]) assert.equal((await refuse(name)).code, 403);
  await app.clock.advance(1_000);
  assert.equal((await app.send("GET", EVENTS)).names().length, 2);
  await app.clock.advance(60_000);
  await refuse("n1");
  await app.clock.advance(1_000);
  assert.equal((await app.send("GET", EVENTS)).names().length, 3);
});

test("nodeattestations reports every invalid field, and accepts no more than 16 KiB", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const malformed = await post(app, { nodeName: "N_1", publicKey: "" });
  assert.equal(malformed.code, 422);
  const causes = malformed.at("details/causes") as readonly { readonly field: string }[];
  assert.deepEqual(causes.map(({ field }) => field), ["spec.nodeName", "spec.publicKey", "spec.evidence"]);
  const badKey = await begin(app, host, { publicKey: encodeBase64("no key") });
  assert.equal(badKey.at("details/causes/0/field"), "spec.publicKey");
  const beginWith = (hostKey: string) => post(app, { evidence: { ssh: { hostKey: encodeBase64(hostKey) } } });
  const badEvidence = await beginWith("bad");
  assert.equal(badEvidence.code, 422);
  assert.equal(badEvidence.at("details/causes/0/field"), "spec.evidence.ssh.hostKey");
  const large = await beginWith("x".repeat(16_384));
  assert.equal(large.code, 413);
  assert.match(large.text, /limit is 16384/);
});

test("nodeattestations dates the proof and the token from the challenge, and refuses to repeat an expired token", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const begun = await begin(app);
  await app.clock.advance(9 * 60_000);
  const late = await complete(app, begun);
  assert.equal(late.code, 201, late.text);
  assert.equal(late.at("status/expirationTimestamp"), "2026-01-01T00:10:00Z");
  const [secret] = await listTokens(app);
  assert.deepEqual(readTokenProof(secret!)?.at, new Date("2026-01-01T00:00:00Z"));
  await app.clock.advance(60_000);
  const repeated = await complete(app, begun);
  assert.equal(repeated.code, 403);
  assert.match(repeated.text, /begin again/);
});

test("nodeattestations does not return a token that was deleted in the meantime", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const begun = await begin(app);
  assert.equal((await complete(app, begun)).code, 201);
  const [secret] = await listTokens(app);
  const path = `/api/v1/namespaces/kube-system/secrets/${secret!.metadata.name}`;
  const ended = await app.send("PATCH", path, {
    headers: { "content-type": "application/merge-patch+json" },
    body: { stringData: { expiration: "2025-12-31T00:00:00Z" } },
  });
  assert.equal(ended.code, 200, ended.text);
  const repeated = await complete(app, begun);
  assert.equal(repeated.code, 403);
  assert.match(repeated.text, /the token of this proof is no longer valid: begin again/);
});

test("nodeattestations stores nothing in a dry run, and returns no token that it does not store", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  const begun = await begin(app);
  const dry = await complete(app, begun, host, {}, `${PATH}?dryRun=All`);
  assert.equal(dry.code, 400);
  assert.match(dry.text, /dryRun/);
  assert.deepEqual(await listTokens(app), []);
  const evidence = { ssh: { hostKey: encodeBase64(host.evidence.hostKey) } };
  assert.equal((await post(app, { evidence }, `${PATH}?dryRun=All`)).code, 201);
});

test("nodeattestations limits the calls of an address before it reads their bodies", async () => {
  const { app, registry } = await createAttesting();
  await using _app = app;
  for (let call = 0; call < 100; call++) assert.equal((await post(app, {})).code, 422);
  const limited = await begin(app);
  assert.equal(limited.code, 429);
  assert.equal(limited.headers.get("retry-after"), "1");
  assert.match(await registry.metrics(), /^tlsboot_node_attestations_total\{kind="",result="limited"\} 1$/m);
  await app.clock.advance(100);
  assert.equal((await begin(app)).code, 201);
});

test("nodeattestations limits the tokens of a node", async () => {
  const { app } = await createAttesting();
  await using _app = app;
  for (let proof = 0; proof < 20; proof++) assert.equal((await complete(app, await begin(app))).code, 201);
  const limited = await complete(app, await begin(app));
  assert.equal(limited.code, 429);
  assert.equal(limited.headers.get("retry-after"), "30");
  assert.equal((await listTokens(app)).length, 20);
});

test("nodeattestations is served and discovered only while a proof is expected", async () => {
  let machines = LISTED;
  const { app } = await createAttesting(() => machines);
  await using _app = app;
  const plain = await createTestApp({ objects: attesterObjects() });
  await using _plain = plain;
  const discover = async (one: TestApp) => (await one.send("GET", "/apis/tlsboot/v1alpha1")).text;
  const openapi = async (one: TestApp) => (await one.send("GET", "/openapi/v3/apis/tlsboot/v1alpha1")).text;
  assert.match(await discover(app), /"nodeattestations"/);
  assert.match(await openapi(app), /NodeAttestation/);
  assert.equal((await app.send("GET", PATH)).code, 405);
  machines = new Map();
  assert.equal(await discover(app), await discover(plain));
  assert.equal(await openapi(app), await openapi(plain));
  assert.equal((await begin(app)).code, 404);
  machines = LISTED;
  assert.equal((await begin(app)).code, 201);
});

test("nodeattestations uses the current inventory, and refuses users without permission", async () => {
  let machines: ReadonlyMap<string, ExpectedProofs> = LISTED;
  const { app } = await createAttesting(() => machines);
  await using _app = app;
  const begun = await begin(app);
  machines = new Map([["n2", LISTED.get("n1")!]]);
  assert.equal((await complete(app, begun)).code, 403);
  const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/tlsboot:node-attester";
  assert.equal((await app.send("DELETE", binding)).code, 200);
  assert.equal((await begin(app)).code, 403);
});
