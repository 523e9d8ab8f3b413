/**
 * openssl and Go's x509, which client-go uses, confirm the verdicts of our test cases for path validation, and verify
 * leaves of a new CA that the old CA has cross-signed.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { test } from "node:test";
import type { Authority } from "../../../core/pki/authority/authority.ts";
import { crossSign } from "../../../core/ca_rotation/new_ca.ts";
import { issueCertificate } from "../../../core/pki/authority/issue.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { buildChainCases, type ChainCase } from "../../support/chain_cases.ts";
import type { Verdict } from "../../support/chain_drafts.ts";
import { runProgram, succeedProgram } from "../../support/child.ts";
import { peerPath } from "../../support/peers/go.ts";
import { createIntermediateCa, createSigningCa } from "../../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A chain that a server sends to a client, and the expected verdicts. */
type Case = Pick<ChainCase, "name" | "chain" | "roots" | "host" | "go" | "openssl">;

/** The cases in which openssl's command differs from Go and from us. */
const DIFFERENT: Readonly<Record<string, Verdict>> = {
  // It accepts what RFC 6125 calls legacy.
  "host: a common name alone": "accept",
  "host: a wildcard within a label": "accept",
  "host: an empty list of names": "accept",
  // It ignores unparsable names.
  "a negative serial number": "accept",
  "host: a name that is not ASCII, and a valid one": "accept",
  "host: an address of 5 octets": "accept",
  // It does not normalize names and addresses.
  "host: a final dot in the requested name": "refuse",
  "host: an IPv4 address within IPv6": "refuse",
};

async function issueServerLeaf(ca: Authority): Promise<Bytes> {
  const key = await generatePrivateKey("ecdsa-p256");
  const now = Date.now();
  const plan = {
    subject: { commonName: "kube-apiserver" },
    publicKeyDer: key.publicKeyDer(),
    dnsNames: ["server.example.org"],
    ipAddresses: [],
    emailAddresses: [],
    uris: [],
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 3_600_000),
    usages: ["digital signature", "server auth"],
    isCa: false,
  };
  return await issueCertificate(plan, ca, Uint8Array.of(9));
}

/** Leaves of a new CA: clients of the old root accept them only with the cross-signed certificate. */
async function buildCrossSigned(): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const commonName of ["kubernetes-2", "kubernetes"]) {
    const root = await createSigningCa({ commonName: "root" });
    for (
      const oldCa of [
        await createSigningCa({ commonName: "kubernetes", keyAlgorithm: "rsa-2048" }),
        await createIntermediateCa(root, "kubernetes", { maxPathLength: 1 }),
      ]
    ) {
      const newCa = await createSigningCa({ commonName });
      const notBefore = new Date(Date.now() - 60_000);
      const cross = await crossSign(newCa.certificate, oldCa, { notBefore, serial: Uint8Array.of(7) });
      assert.ok(cross.ok);
      const leaf = await issueServerLeaf(newCa);
      const shown = [leaf, cross.value.der, ...oldCa.intermediates.map(({ der }) => der)];
      const oldRoot = (oldCa.issuers.at(-1) ?? oldCa.certificate).der;
      const newRoot = newCa.certificate.der;
      const ca = `${commonName}, ${oldCa.issuers.length === 0 ? "root" : "intermediate"}`;
      const add = (name: string, chain: readonly Bytes[], roots: readonly Bytes[], want: Verdict) =>
        cases.push({ name: `${ca}: ${name}`, chain, roots, host: "server.example.org", go: want, openssl: want });
      add("old root", shown, [oldRoot], "accept");
      add("new root", shown, [newRoot], "accept");
      add("both", shown, [oldRoot, newRoot], "accept");
      add("leaf alone, new root", [leaf], [newRoot], "accept");
      add("leaf alone, old root", [leaf], [oldRoot], "refuse");
    }
  }
  return cases;
}

const CASE_SETS = [
  {
    title: "each case of path validation",
    build: (): Promise<readonly Case[]> => buildChainCases(new Date()),
    flags: ["-partial_chain", "-auth_level", "2"],
  },
  { title: "a leaf of a new CA that the old CA has cross-signed", build: buildCrossSigned, flags: ["-x509_strict"] },
];

for (const { title, build, flags } of CASE_SETS) {
  test(`openssl verify gives the expected verdict for ${title}`, async () => {
    await using folder = await createTempFolder();
    const differences: string[] = [];
    for (const chainCase of await build()) {
      const verdict = await verify(folder, chainCase, flags);
      if (verdict !== (DIFFERENT[chainCase.name] ?? chainCase.openssl)) {
        differences.push(`${chainCase.name}: ${verdict}`);
      }
    }
    assert.deepEqual(differences, []);
  });

  test(`a Go client gives the expected verdict for ${title}`, async () => {
    const cases = await build();
    const base64 = (der: Uint8Array): string => Buffer.from(der).toString("base64");
    const questions = cases.map(({ chain, roots, host }) =>
      JSON.stringify({ chain: chain.map(base64), roots: roots.map(base64), host })
    );
    const { stdout } = await succeedProgram(peerPath("chainjudge"), [], { stdin: questions.join("\n") });
    const answers = stdout.trim().split("\n");
    assert.equal(answers.length, cases.length);
    const differences = cases.flatMap(({ name, go }, index) =>
      answers[index]?.startsWith(go) === true ? [] : [`${name}: ${answers[index]}`]
    );
    assert.deepEqual(differences, []);
  });
}

async function verify(
  folder: TempFolder,
  { chain, roots, host }: Case,
  flags: readonly string[],
): Promise<Verdict> {
  const [leaf, ...intermediates] = chain.map((der) => encodePem("CERTIFICATE", der));
  const files = { leaf: leaf ?? "", intermediates: intermediates.join(""), roots: "" };
  files.roots = roots.map((der) => encodePem("CERTIFICATE", der)).join("");
  for (const [name, text] of Object.entries(files)) await writeFile(folder.join(`${name}.pem`), text);
  const { code, stdout, stderr } = await runProgram("openssl", [
    ...["verify", "-CAfile", folder.join("roots.pem"), ...flags, "-purpose", "sslserver"],
    ...(intermediates.length === 0 ? [] : ["-untrusted", folder.join("intermediates.pem")]),
    ...[isIP(host) > 0 ? "-verify_ip" : "-verify_hostname", host, folder.join("leaf.pem")],
  ]);
  assert.ok(code === 0 || /error \d+ at \d+ depth lookup|verification failed/.test(stdout + stderr), stdout + stderr);
  return code === 0 ? "accept" : "refuse";
}
