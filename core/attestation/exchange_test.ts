import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSoftwareTpm } from "../../tests/support/software_tpm.ts";
import { createSshHost, type SshHost } from "../../tests/support/ssh_host.ts";
import { err, ok } from "../lib/result.ts";
import type { NodeName } from "../machine/node_name.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { formatBootstrapToken } from "../token/token_secret.ts";
import {
  beginAttestation,
  type BegunExchange,
  completeAttestation,
  createProofMessage,
  createSealingKey,
  EXCHANGE_MS,
  type ExchangeContext,
  listQuotedPcrs,
  type ProofMessage,
} from "./exchange.ts";
import type { Evidence, ExpectedProofs, ProofAnswer, ProofChallenge } from "./proof.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { ATTESTATION_TEMPLATE, TPM_ATTRIBUTE } from "./tpm_structures.ts";

const [n1, n2] = ["n1", "n2"] as [NodeName, NodeName];
const keyA = `sha256:${"a".repeat(64)}` as PublicKeyPin;
const keyB = `sha256:${"b".repeat(64)}` as PublicKeyPin;
const caHash = `sha256:${"c".repeat(64)}` as PublicKeyPin;
const now = new Date("2026-12-02T01:00:00Z");
const random = createSeededRandom(7);
const bytes = (text: string): Bytes => new TextEncoder().encode(text);
const text = (read: Uint8Array): string => Buffer.from(read).toString();
const MINUTE_MS = 60_000;

const context: ExchangeContext = { caHash, now, sealingKey: createSealingKey(bytes("secret")) };
const at = (ms: number): Date => new Date(now.getTime() + ms);
const [host, stolen] = [await createSshHost(), await createSshHost()];
const listed: ExpectedProofs = { ssh: ["SHA256:other", host.fingerprint], pcrs: new Map() };
const subject = { node: n1, key: keyA };

async function begin(
  more: Partial<ExchangeContext> = {},
  evidence: Evidence = host.evidence,
): Promise<BegunExchange> {
  const begun = await beginAttestation({ ...subject, evidence }, { ...context, pcrs: [0, 7], random, ...more });
  assert.ok(begun.ok);
  return begun.value;
}

function sign({ nonce }: BegunExchange, { by = host, ...message }: Partial<ProofMessage> & { by?: SshHost } = {}) {
  return by.sign({ ...subject, caHash, challenge: nonce, ...message });
}

interface Call extends ExchangeContext {
  readonly node: NodeName;
  readonly key: PublicKeyPin;
  readonly expected: ExpectedProofs | "none";
}

function complete(
  { state }: Pick<BegunExchange, "state">,
  answer: ProofAnswer,
  { node = n1, key = keyA, expected = listed, ...more }: Partial<Call> = {},
) {
  const findExpected = () => expected === "none" ? err("the inventory lists no proof of this node") : ok(expected);
  return completeAttestation({ node, key, answer, state }, { ...context, ...more, findExpected });
}

test("createProofMessage() contains the purpose, the server, the node, the key and the challenge", () => {
  assert.equal(
    text(createProofMessage({ caHash, node: n1, key: keyA, challenge: "AQID" })),
    `tlsboot node attestation v1\nca: ${caHash}\nnode: n1\nkey: ${keyA}\nchallenge: AQID\n`,
  );
});

