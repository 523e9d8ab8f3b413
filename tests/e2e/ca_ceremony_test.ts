/** A ceremony: root, intermediate CA and protocol, in one run, in many that were interrupted, and again years later. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../../cli/run.ts";
import type { Io } from "../../cli/io.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { expecting } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;
const CEREMONY =
  "ca ceremony --out ceremony --shares 3 --threshold 2 --intermediate-csr ca.csr --permit-dns example.org";

interface RunOptions {
  readonly at?: string;
  readonly stdin?: string;
  readonly isTerminal?: boolean;
  /** The program ends, as at a loss of power, when it reports a step that contains this text. */
  readonly endsAt?: string;
}

type Line = readonly [line: string, options?: RunOptions];

/** Runs commands in a folder; an argument in quotes may contain spaces. */
function runnerIn(folder: TempFolder) {
  const random = createSeededRandom();
  const start = async (...[line, { at = "2026-06-01T00:00:00Z", endsAt, ...options } = {}]: Line) => {
    const captured = createCapturedIo({ cwd: folder.path, random, clock: createFakeClock(at), ...options });
    let hasEnded = false;
    const stderr = {
      ...captured.stderr,
      write(text: string) {
        if (endsAt !== undefined && !hasEnded && text.includes(endsAt)) {
          hasEnded = true;
          throw new Error("the power failed");
        }
        captured.stderr.write(text);
      },
    };
    const io: Io = { ...captured, stderr, execPath: folder.join("program") };
    const args = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
    const code = await run(args, io, quiet);
    return { code, stdout: captured.stdoutText(), stderr: captured.stderrText() };
  };
  return Object.assign(start, expecting(start));
}

async function prepare(): Promise<TempFolder & { readonly tlsboot: ReturnType<typeof runnerIn> }> {
  const folder = await createTempFolder();
  await writeFile(folder.join("program"), "the executable");
  const tlsboot = runnerIn(folder);
  await tlsboot.succeed("ca request --data-dir server --out ca.csr");
  return { ...folder, tlsboot };
}

const read = (folder: TempFolder, name: string) => readFile(folder.join(name), "utf8");

async function readCertificates(folder: TempFolder, name: string): Promise<readonly X509Certificate[]> {
  const blocks = (await read(folder, name)).match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

test("tlsboot ca ceremony makes a root under shares and signs the server's request, which ca import imports", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  const made = await tlsboot.succeed(`${CEREMONY} --present "Ada Lovelace" --present "Bob <b>"`);
  assert.match(made.stdout, /^root: ceremony\/root\/root\.crt\nroot key: ceremony\/root\/root\.key\nshare: /);
  const [intermediate, root] = await readCertificates(folder, "ceremony/online/ca.crt");
  assert.ok(intermediate && root);
  assert.ok(intermediate.verify(root.publicKey) && intermediate.checkIssued(root) && intermediate.ca && root.ca);
  assert.deepEqual((await readdir(folder.join("ceremony/online"))).sort(), ["ca.crt"]);
  assert.match(await read(folder, "ceremony/root/root.key"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.equal((await stat(folder.join("ceremony/root/root.key"))).mode & 0o777, 0o600);

  const text = await read(folder, "ceremony/protocol.txt");
  const page = await read(folder, "ceremony/protocol.html");
  const groups = (hex: string) => hex.toUpperCase().match(/.{4}/g)?.slice(0, 8).join(" ") ?? "";
  const executable = createHash("sha256").update("the executable").digest("hex");
  for (
    const want of [
      groups(executable),
      groups(root.fingerprint256.replaceAll(":", "")),
      groups(intermediate.fingerprint256.replaceAll(":", "")),
      "Ada Lovelace",
      "2026-06-01T00:00:00Z",
      "DNS names example.org and below",
      "2 of 3 shares open it",
    ]
  ) {
    assert.ok(text.includes(want), want);
    assert.ok(page.includes(want), want);
  }
  assert.ok(page.includes("Bob &lt;b&gt;") && !page.includes("<b>"));
  const passphrase = await read(folder, "ceremony/shares/share-1-of-3.txt");
  for (const group of passphrase.match(/[0-9A-Z]{4}-[0-9A-Z]{4}/g) ?? []) assert.ok(!`${text}${page}`.includes(group));

  await tlsboot.succeed("ca import --data-dir server --ca-cert ceremony/online/ca.crt");
  const shown = await tlsboot.succeed("ca show --data-dir server");
  assert.match(shown.stdout, /Issued by: +CN=tlsboot root CA, a root/);
  const again = await tlsboot.succeed(CEREMONY);
  assert.match(again.stderr, /The ceremony in ceremony is complete; nothing was changed/);
  assert.equal(await read(folder, "ceremony/protocol.txt"), text);
});

test("tlsboot ca ceremony continues after each interruption, and the protocol says so", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  const steps = ["random passphrase", "The root CA", "The intermediate CA", "read back"];
  let previous: Readonly<Record<string, string>> = {};
  for (const [index, endsAt] of steps.entries()) {
    const ran = await tlsboot(`${CEREMONY} --present Ada`, { endsAt, at: `2026-06-0${index + 1}T00:00:00Z` });
    assert.equal(ran.code, 1);
    await assert.rejects(stat(folder.join("ceremony/protocol.txt")));
    const now = await readFiles(folder);
    for (const [name, content] of Object.entries(previous)) {
      if (name !== "ceremony.json") assert.equal(now[name], content, `${name} was overwritten`);
    }
    previous = now;
  }
  const last = await tlsboot.succeed(`${CEREMONY} --present Bob`, { at: "2026-06-05T00:00:00Z" });
  assert.ok(!last.stderr.includes("The root CA"), "a step is reported once");
  const text = await read(folder, "ceremony/protocol.txt");
  assert.match(text, /^Begun: +2026-06-01T00:00:00Z\n/m);
  for (const day of [2, 3, 4, 5]) {
    assert.match(text, new RegExp(`^Continued after an interruption at 2026-06-0${day}T`, "m"));
  }
  assert.match(text, /^Present: +Ada\n +Bob\n/m);
  const other = await tlsboot(CEREMONY.replace("--permit-dns example.org", "--root-name x"));
  assert.equal(other.code, 2);
  assert.match(other.stderr, /was begun with --root-name tlsboot root CA, not with --root-name x/);
});

async function readFiles(folder: TempFolder): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder.join("ceremony"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    found[path.slice(folder.join("ceremony").length + 1)] = await readFile(path, "utf8");
  }
  return found;
}

