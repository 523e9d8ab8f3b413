/** Backup and restore in operation: beside a running server, into a new folder, and with processes that are killed. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { ROOT, runTlsboot, startTlsboot } from "../support/child.ts";
import { runCaptured } from "../support/run_captured.ts";
import { type Connected, connectWith, startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;
const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

interface ConfigMap extends KubeObject {
  readonly data: Readonly<Record<string, string>>;
}

function configMap(name: string, value = "1"): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { value } };
}

async function passphraseFile(folder: TempFolder, text = "correct horse"): Promise<string> {
  const path = folder.join("passphrase");
  await writeFile(path, `${text}\n`);
  await chmod(path, 0o600);
  return path;
}

/** Public keys are used here because passphrases are slow on purpose. */
async function keyFile(
  folder: TempFolder,
): Promise<{ readonly seal: readonly string[]; readonly open: readonly string[] }> {
  const identity = await generateX25519Identity();
  const path = folder.join("key");
  await writeFile(path, `# created: now\n${identity}\n`, { mode: 0o600 });
  return { seal: ["--recipient", await identityToRecipient(identity)], open: ["--identity", path] };
}

function create({ api }: Connected, name: string): Promise<ConfigMap> {
  return api.requestObject<ConfigMap>({ method: "POST", path: CONFIG_MAPS, body: configMap(name) }, quiet);
}

test("a backup of a running server restores its state at one moment, and clients have to list again", async () => {
  await using folder = await createTempFolder();
  const { seal, open } = await keyFile(folder);
  const backup = folder.join("instance.backup");
  const ca = folder.join("data/pki/ca.crt");
  let newest = 0;
  let certificate: string;
  {
    await using instance = await startInstance(folder);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await create(admin, "before");
    // Writes continue while the backup is made.
    let isOver = false;
    const writing = (async () => {
      for (let number = 0; !isOver; number += 1) await create(admin, `during-${number}`);
    })();
    const made = await runTlsboot(["backup", backup, "--data-dir", instance.data, ...seal], { cwd: folder.path });
    isOver = true;
    await writing;
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /objects of the running server/);
    const last = await create(admin, "after");
    newest = Number(last.metadata.resourceVersion);
    certificate = await readFile(ca, "utf8");
    await instance.end("SIGKILL");
  }
  await rename(folder.join("data"), folder.join("lost"));
  const restored = await runTlsboot(["restore", backup, "--data-dir", folder.join("data"), ...open]);
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await readFile(ca, "utf8"), certificate);

  await using instance = await startInstance(folder);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const list = await admin.api.requestJson({ method: "GET", path: CONFIG_MAPS }, quiet) as {
    readonly metadata: { readonly resourceVersion: string };
    readonly items: readonly ConfigMap[];
  };
  const names = list.items.map(({ metadata }) => metadata.name ?? "");
  assert.ok(names.includes("before") && !names.includes("after"));
  // The backup shows one moment: no object is present without all those that were created before it.
  const numbers = names.flatMap((name) => /^during-(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  assert.deepEqual(numbers, numbers.map((_, index) => index));
  assert.ok(Number(list.metadata.resourceVersion) > newest);
  assert.ok(Number((await create(admin, "again")).metadata.resourceVersion) > newest);
  const path = `${CONFIG_MAPS}?watch=true&resourceVersion=${newest}`;
  const watch = await admin.api.open({ method: "GET", path }, quiet).catch((error: unknown) => error);
  const answer = isAppError(watch) ? watch.message : await firstLine(watch);
  assert.match(answer, /"code":410|too old resource version/);
});

async function firstLine(response: unknown): Promise<string> {
  const { body } = response as { readonly body: AsyncIterable<Uint8Array> };
  for await (const chunk of body) return new TextDecoder().decode(chunk);
  return "";
}

