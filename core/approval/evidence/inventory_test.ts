import assert from "node:assert/strict";
import { test } from "node:test";
import { createHash } from "node:crypto";
import {
  basicConstraints,
  encodeOddCertificate,
  extendedKeyUsage,
  keyUsage,
} from "../../../tests/support/odd_certificate.ts";
import { createSoftwareTpm } from "../../../tests/support/software_tpm.ts";
import { HASHED_NAMES, SSH_VECTORS } from "../../../tests/support/ssh_vectors.ts";
import { TRUST_ANCHOR } from "../../../tests/support/trust_anchor.ts";
import type { NodeName } from "../../machine/node_name.ts";
import { encodePem } from "../../pki/asn1/pem.ts";
import { generatePrivateKey } from "../../pki/keys/keys.ts";
import { findExpectedProofs, listProofKinds, parseInventory } from "./inventory.ts";

const [ED25519 = "", P256 = ""] = SSH_VECTORS.map(({ type, publicKey }) => `${type} ${publicKey}`);
const [FIRST = "", SECOND = ""] = SSH_VECTORS.map(({ fingerprint }) => fingerprint);
const HASH = "ab".repeat(32);
const PIN = `sha256:${HASH}`;
const NO_PCRS = new Map();
const FINGERPRINT_FAULT =
  "want SHA256: and 43 characters, as ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub prints them";

test("parseInventory() reads nodes, addresses in canonical form", () => {
  const read = parseInventory(
    "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n  - {name: a, dns: [a.example], ips: ['2001:0db8::0001', 10.0.0.1]}\n  - {name: b}\n",
  );
  assert.ok(read.ok);
  assert.deepEqual([...read.value], [["a", { dns: ["a.example"], ips: ["2001:db8::1", "10.0.0.1"] }], ["b", {
    dns: [],
    ips: [],
  }]]);
});

test("parseInventory() refuses names that cannot be compared and values that two nodes share", () => {
  const of = (nodes: string) => parseInventory(`apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: ${nodes}\n`);
  for (
    const [nodes, fault] of [
      ["[{name: a, dns: [A.example]}]", 'nodes[0].dns[0]: "A.example" is not in lower case'],
      ["[{name: a, dns: ['*.example']}]", 'nodes[0].dns[0]: "*.example" is a wildcard'],
      ["[{name: a, dns: [10.0.0.1]}]", 'nodes[0].dns[0]: "10.0.0.1" is an address, not a DNS name'],
      ["[{name: a, ips: [10.0.0.256]}]", 'nodes[0].ips[0]: "10.0.0.256" is not an IP address'],
      ["[{name: a, ips: [10.0.0.1]}, {name: b, ips: [10.0.0.1]}]", 'nodes[1]: "10.0.0.1" already belongs to "a"'],
      ["[{name: a}, {name: a}]", 'nodes[1].name: "a" is listed twice'],
      ["[{name: a, ip: []}]", "nodes[0].ip: unknown key; did you mean ips?"],
      [
        "[{name: a, tpm: abc}]",
        "nodes[0].tpm: want sha256: and 64 hexadecimal digits, the pin of the endorsement key",
      ],
      [`[{name: a, ssh: "${FIRST}="}]`, `nodes[0].ssh: ${FINGERPRINT_FAULT}`],
      [`[{name: a, ssh: ["${FIRST}", x]}]`, `nodes[0].ssh[1]: ${FINGERPRINT_FAULT}`],
      ["[{name: a, ssh: []}]", "nodes[0].ssh: want at least one"],
      [`[{name: a, ssh: "${FIRST}"}, {name: b, ssh: ["${FIRST}"]}]`, `nodes[1]: "${FIRST}" already belongs to "a"`],
      [`[{name: a, tpm: "${PIN}"}, {name: b, tpm: "${PIN}"}]`, `nodes[1]: "${PIN}" already belongs to "a"`],
      [`[{name: a, pcrs: {7: "${HASH}"}}]`, "nodes[0].pcrs: needs tpm, because a TPM reports them"],
      [
        `[{name: a, tpm: "${PIN}", pcrs: [7]}]`,
        "nodes[0].pcrs: a mapping of PCR numbers to hexadecimal values expected",
      ],
      [`[{name: a, tpm: "${PIN}", pcrs: {24: "${HASH}"}}]`, "nodes[0].pcrs.24: want the number of a PCR, from 0 to 23"],
      [
        `[{name: a, tpm: "${PIN}", pcrs: {7: ${"0".repeat(64)}}}]`,
        "nodes[0].pcrs.7: want a SHA-256 hash, 64 hexadecimal digits in quotes",
      ],
    ] as const
  ) {
    const read = of(nodes);
    assert.ok(!read.ok);
    assert.deepEqual(read.error, [fault]);
  }
});

