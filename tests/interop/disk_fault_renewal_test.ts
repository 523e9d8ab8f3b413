/**
 * A disk that fails while a running instance renews its serving certificate and its admin kubeconfig, at every system call in
 * turn: it serves the previous certificate or the new one, and the next check writes what is missing on the disk. A CRL that
 * cannot be written does not keep the certificates from being renewed.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { type CredentialPair, parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import { parseCrl } from "../../core/pki/crl.ts";
import { findPemBlock } from "../../core/pki/pem.ts";
import { readShownCertificate } from "../support/shown_certificate.ts";
import { createTempFolder } from "../support/temp.ts";
import { createFaultyDisk, tryEachCall } from "../support/interop/faulty_disk.ts";
import { isCrlCall } from "../support/interop/faulty_instance.ts";
import { startOnDemand } from "../support/interop/on_demand.ts";

const toBase64 = (pem: string): string => (/CERTIFICATE-----([^-]*)-----END/.exec(pem)?.[1] ?? "").replace(/\s/g, "");

/** Reads the pair on the disk: undefined where two files do not belong together. */
async function served(dataDir: string): Promise<string | undefined> {
  const [certificate, key] = await Promise.all(
    ["apiserver.crt", "apiserver.key"].map((name) => readFile(`${dataDir}/pki/${name}`, "utf8")),
  );
  return parseCredentialPair(certificate!, key!).ok ? toBase64(certificate!) : undefined;
}

async function admin(dataDir: string): Promise<CredentialPair> {
  const config = parseKubeconfig(await readFile(`${dataDir}/admin.kubeconfig`, "utf8"), "admin.kubeconfig");
  assert.ok(config.ok);
  const user = config.value.users[0]!.user;
  const pair = parseCredentialPair(user.clientCertificateData!, user.clientKeyData!.reveal());
  assert.ok(pair.ok);
  return pair.value;
}

/** Reads the number of the CRL on the disk, which grows with each one. */
async function readCrlNumber(dataDir: string): Promise<bigint> {
  const found = findPemBlock(await readFile(`${dataDir}/pki/ca.crl`, "utf8"));
  const facts = parseCrl(found!.block.bytes);
  assert.ok(facts.ok && facts.value.number !== undefined);
  return facts.value.number;
}

for (
  const { what: owned, name } of [
    { what: "serving pair", name: "/data/pki" },
    // Written beside its place first, under a name that begins with a dot.
    { what: "admin kubeconfig", name: "admin.kubeconfig" },
  ]
) {
  test(`a running instance whose disk fails at every call in turn while it renews its ${owned} continues to serve, and the next check repairs it`, async () => {
    await using folder = await createTempFolder();
    const disk = await createFaultyDisk(folder);
    const dataDir = folder.join("data");
    await using instance = startOnDemand("renew_on_demand.ts", dataDir, disk);
    const port = Number(new URL(await instance.said()).port);
    let [failures, halves, withoutCrl] = [0, 0, 0];
    assert.equal(await instance.send("turn"), "done");
    const needle = name.startsWith("/") ? `${folder.path}${name}` : name;
    await tryEachCall(disk, needle, async ({ fault, what }) => {
      const [before, adminBefore] = [await readShownCertificate(port), await admin(dataDir)];
      assert.equal(await served(dataDir), before);
      const crlBefore = await readCrlNumber(dataDir);
      const said = await instance.send("turn");
      const hits = await disk.hits();
      await disk.disarm();
      // A sync of the folder that fails is one for the CRL exactly if the instance reports it.
      const hasCrl = !said.endsWith(", no CRL");
      const crlHits = hits.filter((hit) => isCrlCall(hit) && (!hasCrl || !hit.startsWith("fsync")));
      assert.equal(hasCrl, crlHits.length === 0 || fault.short === "harmless", `${what}: ${hits}: ${said}`);
      if (!hasCrl) withoutCrl++;
      const isDone = hits.length === crlHits.length || fault.short === "harmless";
      assert.match(said, isDone ? /^done(, no CRL)?$/ : /^failed cannot /, `${what}: ${hits}: ${said}`);
      if (!isDone) failures++;
      const crlAfter = await readCrlNumber(dataDir);
      if (hasCrl) assert.ok(crlAfter > crlBefore, what);
      const after = await readShownCertificate(port);
      const left = await served(dataDir);
      if (left === undefined) halves++;
      // A pair that may not be on the disk is not served before it has been written again.
      if (!isDone && name === "/data/pki") assert.equal(after, before, what);
      // The file is whole, old or new.
      const adminAfter = await admin(dataDir);
      if (isDone) assert.notDeepEqual([after, adminAfter.leaf], [before, adminBefore.leaf]);
      assert.equal(await instance.send("look"), "done", `after ${what}`);
      const crlRepaired = await readCrlNumber(dataDir);
      if (hasCrl) assert.equal(crlRepaired, crlAfter, `after ${what}`);
      else assert.ok(crlRepaired > crlAfter, `after ${what}`);
      const repaired = await readShownCertificate(port);
      assert.notEqual(repaired, before, `after ${what}`);
      assert.equal(await served(dataDir), repaired, `after ${what}`);
      assert.notDeepEqual((await admin(dataDir)).leaf, adminBefore.leaf, `after ${what}`);
      const rest = [...await readdir(dataDir), ...await readdir(`${dataDir}/pki`)].filter((name) => /tmp/.test(name));
      assert.deepEqual(rest, [], `after ${what}`);
    });
    assert.ok(failures > 10, `${failures} failures`);
    assert.ok(name === "/data/pki" ? withoutCrl > 10 : withoutCrl === 0, `${withoutCrl} checks without a new CRL`);
    // Two files cannot be written at once, so a reader in between sees no valid pair.
    if (name === "/data/pki") assert.ok(halves > 0);
  });
}