test("completeAttestation() returns a token for the node and the key, for ten minutes", async () => {
  const begun = await begin();
  assert.match(begun.nonce, /^[A-Za-z0-9_-]{43}$/);
  const done = await complete(begun, sign(begun), { now: at(MINUTE_MS) });
  assert.ok(done.ok);
  assert.match(formatBootstrapToken(done.value.token), /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  assert.deepEqual(done.value.proof, { kind: "ssh", key: host.fingerprint, at: now });
  assert.deepEqual(done.value.expiration, at(EXCHANGE_MS));
});

test("completeAttestation() dates the proof and the token from the challenge, also when the call is repeated", async () => {
  const begun = await begin();
  const answers = await Promise.all(
    [0, 5 * MINUTE_MS, EXCHANGE_MS - 1].map((ms) => complete(begun, sign(begun), { now: at(ms) })),
  );
  for (const answer of answers) {
    assert.ok(answer.ok);
    assert.deepEqual([answer.value.proof.at, answer.value.expiration], [now, at(EXCHANGE_MS)]);
  }
});

test("completeAttestation() dates no proof later than its own clock", async () => {
  const begun = await begin({ now: at(MINUTE_MS) });
  const done = await complete(begun, sign(begun));
  assert.ok(done.ok);
  assert.deepEqual([done.value.proof.at, done.value.expiration], [now, at(MINUTE_MS + EXCHANGE_MS)]);
});

test("completeAttestation() returns the same token for a repeated call, and another one for each exchange", async () => {
  const midnight = new Date("2026-12-02T23:59:59Z");
  const begun = await begin({ now: midnight });
  const later = new Date(midnight.getTime() + 2_000);
  const answers = await Promise.all([
    complete(begun, sign(begun), { now: midnight }),
    complete(begun, sign(begun), { now: later }),
    begin().then((other) => complete(other, sign(other))),
  ]);
  const tokens = answers.map((answer) => answer.ok && formatBootstrapToken(answer.value.token));
  assert.equal(tokens[0], tokens[1]);
  assert.notEqual(tokens[0], tokens[2]);
  assert.ok(!tokens.includes(false));
});

const OTHER_MESSAGE = `ssh ${host.fingerprint}: the key did not sign the message`;

for (
  const { name, run, want } of [
    {
      name: "a signature by another key",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { by: stolen })),
      want: ["proof", `ssh ${host.fingerprint}: the signature is by another key`],
    },
    {
      name: "a challenge for another key of the node",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { key: keyB }), { key: keyB }),
      want: ["state", `the challenge is for the key ${keyA}`],
    },
    {
      name: "a challenge for another node",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { node: n2 }), { node: n2 }),
      want: ["state", 'the challenge is for node "n1"'],
    },
    {
      name: "a signature for another key",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { key: keyB })),
      want: ["proof", OTHER_MESSAGE],
    },
    {
      name: "a signature for another node",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { node: n2 })),
      want: ["proof", OTHER_MESSAGE],
    },
    {
      name: "a signature for another server",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { caHash: keyB })),
      want: ["proof", OTHER_MESSAGE],
    },
    {
      name: "the answer to another challenge",
      run: async (begun: BegunExchange) => complete(begun, sign(await begin())),
      want: ["proof", OTHER_MESSAGE],
    },
    {
      name: "the answer of a TPM to a challenge of an SSH host key",
      run: (begun: BegunExchange) => {
        const quote = bytes("quote");
        const answer = { kind: "tpm", secret: bytes(""), quote, signature: quote, pcrValues: new Map() } as const;
        return complete(begun, answer);
      },
      want: [
        "proof",
        `ssh ${host.fingerprint}: the challenge is for a proof by ssh, but the answer is by tpm`,
      ],
    },
    {
      name: "a challenge from ten minutes ago, whose token would have expired",
      run: (begun: BegunExchange) => complete(begun, sign(begun), { now: at(EXCHANGE_MS) }),
      want: ["state", "the challenge is 600 seconds old"],
    },
    {
      name: "a challenge from two minutes in the future",
      run: (begun: BegunExchange) => complete(begun, sign(begun), { now: at(-2 * MINUTE_MS) }),
      want: ["state", "the challenge is -120 seconds old"],
    },
    {
      name: "a challenge at a server with another CA",
      run: (begun: BegunExchange) => complete(begun, sign(begun, { caHash: keyB }), { caHash: keyB }),
      want: ["state", "the challenge is for another CA of the server"],
    },
    {
      name: "a challenge at a server with another sealing key",
      run: (begun: BegunExchange) =>
        complete(begun, sign(begun), { sealingKey: createSealingKey(bytes("another secret")) }),
      want: ["state", "the state was changed, is older than a day, or is of a server with another sealing key"],
    },
    {
      name: "a node that is not listed",
      run: (begun: BegunExchange) => complete(begun, sign(begun), { expected: "none" }),
      want: ["inventory", `ssh ${host.fingerprint}: the inventory lists no proof of this node`],
    },
    {
      name: "a key that is not listed for the node",
      run: (begun: BegunExchange) =>
        complete(begun, sign(begun), { expected: { ssh: [stolen.fingerprint], pcrs: new Map() } }),
      want: ["inventory", `ssh ${host.fingerprint}: the inventory does not list this key for this node`],
    },
  ]
) {
  test(`completeAttestation() refuses ${name}`, async () => {
    const refused = await run(await begin());
    assert.ok(!refused.ok);
    assert.deepEqual([refused.error.reason, refused.error.detail], want);
    assert.doesNotMatch(refused.error.message, /SHA256|n1|n2/);
  });
}

