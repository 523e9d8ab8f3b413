/** Tests `tlsboot ca crl` and a server's CRLs: with a running server, without one, and from another machine. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { test } from "node:test";
import "reflect-metadata";
import { X509Crl } from "@peculiar/x509";
import { isCrlOf, parseCrl } from "../../core/pki/authority/crl.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { eventually } from "../support/eventually.ts";
import { getRecordedSerial } from "../support/issued_records.ts";
import { createWorkplace, startInstance } from "../support/instance_process.ts";
import { readCa } from "../support/signing_ca.ts";

const CRL = ["ca", "crl"];
const FILES = ["--ca-cert", "data/pki/ca.crt", "--ca-key", "data/pki/ca.key"];

/** Reads the number and the serial numbers of the only CRL in a PEM text, which the CA must have signed. */
function readCrl(pem: string, ca: CertificateFacts): { readonly number: bigint; readonly serials: readonly string[] } {
  const blocks = parsePemBlocks(pem);
  const [block] = blocks;
  assert.ok(block !== undefined && blocks.length === 1 && block.label === "X509 CRL", pem);
  const facts = parseCrl(block.bytes);
  assert.ok(facts.ok && isCrlOf(facts.value, ca));
  const serials = new X509Crl(block.bytes).entries.map(({ serialNumber }) => serialNumber);
  return { number: facts.value.number ?? 0n, serials };
}

test("tlsboot ca crl fetches a running server's CRL as PEM and DER, and creates one when no server runs", async () => {
  await using folder = await createWorkplace();
  let running: { readonly number: bigint };
  {
    await using instance = await startInstance(folder, ["--anonymous-auth=false"]);
    const ca = await readCa(folder.join("data/pki/ca.crt"));
    running = readCrl(await folder.answer(...CRL), ca);
    assert.equal(await folder.answer(...CRL), await readFile(`${instance.data}/pki/ca.crl`, "utf8"));
    assert.equal(await folder.answer(...CRL, "ca", "-o", "der", "--out", "ca.crl"), "ca.crl\n");
    const der = new Uint8Array(await readFile(folder.join("ca.crl")));
    assert.equal((await stat(folder.join("ca.crl"))).mode & 0o777, 0o644);
    assert.deepEqual(new X509Crl(der).entries, []);
    const remote = await folder.answer("ca", "crl", "--kubeconfig", "data/admin.kubeconfig", "--data-dir", "nowhere");
    assert.equal(readCrl(remote, ca).number, running.number);
  }
  const alone = readCrl(await folder.answer(...CRL), await readCa(folder.join("data/pki/ca.crt")));
  assert.ok(alone.number > running.number);
  assert.equal(
    readCrl(await readFile(folder.join("data/pki/ca.crl"), "utf8"), await readCa(folder.join("data/pki/ca.crt")))
      .number,
    alone.number,
  );
});

test("every CRL has the time of the revocation and the certificate's serial number", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, []);
  await folder.answer("kubeconfig", "user", "alice");
  await folder.answer("revoke", "user/alice", "--yes", "--reason", "keyCompromise");
  const { status: { time } } = JSON.parse(
    await folder.answer("get", "revocations", "user:alice", "-o", "json"),
  );
  const readDates = async () => {
    const [block] = parsePemBlocks(await folder.answer(...CRL));
    const { entries, thisUpdate } = new X509Crl(block?.bytes ?? new Uint8Array());
    return { dates: entries.map(({ revocationDate }) => revocationDate), thisUpdate };
  };
  const first = await eventually("alice is in the CRL", async () => {
    const read = await readDates();
    return read.dates.length === 1 ? read : undefined;
  });
  assert.deepEqual(first.dates, [new Date(time)]);
  assert.ok(first.thisUpdate < new Date(time), "the list is backdated for clients whose clock is behind");
  await folder.answer("kubeconfig", "user", "bob");
  await folder.answer("revoke", "user/bob", "--yes");
  const second = await eventually("bob is in the CRL", async () => {
    const read = await readDates();
    return read.dates.length === 2 ? read : undefined;
  });
  assert.deepEqual(second.dates[0], new Date(time));

  const config = await readFile(folder.join("alice.kubeconfig"), "utf8");
  const [, certificate = ""] = /client-certificate-data: "?([^"\s]+)/.exec(config) ?? [];
  const alice = new X509Certificate(Buffer.from(certificate, "base64"));
  const { serials } = readCrl(
    await readFile(folder.join("data/pki/ca.crl"), "utf8"),
    await readCa(folder.join("data/pki/ca.crt")),
  );
  assert.equal(serials.indexOf(getRecordedSerial(alice)), 0);
});