test("backup works on a folder without a server, reports its contents, and verifies it", async () => {
  await using folder = await createTempFolder();
  const secret = ["--passphrase-file", await passphraseFile(folder)];
  {
    await using instance = await startInstance(folder, [], "serve");
    await instance.end("SIGTERM");
  }
  const options = { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() };
  const run = (...args: readonly string[]) => runCaptured([...args, ...secret], options);
  const onTerminal = (...args: readonly string[]) =>
    runCaptured([...args, ...secret], { ...options, isTerminal: true });
  const made = await onTerminal("backup", "a.backup", "--data-dir", "data");
  assert.equal(made.code, 0, made.stderr);
  assert.match(
    made.stderr,
    /reading the objects[^]*deriving the key from the passphrase[^]*writing the backup, 0\.0 MB[^]*\[[#-]{20}\] [\d.]+ MB\/[\d.]+ MB reading it back[^]*\[2K$/,
  );
  assert.match(made.stdout, /^a\.backup: \d+ objects of the database and \d+ files, \d+ bytes\n$/);
  const again = await run("backup", "a.backup", "--data-dir", "data");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /the file exists[^]*--force/);
  const verified = await onTerminal("backup", "a.backup", "--verify");
  assert.match(verified.stdout, /^good: made .* objects/);
  assert.match(
    verified.stderr,
    /deriving the key from the passphrase[^]*\[[#-]{20}\] [\d.]+ MB\/[\d.]+ MB checking the backup[^]*\[2K$/,
  );
  const restored = await onTerminal("restore", "a.backup", "--data-dir", "new");
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(
    restored.stderr,
    /deriving the key from the passphrase[^]*\[[#-]{20}\] [\d.]+ MB\/[\d.]+ MB reading the backup[^]*checking what was read[^]*\[2Ktlsboot: .*was revoked after .*\n$/,
  );
  assert.match(restored.stdout, /^new: \d+ objects as of .*; resource versions continue from 10\d+\n$/);
});

test("backup and restore report each fault clearly", async () => {
  await using folder = await createTempFolder();
  const secret = ["--passphrase-file", await passphraseFile(folder)];
  {
    await using instance = await startInstance(folder, [], "serve");
    await instance.end("SIGTERM");
  }
  const options = { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() };
  const run = (...args: readonly string[]) => runCaptured(args, options);
  const { seal, open } = await keyFile(folder);
  assert.equal((await run("backup", "a.backup", "--data-dir", "data", ...secret)).code, 0);
  assert.equal((await run("backup", "key.backup", "--data-dir", "data", ...seal)).code, 0);
  const bytes = await readFile(folder.join("key.backup"));
  await writeFile(folder.join("cut.backup"), bytes.subarray(0, bytes.length - 100));
  const wrong = folder.join("wrong");
  await writeFile(wrong, "another\n", { mode: 0o600 });
  await writeFile(folder.join("open"), "x\n", { mode: 0o644 });
  await chmod(folder.join("open"), 0o644);
  const to = ["--data-dir", "new"];
  const etcd = ["--etcd-servers", "http://127.0.0.1:1"];
  await mkdir(folder.join("moved"), { mode: 0o700 });
  const place = {
    apiVersion: "tlsboot/v1alpha1",
    kind: "EtcdPlace",
    servers: ["http://127.0.0.1:1"],
    prefix: "/registry",
  };
  await writeFile(folder.join("moved/etcd.yaml"), JSON.stringify(place));
  for (
    const [args, code, fault] of [
      [["restore", "a.backup", ...to, "--passphrase-file", wrong], 1, /the passphrase is wrong/],
      [["restore", "a.backup", ...to, "--passphrase-file", "open"], 1, /others may read it/],
      [["restore", "a.backup", ...to], 1, /there is no passphrase/],
      [["restore", "a.backup", ...to, "--identity", "none"], 1, /cannot read identity "none"/],
      [["restore", "key.backup", ...to, "--identity", wrong], 1, /not a secret key of age/],
      [["restore", "a.backup", ...to, "--identity", wrong, ...secret], 2, /exclude each other/],
      [["restore", "cut.backup", ...to, ...open], 1, /cannot use the backup: it is damaged or cut/],
      [["restore", "missing", ...to, ...open], 1, /no such file/],
      [["restore", "passphrase", ...to, ...open], 1, /not an age file/],
      [["restore", "key.backup", "--data-dir", "data", ...open], 1, /the folder is not empty[^]*--force/],
      [["backup", "b.backup", "--data-dir", "nowhere", ...seal], 1, /no database in it[^]*--etcd-servers/],
      [["backup", "b.backup", "--data-dir", "data", ...seal, ...etcd], 2, /its objects are in its database/],
      [["backup", "b.backup", "--data-dir", "data", ...seal, "--etcd-cafile", "x"], 2, /without --etcd-servers/],
      [
        ["backup", "b.backup", "--data-dir", "moved", ...seal],
        2,
        /its objects are in etcd[^]*give --etcd-servers http:/,
      ],
      [["backup", "b.backup", "--data-dir", "nowhere", ...seal, ...etcd], 1, /it is not a data directory of a server/],
      [["serve", "--data-dir", "moved", "--secure-port", "0"], 2, /cannot serve [^]*its objects are in etcd/],
      [["restore", "key.backup", ...to, ...open, "--etcd-keyfile", "x"], 2, /without --etcd-servers/],
      [
        ["restore", "key.backup", ...to, ...open, "--force-etcd"],
        2,
        /--force-etcd has no effect without --etcd-servers/,
      ],
      [["restore", "key.backup", ...to, ...open, ...etcd], 1, /cannot read etcd: [^]*hint: check --etcd-servers/],
      [["restore", "key.backup", "--data-dir", "data", ...open, ...etcd], 1, /the folder is not empty/],
      [
        ["restore", "key.backup", "--data-dir", "data", ...open, ...etcd, "--force-etcd"],
        1,
        /the folder is not empty[^]*with --force$/m,
      ],
      [["backup", "data/b.backup", "--data-dir", "data", ...seal], 1, /it is inside the data directory/],
      [["backup", "no/b.backup", "--data-dir", "data", ...seal], 1, /cannot write backup/],
      [["backup", "b.backup", "--data-dir", "data", "--recipient", "age1x"], 1, /cannot encrypt for "age1x"/],
      [["backup", "b.backup", "--data-dir", "data", "--recipient", "age1x", ...secret], 2, /exclude each other/],
      [["backup", "b.backup", "--data-dir", "data", "--identity", wrong], 2, /--recipient/],
    ] as const
  ) {
    const got = await run(...args);
    assert.match(got.stderr, fault, args.join(" "));
    assert.equal(got.code, code, args.join(" "));
  }
  assert.deepEqual(await readdir(folder.join("moved")), ["etcd.yaml"]);
  assert.deepEqual((await readdir(folder.path)).sort(), [
    ...["a.backup", "cut.backup", "data", "key", "key.backup", "moved", "open", "passphrase", "wrong"],
  ]);
});

/** An amount of data that takes a moment to write and to read. */
const BALLAST_BYTES = 20 * 1_048_576;

test("a killed backup leaves no file that looks complete, and a killed restore no folder", async () => {
  await using folder = await createTempFolder();
  const { seal, open } = await keyFile(folder);
  {
    await using instance = await startInstance(folder, [], "serve");
    await instance.end("SIGTERM");
  }
  // A run that ends at once cannot be killed in the middle.
  await writeFile(folder.join("data/ballast"), new Uint8Array(BALLAST_BYTES));
  const good = folder.join("good.backup");
  assert.equal((await runTlsboot(["backup", good, "--data-dir", folder.join("data"), ...seal])).code, 0);
  const data = ["--data-dir", folder.join("data"), ...seal];
  const hits = { backup: 0, restore: 0 };
  // On a busy machine the signal may still come too late.
  for (const [turn, afterMs] of [0, 5, 20, 50, ...Array<number>(4).fill(0)].entries()) {
    if (turn >= 4 && hits.backup > 0 && hits.restore > 0) break;
    const [backup, root] = [folder.join(`${turn}.backup`), folder.join(`${turn}`)];
    if (await killed(["backup", backup, ...data], `${backup}.tmp`, afterMs)) hits.backup += 1;
    if (existsSync(backup)) {
      const verified = await runTlsboot(["backup", backup, "--verify", ...open]);
      assert.equal(verified.code, 0, verified.stderr);
    }
    if (await killed(["restore", good, "--data-dir", root, ...open], `${root}.restoring`, afterMs)) hits.restore += 1;
    if (existsSync(root)) assert.ok((await readdir(root)).includes("tlsboot.db"));
    // Unfinished files do not block the next attempt.
    const made = await runTlsboot(["backup", backup, "--force", ...data]);
    assert.equal(made.code, 0, made.stderr);
    const restored = await runTlsboot(["restore", good, "--data-dir", root, "--force", ...open]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.ok(!existsSync(`${backup}.tmp`) && !existsSync(`${root}.restoring`));
  }
  assert.ok(hits.backup > 0 && hits.restore > 0, JSON.stringify(hits));
});

/** Kills a run some time after its unfinished file appeared, and returns whether that was before its end. */
async function killed(args: readonly string[], unfinished: string, afterMs: number): Promise<boolean> {
  await using running = startTlsboot(args, { cwd: ROOT });
  while (!existsSync(unfinished) && !running.hasEnded()) await delay(1);
  await delay(afterMs);
  const isHit = existsSync(unfinished) && !running.hasEnded();
  running.kill("SIGKILL");
  await running.finished();
  return isHit;
}
