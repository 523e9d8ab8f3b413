/**
 * Tests an intermediate CA: requested on one machine, signed by a root on another, imported, and renewed years later.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createFakeClock } from "../support/fake_clock.ts";
import { createRunner, type Runner } from "../support/run_captured.ts";
import { createIntermediateCa, createSigningCa, writeCa } from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const ROOT = "ca init --data-dir root --duration 20y --shares 2-of-3 --shares-out shares";
const SIGN = "ca sign ca.csr --data-dir root --out ca.crt";
const at = (time: string) => ({ clock: createFakeClock(time) });
const share = (number: number) => `--ca-passphrase-file shares/share-${number}-of-3.txt`;

async function prepare(): Promise<TempFolder & { readonly tlsboot: Runner }> {
  const folder = await createTempFolder();
  const tlsboot = createRunner(folder.path, at("2026-06-01T00:00:00Z"));
  await tlsboot.succeed("ca request --data-dir server --common-name site-ca --out ca.csr");
  return { ...folder, tlsboot };
}

const read = (folder: TempFolder, name: string) => readFile(folder.join(name), "utf8");

async function readCertificates(folder: TempFolder, name: string): Promise<readonly X509Certificate[]> {
  const blocks = (await read(folder, name)).match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

test("a root with a shared passphrase signs a server's request, and the server imports the certificate", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await tlsboot.succeed(`${ROOT} --permit-dns example.org`);
  assert.match(await tlsboot.refuse(1, SIGN), /there is no passphrase\ntlsboot: hint: .*--ca-passphrase-file/);
  const signed = await tlsboot.answer(`${SIGN} ${share(3)} ${share(1)}`);
  const [intermediate, root] = await readCertificates(folder, "ca.crt");
  assert.ok(intermediate && root);
  assert.ok(intermediate.verify(root.publicKey) && intermediate.checkIssued(root) && intermediate.ca && root.ca);
  assert.equal(
    signed,
    `certificate: ca.crt
subject: CN=site-ca
issued by: CN=tlsboot-ca
"CN=tlsboot-ca" may issue for: DNS names example.org and below; other kinds of names freely
valid until: 2031-05-31T00:00:00Z
SHA-256: ${intermediate.fingerprint256}
`,
  );
  assert.match(await read(folder, "root/pki/ca.key"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.match(await read(folder, "root/issued.jsonl"), /"subject":"CN=site-ca"/);

  const imported = await tlsboot.answer("ca import --data-dir server --ca-cert ca.crt");
  assert.ok(imported.includes(`SHA-256: ${intermediate.fingerprint256}\n`));
  assert.match(await tlsboot.answer("ca show --data-dir server"), /Issued by: +CN=tlsboot-ca, a root/);
  assert.match(await tlsboot.refuse(1, `${SIGN} ${share(1)} ${share(2)}`), /cannot write "ca\.crt": file exists/);
});

test("ca init continues with the shares from their holders", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await tlsboot.succeed(ROOT);
  await unlink(folder.join("root/pki/ca.crt"));
  await tlsboot.succeed(`ca init --data-dir root --duration 20y ${share(2)} ${share(3)}`);
  await tlsboot.succeed(`${SIGN} ${share(1)} ${share(2)}`);
});

test("the same root signs another CA years later, but none that would outlive it", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await tlsboot.succeed(ROOT);
  await tlsboot.succeed(`${SIGN} ${share(1)} ${share(2)}`);
  await tlsboot.succeed("ca request --data-dir next --out next.csr");
  const next = `ca sign next.csr --common-name next-ca --data-dir root ${share(2)} ${share(3)}`;
  await tlsboot.succeed(`${next} --permit-ip 10.0.0.0/8 --out next.crt`, at("2031-01-01T00:00:00Z"));
  const [first] = await readCertificates(folder, "ca.crt");
  const [second, root] = await readCertificates(folder, "next.crt");
  assert.ok(first && second && root && second.verify(root.publicKey));
  assert.notEqual(second.fingerprint256, first.fingerprint256);
  assert.deepEqual([first.subject, second.subject], ["CN=site-ca", "CN=next-ca"]);
  assert.match(
    await tlsboot.answer("ca import --data-dir next --ca-cert next.crt", at("2031-01-01T00:00:00Z")),
    /^may issue for: IP addresses 10\.0\.0\.0\/8/m,
  );
  assert.match(
    await tlsboot.refuse(1, `${next} --out late.crt`, at("2043-01-01T00:00:00Z")),
    /it would end at 2047-.*, after the CA that signs it, which ends at 2046-/,
  );
});

test("tlsboot ca sign signs with a CA in files, whose path length must allow it", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  const root = await createSigningCa({ commonName: "root" });
  const last = await createIntermediateCa(root, "last", { maxPathLength: 0 });
  for (const [name, ca] of [["root", root], ["last", last]] as const) await writeCa(folder.join(name), ca);
  const sign = (name: string) => `ca sign ca.csr --ca-cert ${name}.crt --ca-key ${name}.key --out ca.crt`;
  assert.match(
    await tlsboot.refuse(1, sign("last")),
    /certificate 2 "CN=last": its path length 0 does not allow the 1 CA before it/,
  );
  await assert.rejects(stat(folder.join("ca.crt")));
  await tlsboot.succeed(sign("root"));
  await tlsboot.succeed("ca import --data-dir server --ca-cert ca.crt");
  assert.equal((await readdir(folder.path)).includes("tlsboot-data"), false);
});

test("tlsboot ca sign refuses bad input and writes nothing", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await tlsboot.succeed("ca init --data-dir root");
  await tlsboot.succeed("ca init --data-dir split --split");
  await tlsboot.succeed("ca init --data-dir narrow --permit-dns example.org");
  await tlsboot.succeed("ca request --data-dir same --common-name tlsboot-ca --out same.csr");
  await writeFile(folder.join("bad.csr"), (await read(folder, "ca.csr")).replace(/[A-Za-z](?=[^]{0,20}-----END)/, "+"));
  for (
    const [line, code, want] of [
      ["ca sign ca.csr", 2, /--out/],
      [`${SIGN} --duration 1h`, 2, /want a duration from 24h up/],
      [`${SIGN} --ca-cert root/pki/ca.crt`, 2, /--ca-cert needs --ca-key or --signing-key-command/],
      [`${SIGN} --ca-cert gone.crt --ca-key gone.key`, 1, /gone\.crt": file does not exist\n.*hint: check the paths/],
      [`${SIGN} --ca-key root/pki/ca.key`, 2, /--ca-key needs --ca-cert/],
      [`${SIGN} --common-name=`, 2, /needs a name\ntlsboot: hint: give one with --common-name/],
      [SIGN.replace("root", "split"), 2, /"split" has a CA for each purpose/],
      [SIGN.replace("root", "gone"), 1, /cannot read ".*ca\.crt": file does not exist/],
      [SIGN.replace("ca.csr", "gone.csr"), 1, /cannot read the request "gone\.csr": file does not exist/],
      [SIGN.replace("ca.csr", "bad.csr"), 1, /cannot use the request "bad\.csr": /],
      [SIGN.replace("ca.csr", "same.csr"), 1, /it would have the name of the CA that signs it, "tlsboot-ca"/],
      [`${SIGN.replace("ca.crt", "gone/ca.crt")}`, 1, /cannot write "gone\/ca\.crt": the folder does not exist/],
      [
        `${SIGN.replace("root", "narrow")} --permit-dns example.com`,
        1,
        /would permit names for which "CN=tlsboot-ca" may not issue: "example\.com" is not permitted/,
      ],
    ] as const
  ) {
    assert.match(await tlsboot.refuse(code, line), want, line);
    await assert.rejects(stat(folder.join("ca.crt")), line);
  }
  await assert.rejects(stat(folder.join("root/issued.jsonl")));
});

test("tlsboot ca sign records what a CA of a split data directory signs", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await tlsboot.succeed("ca init --data-dir split --split");
  const files = "--ca-cert split/pki/client-ca.crt --ca-key split/pki/client-ca.key";
  await tlsboot.succeed(`${SIGN.replace("root", "split")} ${files}`);
  assert.match(await read(folder, "split/issued.jsonl"), /"subject":"CN=site-ca"/);
});

test("tlsboot ca request keeps the key, creates another request for it, and refuses a folder with a CA", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  const key = await read(folder, "server/pki/ca.key");
  const exists = await tlsboot("ca request --data-dir server --out ca.csr");
  assert.match(exists.stderr, /ca\.csr/);
  await tlsboot.succeed("ca request --data-dir server --out again.csr --common-name other");
  assert.equal(await read(folder, "server/pki/ca.key"), key);
  await tlsboot.succeed("ca init --data-dir full");
  assert.match(
    (await tlsboot("ca request --data-dir full --out full.csr")).stderr,
    /cannot create a CA: ".*ca\.crt" exists/,
  );
});
