/** Tests `tlsboot ca rotate` on CA files without a server: every step, repeats, aborts and refusals. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createWorkplace, startInstance, type Workplace } from "../support/instance_process.ts";

const CA = ["--ca-cert", "pki/ca.crt"];

const rotate = (folder: Workplace, code: number, ...args: readonly string[]): Promise<string> =>
  folder.fail(code, "ca", "rotate", ...args, ...CA);

/** Creates `pki/ca.crt` and `pki/ca.key` in a folder. */
async function createPki(): Promise<Workplace> {
  const folder = await createWorkplace();
  await folder.succeed("ca", "init", "--data-dir", ".");
  return folder;
}

const readPki = (folder: Workplace, name: string): Promise<string> => readFile(folder.join("pki", name), "utf8");

test("ca rotate in files: shares of the passphrase open the key, and the printed next command includes them", async () => {
  await using folder = await createWorkplace();
  await folder.succeed(..."ca init --data-dir . --shares 2-of-3 --shares-out shares".split(" "));
  const shares = [1, 3].flatMap((number) => ["--ca-passphrase-file", `shares/share-${number}-of-3.txt`]);
  const begun = await rotate(folder, 0, "begin", ...shares);
  assert.match(begun, /^New CA: +CN=tlsboot-ca-2,/m);
  assert.match(
    begun,
    /pki\/ca\.crt signs, pki\/next-ca\.crt is the new CA, pki\/ca-bundle\.crt has what must be trusted/,
  );
  assert.match(await readPki(folder, "next-ca.key"), /BEGIN ENCRYPTED PRIVATE KEY/);
  const switched = await rotate(folder, 0, "switch", ...shares);
  const finish = "tlsboot ca rotate finish --ca-cert pki/ca.crt ";
  assert.ok(switched.includes(`${finish}${shares.join(" ")}`), switched);
  await rotate(folder, 0, "abort", ...shares);
});

test("ca rotate in files: begin, switch and finish swap the files, can be repeated, and consult the issued log", async () => {
  await using folder = await createPki();
  const [oldCa, oldKey] = [await readPki(folder, "ca.crt"), await readPki(folder, "ca.key")];
  assert.match(await rotate(folder, 0, "begin"), /CN=tlsboot-ca-2/);
  assert.equal(await readPki(folder, "ca.crt"), oldCa);
  const newCa = await readPki(folder, "next-ca.crt");
  assert.match(await rotate(folder, 0, "begin"), /CN=tlsboot-ca-2/);
  assert.equal(await readPki(folder, "next-ca.crt"), newCa, "the same rotation is continued");
  assert.equal(await readPki(folder, "ca-bundle.crt"), newCa + oldCa);
  assert.match(await rotate(folder, 1, "finish"), /the new CA does not sign yet/);

  assert.match(await rotate(folder, 0, "switch"), /nothing checks whether kube-apiserver trusts the new CA/);
  assert.match(await rotate(folder, 0, "switch"), /^nothing to do: /m);
  assert.equal(await readPki(folder, "ca.crt"), newCa);
  assert.equal(await readPki(folder, "old-ca.key"), oldKey);
  assert.match(await rotate(folder, 0, "begin"), /^nothing to do: /m);
  const status = JSON.parse(await rotate(folder, 0, "status", "-o", "json"));
  assert.equal(status.step, "Switch");

  assert.match(await rotate(folder, 2, "finish"), /finish must know who would lose access/);
  const log = "issued.log";
  const spec = {
    ...{ sequence: 1, subject: "O=system:nodes,CN=system:node:n1", usages: ["client auth"] },
    issuerFingerprint: await readFingerprint(folder, "old-ca.crt"),
    ...{ notBefore: "2026-01-01T00:00:00Z", notAfter: "2099-01-01T00:00:00Z", issuedAt: "2026-01-01T00:00:00Z" },
  };
  const intermediate = { ...spec, sequence: 2, subject: "CN=site-ca", usages: ["cert sign"], isCA: true };
  await writeFile(folder.join(log), [spec, intermediate].map((one) => `${JSON.stringify({ spec: one })}\n`).join(""));
  const refused = await rotate(folder, 3, "finish", "--issued-log", log);
  assert.match(refused, /n1 +node +old certificate until 2099-01-01T00:00:00Z/);
  assert.match(refused, /CN=site-ca +certificate +old certificate until 2099-01-01T00:00:00Z +sign its request again/);
  assert.match(await rotate(folder, 1, "finish", "--issued-log", log, "--leave-behind", "n2"), /there is no .* "n2"/);
  const finished = await rotate(folder, 0, "finish", "--issued-log", log, "--leave-behind", "n1,CN=site-ca");
  assert.match(finished, /destroy the old key with: shred -u pki\/retired-ca-[0-9a-f]{8}\.key/);
  await rotate(folder, 0, "finish", "--issued-log", log);
  assert.equal(await readPki(folder, "ca-bundle.crt"), newCa);
  assert.match(await rotate(folder, 1, "abort"), /cannot abort the rotation of ca: it is finished/);
  const names = (await readdir(folder.join("pki"))).filter((name) => /^(?:next|old)-|cross-signed/.test(name));
  assert.deepEqual(names, []);
  assert.match(await rotate(folder, 0, "begin"), /CN=tlsboot-ca-3/);
});