test("completeAttestation() refuses a key that is listed for another node", async () => {
  const machines = new Map([[n1, listed], [n2, { ssh: [stolen.fingerprint], pcrs: new Map() }]]);
  const prove = async (node: NodeName, by: SshHost) => {
    const begun = await beginAttestation({ node, key: keyA, evidence: by.evidence }, { ...context, pcrs: [], random });
    assert.ok(begun.ok);
    const { nonce, state } = begun.value;
    const answer = by.sign({ node, key: keyA, caHash, challenge: nonce });
    const findExpected = (name: NodeName) => ok(machines.get(name)!);
    return completeAttestation({ node, key: keyA, answer, state }, { ...context, findExpected });
  };
  assert.ok((await prove(n2, stolen)).ok);
  const refused = await prove(n1, stolen);
  assert.ok(!refused.ok);
  const detail = `ssh ${stolen.fingerprint}: the inventory does not list this key for this node`;
  assert.deepEqual([refused.error.reason, refused.error.detail], ["inventory", detail]);
});

test("completeAttestation() returns the same message for wrong proofs and unexpected machines", async () => {
  const begun = await begin();
  const refusals = await Promise.all([
    complete(begun, sign(begun, { by: stolen })),
    complete(begun, sign(begun), { expected: "none" }),
    complete(begun, sign(begun), { expected: { ssh: [], pcrs: new Map() } }),
    complete(begun, sign(begun), { key: keyB }),
  ]);
  assert.equal(new Set(refusals.map((refused) => !refused.ok && refused.error.message)).size, 1);
});

test("completeAttestation() refuses a state with any changed byte, or one that is cut off", async () => {
  const begun = await begin();
  const changed = Array.from({ length: begun.state.length }, (_, index) => {
    const state = begun.state.slice();
    state[index]! ^= 1;
    return state;
  });
  for (const state of [...changed, begun.state.slice(0, -1), begun.state.slice(0, 20), bytes("")]) {
    const refused = await complete({ state }, sign(begun));
    assert.ok(!refused.ok);
    assert.equal(refused.error.reason, "state");
    assert.equal(refused.error.message, "the challenge is no longer valid here: begin again");
  }
});

test("completeAttestation() accepts a state from before midnight for ten minutes", async () => {
  const begun = await begin({ now: new Date("2026-12-02T23:55:00Z") });
  const accept = async (time: string) => (await complete(begun, sign(begun), { now: new Date(time) })).ok;
  assert.equal(await accept("2026-12-03T00:04:59Z"), true);
  assert.equal(await accept("2026-12-03T00:05:00Z"), false);
  assert.equal(await accept("2026-12-04T23:55:00Z"), false);
});

test("completeAttestation() accepts a state of a server whose clock is slightly ahead, also at midnight", async () => {
  const begun = await begin({ now: new Date("2026-12-03T00:00:10Z") });
  assert.equal((await complete(begun, sign(begun), { now: new Date("2026-12-02T23:59:50Z") })).ok, true);
});

test("beginAttestation() does not repeat a challenge, and its state does not show its content", async () => {
  const [one, two] = [await begin(), await begin()];
  assert.notEqual(one.nonce, two.nonce);
  assert.notDeepEqual(one.state, two.state);
  assert.equal(one.state.length, two.state.length);
  assert.doesNotMatch(Buffer.from(one.state).toString("latin1"), /challenge|node|sha256/);
});

test("beginAttestation() names the field of evidence that cannot be used", async () => {
  const evidence: Evidence = { kind: "ssh", hostKey: bytes("bad") };
  const begun = await beginAttestation({ ...subject, evidence }, { ...context, pcrs: [], random });
  assert.deepEqual(begun, err({ field: "ssh.hostKey", message: "the bytes end too early" }));
});

