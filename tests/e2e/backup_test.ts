/** Tests backup and restore: of a running server, into a new folder, and when they are killed. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { createSystemClock } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import { encodeKubeconfigEntry } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { SNAPSHOT_TYPE } from "../../server/http/snapshot.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { runTlsboot, spawnTlsboot, start } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { createIssuingCa, issueServing } from "../support/issuing_ca.ts";
import { type Connected, connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";
import { listenOnLoopback } from "../support/loopback_server.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const signal = new AbortController().signal;
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

/** Creates a key pair: deriving a key from a passphrase is slow on purpose. */
async function keyFile(
  folder: TempFolder,
): Promise<{ readonly seal: readonly string[]; readonly open: readonly string[] }> {
  const identity = await generateX25519Identity();
  const path = folder.join("key");
  await writeFile(path, `# created: now\n${identity}\n`, { mode: 0o600 });
  return { seal: ["--recipient", await identityToRecipient(identity)], open: ["--identity", path] };
}

function create({ api }: Connected, name: string): Promise<ConfigMap> {
  return api.requestObject<ConfigMap>({ method: "POST", path: CONFIG_MAPS, body: configMap(name) }, signal);
}

test("a backup of a running server restores a consistent state, and clients have to list again", async () => {
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
      for (let number = 0; !isOver && number < 10_000; number += 1) await create(admin, `during-${number}`);
    })();
    const made = await runTlsboot(["backup", backup, "--data-dir", instance.data, ...seal], { cwd: folder.path });
    isOver = true;
    await writing;
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /objects of the running server/);
    const last = await create(admin, "after");
    newest = Number(last.metadata.resourceVersion);
    certificate = await readFile(ca, "utf8");
    await instance.end("SIGTERM");
  }
  await rename(folder.join("data"), folder.join("lost"));
  const restored = await runTlsboot(["restore", backup, "--data-dir", folder.join("data"), ...open]);
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await readFile(ca, "utf8"), certificate);

  await using instance = await startInstance(folder);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const list = await admin.api.requestJson({ method: "GET", path: CONFIG_MAPS }, signal) as {
    readonly metadata: { readonly resourceVersion: string };
    readonly items: readonly ConfigMap[];
  };
  const names = list.items.map(({ metadata }) => metadata.name ?? "");
  assert.ok(names.includes("before") && !names.includes("after"));
  // The backup is consistent: it has every object that was created before the newest one in it.
  const numbers = names.flatMap((name) => /^during-(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  assert.deepEqual(numbers, numbers.map((_, index) => index));
  assert.ok(Number(list.metadata.resourceVersion) > newest);
  assert.ok(Number((await create(admin, "again")).metadata.resourceVersion) > newest);
  const path = `${CONFIG_MAPS}?watch=true&resourceVersion=${newest}`;
  const watch = await admin.api.open({ method: "GET", path }, signal).catch((error: unknown) => error);
  const answer = isAppError(watch) ? watch.message : await firstLine(watch);
  assert.match(answer, /"code":410|too old resource version/);
});

async function firstLine(response: unknown): Promise<string> {
  const { body } = response as { readonly body: AsyncIterable<Uint8Array> };
  for await (const chunk of body) return new TextDecoder().decode(chunk);
  return "";
}