test("tlsboot ca crl prints the CRLs of a split CA one after another, and skips a CA without its key", async () => {
  await using folder = await createWorkplace();
  await folder.answer("ca", "init", "--split");
  {
    await using _instance = await startInstance(folder, []);
    const labels = parsePemBlocks(await folder.answer(...CRL, "kubelet-client-ca")).map(({ label }) => label);
    assert.deepEqual(labels, ["X509 CRL"]);
  }
  await rm(folder.join("data/pki/kubelet-serving-ca.key"));
  const { stdout, stderr } = await folder.succeed(...CRL);
  assert.match(stderr, /no CRL of data\/pki\/kubelet-serving-ca\.crt: its key is not here/);
  const names = ["ca", "client-ca", "kubelet-client-ca", "custom-ca"];
  const blocks = parsePemBlocks(stdout);
  assert.equal(blocks.length, names.length);
  for (const [index, name] of names.entries()) {
    const facts = parseCrl(blocks[index]?.bytes ?? new Uint8Array());
    assert.ok(facts.ok && isCrlOf(facts.value, await readCa(folder.join(`data/pki/${name}.crt`))), name);
  }
});

test("tlsboot ca crl updates the CRL of a CA in files: it adds each serial number once and increases the CRL number", async () => {
  await using folder = await createWorkplace();
  await folder.answer("ca", "init");
  const ca = await readCa(folder.join("data/pki/ca.crt"));
  const line = ["ca", "crl", ...FILES, "--out", "ca.crl"];
  assert.equal(await folder.answer(...line), "ca.crl: 0 revoked, 0 of them now\n");
  const first = readCrl(await readFile(folder.join("ca.crl"), "utf8"), ca);
  const add = ["--revoke", "0A:1B=keyCompromise", "--revoke", "7f02,0a1b=keyCompromise"];
  assert.equal(await folder.answer(...line, ...add), "ca.crl: 2 revoked, 2 of them now\n");
  const more = ["--revoke", "7f02=superseded", "--revoke", "03"];
  assert.equal(await folder.answer(...line, ...more), "ca.crl: 3 revoked, 1 of them now\n");
  const last = readCrl(await readFile(folder.join("ca.crl"), "utf8"), ca);
  assert.deepEqual(last.serials, ["0a1b", "7f02", "03"]);
  assert.ok(last.number > first.number);

  await folder.answer("ca", "init", "--data-dir", "other");
  const other = line.map((word) => word.replace("data/", "other/"));
  assert.match(await folder.refuse(1, ...other), /cannot add to ".*ca\.crl": it is not a CRL of this CA/);
  assert.deepEqual(readCrl(await readFile(folder.join("ca.crl"), "utf8"), ca), last);
});

for (
  const { name, args, code, want } of [
    {
      name: "a serial number without a CA in files",
      args: [...CRL, "--revoke", "0a"],
      code: 2,
      want: /--revoke needs --ca-cert/,
    },
    {
      name: "an invalid serial number",
      args: ["ca", "crl", ...FILES, "--out", "x.crl", "--revoke", "n1"],
      code: 2,
      want: /--revoke: "n1" found: a serial number is written in hex digits/,
    },
    {
      name: "an unknown reason",
      args: ["ca", "crl", ...FILES, "--out", "x.crl", "--revoke", "0a=stolen"],
      code: 2,
      want: /--revoke: "0a=stolen" found, want one of these reasons: unspecified, keyCompromise/,
    },
    { name: "a CA in files without --out", args: ["ca", "crl", ...FILES], code: 2, want: /--ca-cert needs --out/ },
    {
      name: "an unknown CA",
      args: [...CRL, "etcd-ca"],
      code: 2,
      want: /there is no CA "etcd-ca".*name one of ca,/s,
    },
    { name: "no CA", args: ["ca", "crl", "--data-dir", "empty"], code: 1, want: /create a CA with: tlsboot ca init/ },
    { name: "no objects", args: CRL, code: 1, want: /cannot make a CRL from ".*data": there is no database in it/ },
    { name: "DER on stdout", args: [...CRL, "-o", "der"], code: 2, want: /--output=der needs --out/ },
  ]
) {
  test(`tlsboot ca crl reports ${name}`, async () => {
    await using folder = await createWorkplace();
    await mkdir(folder.join("empty"));
    await folder.answer("ca", "init");
    const refused = await folder.tlsboot(...args);
    assert.deepEqual([refused.code, refused.stdout], [code, ""], refused.stderr);
    assert.match(refused.stderr, want);
  });
}