const tpm = await createSoftwareTpm();
const pin = publicKeyPin({ publicKeyDer: tpm.evidence.endorsementKey });
/** The value that the TPM has in a PCR. */
const valueOf = (pcr: number): Bytes => new Uint8Array(32).fill(pcr);

function answer({ nonce, challenge }: BegunExchange, by = tpm) {
  assert.ok(challenge.kind === "tpm");
  return by.answer(challenge, createProofMessage({ ...subject, caHash, challenge: nonce }));
}

for (
  const { name, pcrs, want } of [
    { name: "no PCRs are listed", pcrs: [], want: undefined },
    { name: "the listed PCR is quoted", pcrs: [[7, valueOf(7)]], want: undefined },
    { name: "the listed PCR differs", pcrs: [[7, valueOf(8)]], want: "PCR 7 differs from the inventory" },
    { name: "the listed PCR was not requested", pcrs: [[9, valueOf(9)]], want: "PCR 9 differs from the inventory" },
  ] as const
) {
  test(`completeAttestation() ${want === undefined ? "accepts" : "refuses"} a quote when ${name}`, async () => {
    const begun = await begin({}, tpm.evidence);
    const expected = { tpm: pin, ssh: [], pcrs: new Map<number, Uint8Array>(pcrs) };
    const done = complete(begun, await answer(begun), { expected });
    assert.deepEqual(
      done.ok ? [] : [done.error.reason, done.error.detail],
      want ? ["inventory", `tpm ${pin}: ${want}`] : [],
    );
  });
}

test("completeAttestation() refuses a TPM that is not listed, a secret that is not decrypted, and another kind of answer", async () => {
  const begun = await begin({}, tpm.evidence);
  const expected = { tpm: pin, ssh: [], pcrs: new Map() };
  const refuse = (given: ProofAnswer, listed: ExpectedProofs = expected) => {
    const refused = complete(begun, given, { expected: listed });
    assert.ok(!refused.ok);
    return [refused.error.reason, refused.error.detail];
  };
  const quoted = await answer(begun);
  assert.deepEqual(refuse(quoted, { ...expected, tpm: keyA }), [
    "inventory",
    `tpm ${pin}: the inventory does not list this key for this node`,
  ]);
  assert.deepEqual(refuse({ ...quoted, secret: bytes("guess") }), [
    "proof",
    `tpm ${pin}: the TPM with this endorsement key did not decrypt the secret`,
  ]);
  assert.deepEqual(refuse(sign(begun)), [
    "proof",
    `tpm ${pin}: the challenge is for a proof by tpm, but the answer is by ssh`,
  ]);
});

test("completeAttestation() searches the inventory with the endorsement certificate of the first call", async () => {
  const certificate = bytes("certificate");
  const { endorsementKey } = tpm.evidence;
  for (
    const { evidence, endorsement } of [
      { evidence: tpm.evidence, endorsement: undefined },
      {
        evidence: { ...tpm.evidence, endorsementCertificate: certificate },
        endorsement: { key: endorsementKey, certificate },
      },
    ]
  ) {
    const begun = await begin({}, evidence);
    let asked: unknown = "nothing";
    const call = { ...subject, answer: await answer(begun), state: begun.state };
    const done = completeAttestation(call, {
      ...context,
      findExpected: (_node, proven) => {
        asked = proven;
        return ok({ tpm: pin, ssh: [], pcrs: new Map() });
      },
    });
    assert.ok(done.ok);
    assert.deepEqual(asked, { kind: "tpm", key: pin, endorsement });
  }
});

test("listQuotedPcrs() lists the PCRs of the firmware, and those in the inventory", () => {
  assert.deepEqual(listQuotedPcrs([]), [0, 1, 2, 3, 4, 5, 6, 7]);
  const expected = [{ ssh: [], pcrs: new Map([[11, valueOf(7)], [7, valueOf(7)]]) }, {
    ssh: [],
    pcrs: new Map([[9, valueOf(7)]]),
  }];
  assert.deepEqual(listQuotedPcrs(expected), [0, 1, 2, 3, 4, 5, 6, 7, 9, 11]);
});

const PCRS = [0, 7, 23];

