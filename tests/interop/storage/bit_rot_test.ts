/**
 * Changes one byte in each file of a data directory and of a node: tlsboot reports the file or recreates it, and never
 * serves damaged data. Tests next to the code change the pages of a database (server/storage/sqlite), the bytes of a
 * backup (instance/backup), and those of CAs and keys (core/pki).
 */
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Finished, spawnTlsbootToEnd } from "../../support/child.ts";
import { connect, startUp } from "../../support/interop/faulty_instance.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../support/temp.ts";

/** A place in a file: the first byte of a text, a negative offset from the end, or a fraction of the size. */
type PlaceInFile = string | number;

/** Changes the lowest bit of a byte in a file, and returns the new content. */
async function flipBit(path: string, place: PlaceInFile): Promise<Buffer> {
  const bytes = await readFile(path);
  const at = typeof place === "string"
    ? bytes.indexOf(place)
    : place < 0
    ? bytes.length + place
    : Math.floor(bytes.length * place);
  assert.ok(at >= 0, `no ${place} in ${path}`);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
  return bytes;
}

/** The header of a PEM file, its middle, the last bytes of its content, and its last line. */
const PEM_PLACES = [0, 0.5, -50, -3];

/** The object whose record in the database is changed; other parts of the file may be unused. */
const KEPT = "kept";

/**
 * What `up` does with each file: it refuses to start and reports the file, or it starts and recreates the file. Changes
 * in the first word of a kubeconfig, which no reader needs, and in the line end after a number do no harm.
 */
const SERVER_FILES = [
  { name: "format", places: [0], want: "refuses" },
  { name: "pki/ca.crt", places: PEM_PLACES, want: "refuses" },
  { name: "pki/ca.key", places: PEM_PLACES, want: "refuses" },
  { name: "pki/sa.key", places: PEM_PLACES, want: "refuses" },
  { name: "pki/sa.pub", places: PEM_PLACES, want: "refuses" },
  { name: "tlsboot.db", places: [0, `/${KEPT}`], want: "refuses" },
  { name: "pki/ca.crl", places: PEM_PLACES, want: "repairs" },
  { name: "pki/apiserver.crt", places: PEM_PLACES, want: "repairs" },
  { name: "pki/apiserver.key", places: PEM_PLACES, want: "repairs" },
  { name: "admin.kubeconfig", places: [0.5, -60], want: "repairs" },
  { name: "bootstrap.kubeconfig", places: [0.5, -20], want: "repairs" },
] as const;