test("tlsboot ca ceremony continues with the shares that their holders took away", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  assert.equal((await tlsboot(CEREMONY, { endsAt: "The root CA" })).code, 1);
  await rename(folder.join("ceremony/shares"), folder.join("safe"));
  const missing = await tlsboot(CEREMONY);
  assert.match(missing.stderr, /there is no passphrase\ntlsboot: hint: .*--ca-passphrase-share/);
  const shares = [1, 3].map((number) => `--ca-passphrase-share safe/share-${number}-of-3.txt`).join(" ");
  await tlsboot.succeed(`${CEREMONY} ${shares}`);
  await assert.rejects(stat(folder.join("ceremony/shares")));
});

test("tlsboot ca ceremony signs another intermediate CA with the root of an earlier one", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await writeFile(folder.join("root.pass"), "root passphrase\n", { mode: 0o600 });
  await writeFile(folder.join("online.pass"), "another one\n", { mode: 0o600 });
  const passphrases = "--ca-passphrase-file root.pass --intermediate-passphrase-file online.pass";
  await tlsboot.succeed(`ca ceremony --out first ${passphrases}`);
  assert.match(await read(folder, "first/online/ca.key"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  const root = "--root-cert first/root/root.crt --root-key first/root/root.key";
  const typed = { isTerminal: true, stdin: "root passphrase\nonline one\nonline one\n", at: "2031-01-01T00:00:00Z" };
  const second = await tlsboot.succeed(`ca ceremony --out second ${root}`, typed);
  assert.match(
    second.stderr,
    /Passphrase of first\/root\/root\.key: \n[^]*Passphrase of the new key of the intermediate CA: \n/,
  );
  const [one] = await readCertificates(folder, "first/online/ca.crt");
  const [two, issuer] = await readCertificates(folder, "second/online/ca.crt");
  assert.ok(one && two && issuer && two.verify(issuer.publicKey) && two.fingerprint256 !== one.fingerprint256);
  assert.deepEqual([one.subject, two.subject], ["CN=tlsboot-ca-2026-06-01", "CN=tlsboot-ca-2031-01-01"]);
  assert.match(await read(folder, "second/protocol.txt"), /signed by a root CA of an earlier ceremony/);
  assert.deepEqual((await readdir(folder.join("second"))).sort(), [
    "ceremony.json",
    "online",
    "protocol.html",
    "protocol.txt",
  ]);
  const late = await tlsboot(`ca ceremony --out late ${root} ${passphrases}`, { at: "2043-01-01T00:00:00Z" });
  assert.match(late.stderr, /it would end at 2047-.*, after the root CA, which ends at 2046-/);
});

test("tlsboot ca ceremony refuses bad input before it writes anything", async () => {
  await using folder = await prepare();
  const { tlsboot } = folder;
  await writeFile(folder.join("bad.csr"), (await read(folder, "ca.csr")).replace(/[A-Za-z](?=[^]{0,20}-----END)/, "+"));
  const out = "ca ceremony --out ceremony";
  for (
    const [line, code, want] of [
      ["ca ceremony", 2, /--out/],
      [`${out} --shares 3`, 2, /--shares and --threshold go together/],
      [`${out} --root-cert x`, 2, /--root-cert and --root-key go together/],
      [`${out} --root-cert x --root-key y --shares 3 --threshold 2`, 2, /--shares is for a new root/],
      [`${out} --intermediate-csr a --intermediate-passphrase-file b`, 2, /leave one of them out/],
      [`${out} --intermediate-duration 1h`, 2, /--intermediate-duration must be at least 24h/],
      [`${out} --intermediate-csr gone.csr`, 1, /cannot read request "gone\.csr": file does not exist/],
      [`${out} --intermediate-csr bad.csr`, 1, /cannot use request "bad\.csr": /],
      [`${out} --root-cert gone.crt --root-key gone.key`, 1, /cannot read ".*gone\.crt": file does not exist/],
    ] as const
  ) {
    const ran = await tlsboot(line);
    assert.equal(ran.code, code, `${line}: ${ran.stderr}`);
    assert.match(ran.stderr, want);
    await assert.rejects(stat(folder.join("ceremony")), line);
  }
  const given = await tlsboot(`${CEREMONY} --ca-passphrase-share x`);
  assert.match(given.stderr, /--shares makes a random passphrase/);
  await rm(folder.join("ceremony"), { recursive: true });
  await tlsboot.succeed(CEREMONY);
  await unlink(folder.join("ceremony/ceremony.json"));
  const foreign = await tlsboot(CEREMONY);
  assert.match(foreign.stderr, /cannot begin a ceremony: "ceremony\/root" exists/);
});

test("tlsboot ca request keeps the key, makes another request for it, and refuses a folder with a CA", async () => {
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