/** Exchanges evidence for a token; returns `accepted`, or the detail of the refusal. */
async function exchange(
  evidence: Evidence,
  answer: (challenge: ProofChallenge, message: Bytes) => ProofAnswer | Promise<ProofAnswer>,
  expected: ExpectedProofs,
): Promise<string> {
  const begun = await beginAttestation({ ...subject, evidence }, {
    ...context,
    pcrs: PCRS,
    random: createSeededRandom(),
  });
  if (!begun.ok) return `${begun.error.field}: ${begun.error.message}`;
  const { nonce, challenge, state } = begun.value;
  const message = createProofMessage({ caHash, ...subject, challenge: nonce });
  const call = { ...subject, state, answer: await answer(challenge, message) };
  const done = completeAttestation(call, { ...context, findExpected: () => ok(expected) });
  return done.ok ? "accepted" : done.error.detail;
}

for (const algorithm of ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"] as const) {
  test(`verifyAnswer() accepts a proof by a host key of ${algorithm}, and not by another one`, async () => {
    const [host, other] = [await createSshHost(algorithm), await createSshHost(algorithm)];
    const expected = { ssh: [host.fingerprint], pcrs: new Map() };
    assert.equal(await exchange(host.evidence, (_, message) => host.sign(message), expected), "accepted");
    const stolen = await exchange(host.evidence, (_, message) => other.sign(message), expected);
    assert.equal(stolen, `ssh ${host.fingerprint}: the signature is by another key`);
    const changed = await exchange(host.evidence, (_, message) => host.sign(message.slice(1)), expected);
    assert.equal(changed, `ssh ${host.fingerprint}: the key did not sign the message`);
    const login = await exchange(host.evidence, (_, message) => host.sign(message, "file"), expected);
    assert.match(login, /namespace "file"/);
  });
}

for (const endorsement of ["rsa", "ecc"] as const) {
  test(`verifyAnswer() accepts a proof by a TPM with an endorsement key of ${endorsement}, and no other TPM`, async () => {
    const tpm = await createSoftwareTpm({ endorsement });
    const pin = publicKeyPin({ publicKeyDer: tpm.evidence.endorsementKey });
    const expected: ExpectedProofs = { tpm: pin, ssh: [], pcrs: new Map([[7, new Uint8Array(32).fill(7)]]) };
    const answer = (challenge: ProofChallenge, message: Uint8Array) => {
      assert.equal(challenge.kind, "tpm");
      return tpm.answer(challenge, message);
    };
    assert.equal(await exchange(tpm.evidence, answer, expected), "accepted");
    const wrong = { ...expected, pcrs: new Map([[7, new Uint8Array(32)]]) };
    assert.equal(await exchange(tpm.evidence, answer, wrong), `tpm ${pin}: PCR 7 differs from the inventory`);
    const guess = async (challenge: ProofChallenge, message: Uint8Array) => ({
      ...await answer(challenge, message),
      secret: new Uint8Array(32),
    });
    assert.match(await exchange(tpm.evidence, guess, expected), /did not decrypt the secret$/);
    const foreign = await createSoftwareTpm({ endorsement });
    const relayed = await exchange(foreign.evidence, (challenge, message) => {
      assert.equal(challenge.kind, "tpm");
      return foreign.answer(challenge, message);
    }, expected);
    assert.match(relayed, /the inventory does not list this key for this node$/);
    const otherMessage = (challenge: ProofChallenge) => answer(challenge, new Uint8Array(1));
    assert.notEqual(await exchange(tpm.evidence, otherMessage, expected), "accepted");
  });
}

test("challengeEvidence() refuses an attestation key that signs any data, and an unsupported endorsement key", async () => {
  const { attributes } = ATTESTATION_TEMPLATE;
  const loose = await createSoftwareTpm({ attestationKey: { attributes: attributes & ~TPM_ATTRIBUTE.restricted } });
  const expected = { ssh: [], pcrs: new Map() };
  const unused = () => assert.fail("it is refused before");
  assert.equal(
    await exchange(loose.evidence, unused, expected),
    "tpm.attestationKey: the attestation key does not have the attribute restricted",
  );
  const tpm = await createSoftwareTpm();
  const endorsementKey = (await generatePrivateKey("ecdsa-p384")).publicKeyDer();
  assert.match(await exchange({ ...tpm.evidence, endorsementKey }, unused, expected), /^tpm\.endorsementKey: want /);
});