test("parseInventory() reads the keys with which machines prove their identity", () => {
  const read = parseInventory(
    `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n` +
      `  - {name: a, tpm: "${PIN.toUpperCase()}", pcrs: {7: "${"0A".repeat(32)}", 23: "0x${"00".repeat(32)}"}}\n` +
      `  - {name: b, ssh: "${FIRST}"}\n  - {name: c, dns: [c.example], ssh: ["${SECOND}"]}\n  - {name: d}\n`,
  );
  assert.ok(read.ok);
  const pcrs = new Map([[7, new Uint8Array(32).fill(10)], [23, new Uint8Array(32)]]);
  assert.deepEqual([...read.value], [
    ["a", { dns: [], ips: [], proofs: { tpm: PIN, ssh: [], pcrs } }],
    ["b", { dns: [], ips: [], proofs: { tpm: undefined, ssh: [FIRST], pcrs: NO_PCRS } }],
    ["c", { dns: ["c.example"], ips: [], proofs: { tpm: undefined, ssh: [SECOND], pcrs: NO_PCRS } }],
    ["d", { dns: [], ips: [] }],
  ]);
});

test("parseInventory() reads the CAs of endorsement certificates", () => {
  const parse = (authorities: unknown) =>
    parseInventory(
      `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: []\nendorsementAuthorities: ${
        JSON.stringify(authorities)
      }\n`,
    );
  const read = parse([{ certificates: TRUST_ANCHOR, nodeName: "commonName" }]);
  assert.ok(read.ok);
  assert.deepEqual(
    read.value.endorsementAuthorities?.map(({ certificates, nodeName }) => [certificates.length, nodeName]),
    [[1, "commonName"]],
  );
  for (
    const [authorities, fault] of [
      [
        [{ certificates: "x", nodeName: "dnsName" }],
        "[0].certificates: must contain at least one CERTIFICATE PEM block",
      ],
      [
        [{ certificates: TRUST_ANCHOR, nodeName: "dnsNames" }],
        '[0].nodeName: unknown value "dnsNames"; did you mean dnsName?',
      ],
      [[{ certificates: TRUST_ANCHOR }], "[0].nodeName: missing"],
      [[], ": want at least one"],
    ] as const
  ) assert.deepEqual(parse(authorities), { ok: false, error: [`endorsementAuthorities${fault}`] });
});

test("parseInventory() reads known_hosts: the lines of a machine are combined", () => {
  const read = parseInventory(`n1,n1.lan,10.0.0.1 ${ED25519}\nn1,10.0.0.2 ${P256}\nn1 ${ED25519}\n`);
  assert.ok(read.ok);
  assert.deepEqual([...read.value], [["n1", {
    dns: ["n1", "n1.lan"],
    ips: ["10.0.0.1", "10.0.0.2"],
    proofs: { ssh: [FIRST, SECOND], pcrs: NO_PCRS },
  }]]);
});