test("up on a data directory with a changed byte reports the file or recreates it", async () => {
  await using folder = await createTempFolder();
  const [original, data, port] = [folder.join("good"), folder.join("data"), await findServerPort()];
  {
    await using running = startUp(data, port);
    await waitUntilUp(running);
    await using client = await connect(data);
    assert.equal(await client.create(KEPT, 10), undefined);
    running.kill("SIGTERM");
    await running.finished();
  }
  await cp(data, original, { recursive: true });
  const listed = SERVER_FILES.map(({ name }) => name as string);
  const entries = (await readdir(original, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const names = entries.map(({ parentPath, name }) => join(parentPath, name).slice(original.length + 1));
  assert.deepEqual(names.filter((name) => !listed.includes(name)), [], "files that this test does not list");
  for (const { name, places, want } of SERVER_FILES) {
    for (const place of places) {
      await rm(data, { recursive: true, force: true });
      await cp(original, data, { recursive: true });
      const what = `${name} at ${place}`;
      const path = join(data, name);
      const changed = await flipBit(path, place);
      await using running = startUp(data, port);
      const isUp = await waitUntilUp(running).then(() => true, () => false);
      if (want === "refuses") {
        assert.ok(!isUp, `${what}: it started`);
        assertReported(await running.finished(), name === "format" || name === "pki/ca.key" ? data : path, what);
        assert.deepEqual(await readFile(path), changed, `${what}: the file was replaced`);
        continue;
      }
      assert.ok(isUp, `${what}: ${running.stderr()}`);
      assert.notDeepEqual(await readFile(path), changed, `${what}: the file is still damaged`);
      await using client = await connect(data);
      assert.ok((await client.names()).has(KEPT), what);
      running.kill("SIGKILL");
      await running.finished();
    }
  }
});

/** Asserts that a program exited with 1, reported the file and printed a hint. */
function assertReported({ code, stderr }: Finished, path: string, what: string): void {
  assert.equal(code, 1, `${what}: ${stderr}`);
  assert.match(stderr, /^tlsboot: error: \S.*/m, what);
  assert.match(stderr, /^tlsboot: hint: \S.*/m, what);
  assert.ok(stderr.includes(path), `${what}: ${stderr}`);
  assert.doesNotMatch(stderr, /PRIVATE KEY-|\n {4}at /, what);
}

async function joinNode(folder: TempFolder, node: string, ...more: readonly string[]): Promise<Finished> {
  const home = folder.join(node);
  return await spawnTlsbootToEnd([
    ...["bootstrap", "--bootstrap-kubeconfig", folder.join("data", "bootstrap.kubeconfig")],
    ...["--kubeconfig", join(home, "kubeconfig"), "--cert-dir", join(home, "pki")],
    ...["--hostname-override", node, ...more],
  ]);
}

test("bootstrap with a changed byte in a pair or in a pending key reports the file and does not use it", async () => {
  await using folder = await createTempFolder();
  await using running = startUp(folder.join("data"), await findServerPort(), undefined, ["--auto-approve"]);
  await waitUntilUp(running);
  assert.equal((await joinNode(folder, "n1")).code, 0);
  const pki = folder.join("n1", "pki");
  const [pair = ""] = (await readdir(pki)).filter((name) => /\d\.pem$/.test(name));
  const original = await readFile(join(pki, pair));
  for (const place of PEM_PLACES) {
    await flipBit(join(pki, pair), place);
    // A second certificate of a node is not approved automatically.
    const { code, stderr } = await joinNode(folder, "n1", "--timeout", "100ms");
    assert.equal(code, 3, `${pair} at ${place}: ${stderr}`);
    assert.match(stderr, /the kubeconfig cannot be used: .*kubelet-client-current\.pem/);
    await writeFile(join(pki, pair), original);
  }
  assert.equal((await joinNode(folder, "n2", "--print-public-key")).code, 0);
  const pending = folder.join("n2", "pki", "kubelet-client.key.tmp");
  const key = await readFile(pending);
  // The private part of the key is before its public part.
  for (const place of [...PEM_PLACES, 0.3]) {
    await flipBit(pending, place);
    assertReported(await joinNode(folder, "n2"), pending, `pending key at ${place}`);
    await writeFile(pending, key);
  }
  assert.equal((await joinNode(folder, "n2")).code, 0);
});

test("verify certificates finds a changed byte in any line of an issued log, and reports the line or the record", async () => {
  await using folder = await createTempFolder();
  const data = folder.join("data");
  const log = join(data, "issued.jsonl");
  const run = async (...args: readonly string[]): Promise<Finished> =>
    await spawnTlsbootToEnd(args, { cwd: folder.path });
  assert.equal((await run("ca", "init", "--data-dir", data)).code, 0);
  for (const user of ["a", "b", "c"]) {
    const created = await run("kubeconfig", "admin", "--data-dir", data, "--user", user, "--out", user);
    assert.equal(created.code, 0, created.stderr);
  }
  const verify = ["verify", "certificates", log, "--ca-file", join(data, "pki", "ca.crt")];
  assert.equal((await run(...verify)).code, 0);
  const original = await readFile(log);
  for (const place of [0, 0.1, 0.2, 0.4, 0.5, 0.7, 0.9, -60, -1]) {
    await flipBit(log, place);
    const { code, stderr } = await run(...verify);
    assert.equal(code, 1, `at ${place}: ${stderr}`);
    assert.match(
      stderr,
      /cannot read line \d of issued log|the register is not intact at record \d{10}/,
      `at ${place}`,
    );
    await writeFile(log, original);
  }
});