test("ca rotate in files: status --wait ends once everyone is ready, and flags without effect are refused", async () => {
  await using folder = await createPki();
  await rotate(folder, 0, "begin");
  assert.match(
    await rotate(folder, 0, "status", "--wait", "1m"),
    /^next: tlsboot ca rotate switch --ca-cert pki\/ca\.crt$/m,
  );
  assert.match(await rotate(folder, 2, "switch", "--over", "10m"), /--ca-cert and --over exclude each other/);
  assert.match(await rotate(folder, 2, "finish", "--timeout", "1m"), /--ca-cert and --timeout exclude each other/);
  assert.match(await rotate(folder, 1, "abort", "--leave-behind", "n7"), /there is no .* "n7" in this rotation/);
});

test("ca rotate in files: the files of a killed begin are retired, and the message names the key to destroy", async () => {
  await using folder = await createPki();
  const simulateKill = async (): Promise<void> => {
    for (const name of ["ca-rotation.json", "ca-bundle.crt", "ca-cross-signed.crt"]) await rm(folder.join("pki", name));
  };
  const retired = /an earlier begin was stopped.*: destroy its key with: shred -u pki\/retired-ca-[0-9a-f]{8}\.key/;
  await rotate(folder, 0, "begin");
  await simulateKill();
  assert.match(await rotate(folder, 0, "begin"), retired);
  await simulateKill();
  assert.match(await rotate(folder, 0, "abort"), retired);
  const names = await readdir(folder.join("pki"));
  assert.deepEqual(names.filter((name) => name.startsWith("next-")), []);
  assert.equal(names.filter((name) => /^retired-ca-.*\.key$/.test(name)).length, 2);
});

test("ca rotate in files: switch needs a user who may read which CAs kube-apiserver trusts", async () => {
  await using folder = await createPki();
  await using _instance = await startInstance(folder);
  await rotate(folder, 0, "begin");
  await folder.succeed("kubeconfig", "user", "alice");
  const refused = await rotate(folder, 1, "switch", "--kubeconfig", "alice.kubeconfig");
  assert.match(refused, /trusts for clients cannot be read\n.*hint: .*may get the configmap extension-apiserver-auth/);
  const untrusted = await rotate(folder, 1, "switch", "--kubeconfig", "data/admin.kubeconfig");
  assert.match(untrusted, /cannot switch: kube-apiserver would refuse clients of the new CA/);
});

async function readFingerprint(folder: Workplace, name: string): Promise<string> {
  const shown = await folder.answer("inspect", `pki/${name}`, "-o", "json");
  const [found = ""] = shown.match(/"sha256(?:Fingerprint)?": "([0-9A-Fa-f:]{64,})"/)?.slice(1) ?? [];
  return found.replaceAll(":", "").toLowerCase();
}

test("ca rotate in files: abort restores the old CA unchanged, even after switch", async () => {
  await using folder = await createPki();
  const [oldCa, oldKey] = [await readPki(folder, "ca.crt"), await readPki(folder, "ca.key")];
  assert.match(await rotate(folder, 0, "abort"), /the CA ca is not being replaced/);
  await rotate(folder, 0, "begin");
  await rotate(folder, 0, "switch");
  assert.match(await rotate(folder, 0, "abort"), /is being aborted: both CAs are trusted, the old one signs again/);
  assert.equal(await readPki(folder, "ca.key"), oldKey);
  assert.match(await rotate(folder, 1, "begin"), /and is being aborted/);
  await rotate(folder, 0, "abort");
  assert.equal(await readPki(folder, "ca.crt"), oldCa);
  assert.equal(await readPki(folder, "ca-bundle.crt"), oldCa);
  assert.match(await rotate(folder, 1, "status"), /is not being replaced/);
});

test("ca rotate in files: begin refuses a CA that expires too early, the same CA, a certificate without its key, and a name, and writes nothing", async () => {
  await using folder = await createPki();
  await mkdir(folder.join("short"));
  await folder.succeed("ca", "init", "--data-dir", "short", "--duration", "48h");
  const before = await readdir(folder.join("pki"));
  const short = ["--new-ca-cert", "short/pki/ca.crt", "--new-ca-key", "short/pki/ca.key"];
  assert.match(await rotate(folder, 1, "begin", ...short), /it ends at .*, before the present CA/);
  const same = ["--new-ca-cert", "pki/ca.crt", "--new-ca-key", "pki/ca.key"];
  assert.match(await rotate(folder, 1, "begin", ...same), /it is the present CA/);
  const half = ["--new-ca-cert", "short/pki/ca.crt"];
  assert.match(await rotate(folder, 2, "begin", ...half), /--new-ca-cert needs --new-ca-key/);
  assert.match(await rotate(folder, 2, "begin", "client-ca"), /--ca-cert and NAME exclude each other/);
  const stray = ["ca", "rotate", "begin", "--ca-key", "pki/ca.key"];
  assert.match(await folder.fail(2, ...stray), /--ca-key needs --ca-cert/);
  assert.deepEqual(await readdir(folder.join("pki")), before);
});

test("ca rotate in files: an encrypted key stays encrypted", async () => {
  await using folder = await createWorkplace();
  await writeFile(folder.join("passphrase"), "a long passphrase\n", { mode: 0o600 });
  const passphrase = ["--ca-passphrase-file", "passphrase"];
  await folder.succeed("ca", "init", "--data-dir", ".", ...passphrase);
  await rotate(folder, 0, "begin", ...passphrase);
  assert.match(await readPki(folder, "next-ca.key"), /BEGIN ENCRYPTED PRIVATE KEY/);
  assert.match(await rotate(folder, 1, "switch"), /passphrase/);
  await rotate(folder, 0, "switch", ...passphrase);
  assert.match(await readPki(folder, "ca.key"), /BEGIN ENCRYPTED PRIVATE KEY/);
});