test("parseInventory() reads known_hosts: a hashed name is found and not listed", () => {
  const read = parseInventory(`${HASHED_NAMES.n1} ${ED25519}\nn1 ${P256}\n${HASHED_NAMES.n2} ${ED25519}\n`);
  assert.ok(read.ok);
  const inventory = read.value;
  assert.deepEqual([...inventory.keys()], ["n1"]);
  assert.deepEqual(["n1", "n2", "n3"].map((name) => inventory.has(name)), [true, true, false]);
  for (let again = 0; again < 2; again++) {
    assert.deepEqual(inventory.get("n1")?.dns, ["n1"]);
    assert.deepEqual(inventory.get("n2"), { dns: [], ips: [] });
    assert.equal(inventory.get("n3"), undefined);
  }
  assert.deepEqual(inventory.hashedHosts?.map(({ fingerprint }) => fingerprint), [FIRST, FIRST]);
});

test("parseInventory() reads known_hosts: a machine whose keys are all revoked is not expected", () => {
  const read = parseInventory(`n1 ${ED25519}\nn2 ${P256}\n${HASHED_NAMES.n1} ${ED25519}\n@revoked * ${ED25519}\n`);
  assert.ok(read.ok);
  assert.deepEqual(["n1", "n2"].map((name) => read.value.has(name)), [false, true]);
});

for (
  const { name, text, faults } of [
    {
      name: "a key of two nodes",
      text: `n1 ${ED25519}\nn2 ${ED25519}\n`,
      faults: [`line 2: "${FIRST}" already belongs to "n1"`],
    },
    {
      name: "a name and an address of two nodes",
      text: `n1,10.0.0.1 ${ED25519}\nn2,n1,10.0.0.1 ${P256}\n`,
      faults: ['line 2: "n1" already belongs to "n1"', 'line 2: "10.0.0.1" already belongs to "n1"'],
    },
    {
      name: "a wildcard",
      text: `n1 ${ED25519}\n*.lan ${P256}\n`,
      faults: ['line 2: "*.lan" is a wildcard; list each machine by its name'],
    },
  ]
) {
  test(`parseInventory() refuses known_hosts with ${name}`, () => {
    assert.deepEqual(parseInventory(text), { ok: false, error: faults });
  });
}

test("findExpectedProofs() accepts the TPM of an endorsement certificate for a node that is listed without a TPM", async () => {
  const [now, notBefore, notAfter] = ["2026-12-02", "2026-12-01", "2099-12-31"].map((day) => new Date(day)) as [
    Date,
    Date,
    Date,
  ];
  const ca = await generatePrivateKey("ecdsa-p256");
  const { endorsementKey: key } = (await createSoftwareTpm()).evidence;
  const common = { issuer: "vtpm", signer: ca, notBefore, notAfter, serial: Uint8Array.of(1), version: 3 } as const;
  const authority = encodeOddCertificate({
    ...common,
    subject: "vtpm",
    key: ca,
    extensions: [basicConstraints(true), keyUsage(5)],
  });
  const certificate = encodeOddCertificate({
    ...common,
    subject: "n1",
    key: { algorithm: "ECDSA", publicKeyDer: () => key, sign: () => assert.fail() },
    extensions: [extendedKeyUsage("2.23.133.8.1")],
  });
  const authorities = [{ certificates: encodePem("CERTIFICATE", authority), nodeName: "commonName" }];
  const tpm = `sha256:${createHash("sha256").update(key).digest("hex")}`;
  const find = (nodes: string, node: string, endorsement = { key, certificate }) => {
    const read = parseInventory(
      `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [${nodes}]\n` +
        `endorsementAuthorities: ${JSON.stringify(authorities)}\n`,
    );
    assert.ok(read.ok && listProofKinds(read.value).includes("tpm"));
    const proven = { kind: "tpm", key: tpm, endorsement } as const;
    return findExpectedProofs(read.value, node as NodeName, proven, now);
  };
  assert.deepEqual(find("", "n1"), { ok: true, value: { ssh: [], pcrs: NO_PCRS, tpm } });
  assert.deepEqual(find(`{ name: n1, ssh: "${FIRST}" }`, "n1"), {
    ok: true,
    value: { ssh: [FIRST], pcrs: NO_PCRS, tpm },
  });
  const listed = find(`{ name: n1, tpm: "${PIN}" }`, "n1");
  assert.equal(listed.ok && listed.value.tpm, PIN);
  assert.deepEqual(find("", "n2"), { ok: false, error: 'the endorsement certificate is for node "n1"' });
  const malformed = find("", "n1", { key, certificate: Uint8Array.of(0) });
  assert.ok(!malformed.ok && malformed.error.startsWith("the endorsement certificate is malformed"));
});

