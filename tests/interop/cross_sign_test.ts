/** A leaf of a new CA, before Go and openssl: with the cross-signed certificate for the old root, alone for the new one. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { Authority } from "../../core/pki/authority.ts";
import { crossSign } from "../../core/pki/cross_sign.ts";
import { issueCertificate } from "../../core/pki/issue.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";
import { encodePem } from "../../core/pki/pem.ts";
import { runProgram, succeedProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";
import { createIntermediateCa, createSigningCa } from "../support/signing_ca.ts";
import { createTempFolder } from "../support/temp.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Case {
  readonly name: string;
  readonly chain: readonly Bytes[];
  readonly roots: readonly Bytes[];
  readonly want: "accept" | "refuse";
}

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

async function buildCases(): Promise<readonly Case[]> {
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
      const cross = await crossSign(newCa.certificate, oldCa, {
        notBefore: new Date(Date.now() - 60_000),
        serial: Uint8Array.of(7),
      });
      assert.ok(cross.ok);
      const leaf = await issueServerLeaf(newCa);
      const shown = [leaf, cross.value.der, ...oldCa.intermediates.map(({ der }) => der)];
      const oldRoot = (oldCa.issuers.at(-1) ?? oldCa.certificate).der;
      const newRoot = newCa.certificate.der;
      const name = `${commonName}, ${oldCa.issuers.length === 0 ? "root" : "intermediate"}`;
      cases.push(
        { name: `${name}: old root`, chain: shown, roots: [oldRoot], want: "accept" },
        { name: `${name}: new root`, chain: shown, roots: [newRoot], want: "accept" },
        { name: `${name}: both`, chain: shown, roots: [oldRoot, newRoot], want: "accept" },
        { name: `${name}: leaf alone, new root`, chain: [leaf], roots: [newRoot], want: "accept" },
        { name: `${name}: leaf alone, old root`, chain: [leaf], roots: [oldRoot], want: "refuse" },
      );
    }
  }
  return cases;
}

test("Go accepts a leaf of the new CA with the cross-signed certificate", async () => {
  const cases = await buildCases();
  const base64 = (der: Uint8Array): string => Buffer.from(der).toString("base64");
  const questions = cases.map(({ chain, roots }) =>
    JSON.stringify({ chain: chain.map(base64), roots: roots.map(base64), host: "server.example.org" })
  );
  const { stdout } = await succeedProgram(peerPath("chainjudge"), [], { stdin: questions.join("\n") });
  const answers = stdout.trim().split("\n");
  const differences = cases.flatMap(({ name, want }, index) =>
    answers[index]?.startsWith(want) === true ? [] : [`${name}: ${answers[index]}`]
  );
  assert.deepEqual(differences, []);
});

test("openssl accepts a leaf of the new CA with the cross-signed certificate", async () => {
  await using folder = await createTempFolder();
  const write = async (name: string, ders: readonly Bytes[]): Promise<string> => {
    await writeFile(folder.join(name), ders.map((der) => encodePem("CERTIFICATE", der)).join(""));
    return folder.join(name);
  };
  for (const { name, chain, roots, want } of await buildCases()) {
    const { code, stderr } = await runProgram("openssl", [
      ...["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "server.example.org"],
      ...["-CAfile", await write("roots.pem", roots)],
      ...(chain.length === 1 ? [] : ["-untrusted", await write("behind.pem", chain.slice(1))]),
      await write("leaf.pem", chain.slice(0, 1)),
    ]);
    assert.equal(code === 0 ? "accept" : "refuse", want, `${name}: ${stderr}`);
  }
});
