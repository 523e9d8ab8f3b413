/** `tlsboot ca rotate` over the files of a CA without a server: every step, a way back, repeats, and what is refused. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createWorkplace, type Workplace } from "../support/instance_process.ts";

const CA = ["--cluster-signing-cert-file", "pki/ca.crt", "--cluster-signing-key-file", "pki/ca.key"];

const rotate = (folder: Workplace, code: number, ...args: readonly string[]): Promise<string> =>
  folder.fail(code, "ca", "rotate", ...args, ...CA);

/** Makes `pki/ca.crt` and `pki/ca.key` in a folder. */
async function createPki(): Promise<Workplace> {
  const folder = await createWorkplace();
  await folder.succeed("ca", "init", "--data-dir", ".");
  return folder;
}

const readPki = (folder: Workplace, name: string): Promise<string> => readFile(folder.join("pki", name), "utf8");

test("ca rotate in files: shares of the passphrase open the key, and the next command names them", async () => {
  await using folder = await createWorkplace();
  await folder.succeed(..."ca init --data-dir . --shares 2-of-3 --shares-out shares".split(" "));
  const shares = [1, 3].flatMap((number) => ["--ca-passphrase-share", `shares/share-${number}-of-3.txt`]);
  assert.match(await rotate(folder, 0, "begin", ...shares), /the new CA "CN=tlsboot-ca-2" is in pki\/next-ca\.crt/);
  assert.match(await readPki(folder, "next-ca.key"), /BEGIN ENCRYPTED PRIVATE KEY/);
  const switched = await rotate(folder, 0, "switch", ...shares);
  const finish =
    "tlsboot ca rotate finish --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key ";
  assert.ok(switched.includes(`${finish}${shares.join(" ")}`), switched);
  await rotate(folder, 0, "abort", ...shares);
});

test("ca rotate in files: begin, switch and finish exchange the files, each can be repeated, and the issued log is asked", async () => {
  await using folder = await createPki();
  const [oldCa, oldKey] = [await readPki(folder, "ca.crt"), await readPki(folder, "ca.key")];
  assert.match(await rotate(folder, 0, "begin"), /the new CA "CN=tlsboot-ca-2" is in pki\/next-ca\.crt/);
  assert.equal(await readPki(folder, "ca.crt"), oldCa);
  const newCa = await readPki(folder, "next-ca.crt");
  assert.match(await rotate(folder, 0, "begin"), /CN=tlsboot-ca-2/);
  assert.equal(await readPki(folder, "next-ca.crt"), newCa, "the same rotation is continued");
  assert.equal(await readPki(folder, "ca-bundle.crt"), newCa + oldCa);
  assert.match(await rotate(folder, 1, "finish"), /the old CA still signs/);

  assert.match(await rotate(folder, 0, "switch"), /nothing checks whether kube-apiserver trusts the new CA/);
  await rotate(folder, 0, "switch");
  assert.equal(await readPki(folder, "ca.crt"), newCa);
  assert.equal(await readPki(folder, "old-ca.key"), oldKey);
  assert.match(await rotate(folder, 1, "begin"), /the CA in ".*ca\.crt" is being replaced/);
  const status = JSON.parse(await rotate(folder, 0, "status", "-o", "json"));
  assert.equal(status.step, "Switch");

  assert.match(await rotate(folder, 2, "finish"), /finish must know who would lose access/);
  const log = "issued.log";
  const spec = {
    ...{ sequence: 1, subject: "O=system:nodes,CN=system:node:n1", usages: ["client auth"] },
    issuerFingerprint: await readFingerprint(folder, "old-ca.crt"),
    ...{ notBefore: "2026-01-01T00:00:00Z", notAfter: "2099-01-01T00:00:00Z", issuedAt: "2026-01-01T00:00:00Z" },
  };
  await writeFile(folder.join(log), `${JSON.stringify({ spec })}\n`);
  const refused = await rotate(folder, 3, "finish", "--issued-log", log);
  assert.match(refused, /node\/n1 +old certificate until 2099-01-01T00:00:00Z/);
  assert.match(refused, /--leave-behind node\/n1/);
  assert.match(await rotate(folder, 2, "finish", "--issued-log", log, "--leave-behind", "n2"), /there is no "n2"/);
  const finished = await rotate(folder, 0, "finish", "--issued-log", log, "--leave-behind", "n1");
  assert.match(finished, /destroy its key when everything works: pki\/retired-ca-[0-9a-f]{8}\.key/);
  await rotate(folder, 0, "finish", "--issued-log", log);
  assert.equal(await readPki(folder, "ca-bundle.crt"), newCa);
  assert.match(await rotate(folder, 1, "abort"), /the rotation is finished/);
  const names = (await readdir(folder.join("pki"))).filter((name) => /^(?:next|old)-|cross-signed/.test(name));
  assert.deepEqual(names, []);
  assert.match(await rotate(folder, 0, "begin"), /CN=tlsboot-ca-3/);
});

async function readFingerprint(folder: Workplace, name: string): Promise<string> {
  const shown = await folder.answer("inspect", `pki/${name}`, "-o", "json");
  const [found = ""] = shown.match(/"sha256(?:Fingerprint)?": "([0-9A-Fa-f:]{64,})"/)?.slice(1) ?? [];
  return found.replaceAll(":", "").toLowerCase();
}

test("ca rotate in files: abort goes back, also after switch, and leaves the old CA as it was", async () => {
  await using folder = await createPki();
  const [oldCa, oldKey] = [await readPki(folder, "ca.crt"), await readPki(folder, "ca.key")];
  assert.match(await rotate(folder, 1, "abort"), /is not being replaced/);
  await rotate(folder, 0, "begin");
  await rotate(folder, 0, "switch");
  assert.match(await rotate(folder, 0, "abort"), /the old CA signs again, and both are trusted/);
  assert.equal(await readPki(folder, "ca.key"), oldKey);
  await rotate(folder, 0, "abort");
  assert.equal(await readPki(folder, "ca.crt"), oldCa);
  assert.equal(await readPki(folder, "ca-bundle.crt"), oldCa);
  assert.match(await rotate(folder, 1, "status"), /is not being replaced/);
});

test("ca rotate in files: a CA that ends too early, the same CA, half a pair and a name are refused, and nothing is written", async () => {
  await using folder = await createPki();
  await mkdir(folder.join("short"));
  await folder.succeed("ca", "init", "--data-dir", "short", "--duration", "48h");
  const before = await readdir(folder.join("pki"));
  const short = ["--cert-file", "short/pki/ca.crt", "--key-file", "short/pki/ca.key"];
  assert.match(await rotate(folder, 1, "begin", ...short), /it ends at .*, before the present CA/);
  const same = ["--cert-file", "pki/ca.crt", "--key-file", "pki/ca.key"];
  assert.match(await rotate(folder, 1, "begin", ...same), /it is the present CA/);
  assert.match(await rotate(folder, 2, "begin", "--cert-file", "short/pki/ca.crt"), /--cert-file needs --key-file/);
  assert.match(
    await rotate(folder, 2, "begin", "client-ca"),
    /"client-ca" and --cluster-signing-cert-file both name a CA/,
  );
  assert.match(
    await folder.fail(2, "ca", "rotate", "begin", "--cluster-signing-cert-file", "pki/ca.crt"),
    /--cluster-signing-key-file is missing/,
  );
  assert.match(await rotate(folder, 2, "status", "--wait", "1m"), /--wait is for the CA of a server/);
  assert.deepEqual(await readdir(folder.join("pki")), before);
});

test("ca rotate in files: a key under a passphrase stays under it", async () => {
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