test("findExpectedProofs() finds what is listed, and listProofKinds() the kinds of it", () => {
  const read = (nodes: string) => {
    const inventory = parseInventory(`apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [${nodes}]\n`);
    assert.ok(inventory.ok);
    return inventory.value;
  };
  const now = new Date("2026-12-02");
  const listed = read(`{ name: n1, ssh: "${FIRST}" }, { name: n2 }`);
  assert.deepEqual(listProofKinds(listed), ["ssh"]);
  assert.deepEqual(listProofKinds(read("{ name: n1 }")), []);
  assert.deepEqual(listProofKinds(read(`{ name: n1, tpm: "${PIN}" }`)), ["tpm"]);
  assert.deepEqual(listProofKinds(read(`{ name: n1, ssh: "${FIRST}" }, { name: n2, tpm: "${PIN}" }`)), ["tpm", "ssh"]);
  assert.equal(findExpectedProofs(listed, "n1" as NodeName, undefined, now).ok, true);
  const none = { ok: false, error: "the inventory lists no proof of this node" };
  assert.deepEqual(findExpectedProofs(listed, "n2" as NodeName, undefined, now), none);
});

test("findExpectedProofs() finds a hashed name by the key that was proven, and computes no hash for other keys", () => {
  const read = parseInventory(`${HASHED_NAMES.n1} ${ED25519}\nn1 ${P256}\n${HASHED_NAMES.n2} ${ED25519}\n`);
  assert.ok(read.ok);
  const hashed = parseInventory(`${HASHED_NAMES.n1} ${ED25519}\n`);
  assert.deepEqual(hashed.ok && listProofKinds(hashed.value), ["ssh"]);
  const now = new Date("2026-12-02");
  const find = (node: string, key: string) => {
    const found = findExpectedProofs(read.value, node as NodeName, { kind: "ssh", key }, now);
    return found.ok ? found.value.ssh : found.error;
  };
  assert.deepEqual(find("n1", FIRST), [SECOND, FIRST]);
  assert.deepEqual(find("n1", SECOND), [SECOND]);
  assert.deepEqual(find("n2", FIRST), [FIRST]);
  const none = "the inventory lists no proof of this node";
  assert.deepEqual([find("n2", SECOND), find("n3", FIRST), find("n3", "SHA256:other")], [none, none, none]);
  let hashes = 0;
  for (const host of read.value.hashedHosts ?? []) {
    Object.defineProperty(host, "salt", { get: () => (hashes++, new Uint8Array(20)) });
  }
  for (const name of ["n1", "n9"] as NodeName[]) {
    findExpectedProofs(read.value, name, { kind: "ssh", key: SECOND }, now);
    findExpectedProofs(read.value, name, undefined, now);
  }
  assert.equal(hashes, 0);
});

test("findExpectedProofs() verifies an endorsement certificate for listed and other nodes alike", () => {
  const read = parseInventory(
    `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [{ name: n1, tpm: "${PIN}" }]\n` +
      `endorsementAuthorities: ${JSON.stringify([{ certificates: TRUST_ANCHOR, nodeName: "commonName" }])}\n`,
  );
  assert.ok(read.ok);
  for (const node of ["n1", "n2"] as NodeName[]) {
    let reads = 0;
    const endorsement = {
      key: Uint8Array.of(0),
      get certificate() {
        reads++;
        return Uint8Array.of(0);
      },
    };
    const found = findExpectedProofs(read.value, node, { kind: "tpm", key: PIN, endorsement }, new Date("2026-12-02"));
    assert.deepEqual([found.ok, reads], [node === "n1", 1]);
  }
});