test("backup works without a server, verifies a backup, and reports each fault", async () => {
  await using folder = await createWorkplace();
  const secret = ["--passphrase-file", await passphraseFile(folder)];
  {
    await using instance = await startInstance(folder, [], "serve");
    await instance.end("SIGTERM");
  }
  const { tlsboot: run, typeAt } = folder;
  const { seal, open } = await keyFile(folder);
  assert.equal((await run("backup", "key.backup", "--data-dir", "data", ...seal)).code, 0);
  const made = await typeAt("", "backup", "a.backup", "--data-dir", "data", ...secret);
  assert.equal(made.code, 0, made.stderr);
  assert.match(
    made.stderr,
    /reading the objects[^]*deriving the key from the passphrase[^]*writing the backup, 0\.0 MB[^]*\[[#-]{20}\] [\d.]+ MB\/[\d.]+ MB reading it back[^]*\[2K$/,
  );
  assert.match(made.stdout, /^a\.backup: \d+ objects of the database and \d+ files, \d+ bytes\n$/);
  const again = await run("backup", "a.backup", "--data-dir", "data", ...secret);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /the file exists[^]*--force/);
  const verified = await typeAt("", "backup", "key.backup", "--verify", ...open);
  assert.match(verified.stdout, /^valid: made .* objects/);
  assert.match(verified.stderr, /checking the backup[^]*\[2K$/);
  const restored = await typeAt("", "restore", "a.backup", "--data-dir", "restored", ...secret);
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(
    restored.stderr,
    /deriving the key from the passphrase[^]*\[[#-]{20}\] [\d.]+ MB\/[\d.]+ MB reading the backup[^]*checking the contents[^]*\[2Ktlsboot: .*no revocations after .*\n$/,
  );
  assert.match(restored.stdout, /^restored: \d+ objects as of .*; resource versions continue from 10\d+\n$/);

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
      [["restore", "key.backup", ...to, "--passphrase-file", wrong], 1, /the passphrase is wrong/],
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
      [
        ["backup", "b.backup", "--data-dir", "data", ...seal, "--etcd-cafile", "x"],
        2,
        /--etcd-cafile needs --etcd-servers/,
      ],
      [
        ["backup", "b.backup", "--data-dir", "moved", ...seal],
        2,
        /its objects are in etcd[^]*give --etcd-servers http:/,
      ],
      [["backup", "b.backup", "--data-dir", "nowhere", ...seal, ...etcd], 1, /it is not a data directory of a server/],
      [["serve", "--data-dir", "moved", "--secure-port", "0"], 2, /cannot serve [^]*its objects are in etcd/],
      [["restore", "key.backup", ...to, ...open, "--etcd-prefix", "/x"], 2, /--etcd-prefix needs --etcd-servers/],
      [
        ["restore", "key.backup", ...to, ...open, "--force-etcd"],
        2,
        /--force-etcd needs --etcd-servers/,
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
      [["backup", "b.backup", "--data-dir", "data", "--recipient", ""], 2, /--recipient.*want a public key, age1…/],
      [["backup", "b.backup", "--data-dir", "data", ...seal, "--recipient", ""], 2, /--recipient.*want a public key/],
      [["backup", "b.backup", "--data-dir", "data", "--recipient", "age1x"], 1, /cannot encrypt for "age1x"/],
      [["backup", "b.backup", "--data-dir", "data", "--recipient", "age1x", ...secret], 2, /exclude each other/],
      [["backup", "b.backup", "--data-dir", "data", "--identity", wrong], 2, /--identity needs --verify/],
    ] as const
  ) {
    const got = await run(...args);
    assert.match(got.stderr, fault, args.join(" "));
    assert.equal(got.code, code, args.join(" "));
  }
  assert.deepEqual(await readdir(folder.join("moved")), ["etcd.yaml"]);
  assert.deepEqual((await readdir(folder.path)).sort(), [
    ...["a.backup", "cut.backup", "data", "key", "key.backup", "moved", "open", "passphrase", "restored", "wrong"],
  ]);
});

test("a killed backup leaves no file under its final name, and a killed restore no folder", async () => {
  await using folder = await createTempFolder();
  const { seal, open } = await keyFile(folder);
  {
    await using instance = await startInstance(folder, [], "serve");
    await instance.end("SIGTERM");
  }
  // The restore has written a part of this file when its input stops.
  await writeFile(folder.join("data/ballast"), new Uint8Array(BALLAST_BYTES));
  const [good, backup, root] = [folder.join("good.backup"), folder.join("made.backup"), folder.join("restored")];
  const backUp = (path: string) => ["backup", path, "--data-dir", folder.join("data"), ...seal];
  const succeed = async (...args: readonly string[]) => {
    const { code, stderr } = await runTlsboot(args);
    assert.equal(code, 0, stderr);
  };
  await succeed(...backUp(good));
  for (const exists of [false, true]) {
    const force = exists ? ["--force"] : [];
    {
      await using _server = await startStuckServer(folder);
      await killOnce([...backUp(backup), ...force], `${backup}.tmp`);
    }
    assert.equal(existsSync(backup), exists);
    if (exists) await succeed("backup", backup, "--verify", ...open);
    {
      await using stuck = await openStuckFile(folder, good);
      await killOnce(["restore", stuck.path, "--data-dir", root, ...open, ...force], `${root}.restoring`);
    }
    assert.equal(existsSync(root), exists);
    if (exists) assert.ok((await readdir(root)).includes("tlsboot.db"));
    // Unfinished files do not block the next attempt.
    await succeed(...backUp(backup), ...force);
    await succeed("restore", good, "--data-dir", root, ...open, ...force);
    assert.ok(!existsSync(`${backup}.tmp`) && !existsSync(`${root}.restoring`));
  }
});

/** The size of a file that a stuck restore has partly written: ten chunks of age. */
const BALLAST_BYTES = 655_360;

/** Kills a run that cannot finish, once its temporary file exists. */
async function killOnce(args: readonly string[], unfinished: string): Promise<void> {
  await using running = spawnTlsboot(args);
  await eventually(unfinished, () => {
    assert.equal(running.hasEnded(), false, running.stderr());
    return Promise.resolve(existsSync(unfinished) || undefined);
  });
  running.kill("SIGKILL");
  await running.finished();
  assert.ok(existsSync(unfinished));
}

/** Locks the database of `data` as a server does, which begins to send a snapshot and never finishes. */
async function startStuckServer(folder: TempFolder): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(await openSqliteStorage({ path: folder.join("data/tlsboot.db"), clock: createSystemClock() }));
  const ca = await createIssuingCa(new Date());
  const { certificatePem, keyPem } = await issueServing(ca);
  const server = createServer({ cert: certificatePem, key: keyPem }, (_, response) => {
    response.writeHead(200, { "content-type": SNAPSHOT_TYPE }).flushHeaders();
  });
  const { port } = stack.use(await listenOnLoopback(server));
  const cluster = { server: `https://127.0.0.1:${port}`, certificateAuthorityData: ca.caPem };
  const admin = folder.join("data/admin.kubeconfig");
  const before = await readFile(admin, "utf8");
  await writeFile(admin, encodeKubeconfigEntry("stuck", { cluster, userName: "admin", user: {} }));
  stack.defer(() => writeFile(admin, before));
  return stack.move();
}

/** Opens a pipe that delivers the first half of a file and then blocks for ever. */
async function openStuckFile(folder: TempFolder, path: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const half = Math.floor((await readFile(path)).length / 2);
  const script = 'rm -f pipe && mkfifo pipe && echo made && { head -c "$0" "$1"; exec tail -f /dev/null; } > pipe';
  const holder = start("sh", ["-c", script, String(half), path], { cwd: folder.path });
  await holder.waitFor(/made/);
  return { path: folder.join("pipe"), [Symbol.asyncDispose]: () => holder[Symbol.asyncDispose]() };
}
