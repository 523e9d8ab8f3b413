/**
 * Restores into an etcd that are killed or find existing keys never leave an incomplete instance, and lose nothing.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { RESTORE_MARKER_KEY } from "../../../server/storage/etcd/restore_marker.ts";
import { encodeSnapshot } from "../../../server/http/snapshot.ts";
import { createMemoryStorage } from "../../../server/storage/memory/journaled_storage.ts";
import { spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import { spawnInstance } from "../../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { type Etcd, startEtcd } from "../../support/interop/etcd.ts";
import { readDataFiles } from "../../../instance/backup/source.ts";
import { writeBackup } from "../../../instance/backup/write_backup.ts";

let folder: TempFolder;
let etcd: Etcd;
let seal: readonly string[];
let open: readonly string[];

/** Creates a backup of a data directory with `count` objects. */
async function createBackup(name: string, count: number): Promise<string> {
  const root = folder.join(`${name}-source`);
  await mkdir(root);
  await writeFile(`${root}/format`, "1\n");
  const storage = createMemoryStorage({ clock: createFakeClock() });
  for (let number = 0; number < count; number++) {
    const metadata = { name: `${name}-${number}`, namespace: "default", uid: `uid-${number}` };
    await storage.create(`/registry/configmaps/default/${name}-${number}`, { metadata });
  }
  const { items, revision } = await storage.list("/registry/");
  const facts = { createdAt: new Date().toISOString(), tlsbootVersion: "0.1.0", dataFormat: 1 };
  const contents = { files: readDataFiles(root), snapshot: encodeSnapshot(items, revision), facts };
  const path = folder.join(`${name}.backup`);
  await writeBackup(path, contents, { kind: "keys", recipients: [seal[1]!] }, false);
  return path;
}

function flags(prefix: string, url: string = etcd.urls[0]!): readonly string[] {
  return ["--etcd-servers", url, "--etcd-prefix", prefix];
}

/** A proxy to the etcd that stops after a number of bytes, so that its client stalls while it writes. */
interface LimitedRelay extends AsyncDisposable {
  readonly url: string;
  /** The number of bytes that the etcd has received. */
  readonly passed: number;
  /** Resolves when the limit is reached. */
  readonly exhausted: Promise<void>;
}

async function startLimitedRelay(limit: number): Promise<LimitedRelay> {
  const { promise: exhausted, resolve } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  let passed = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(etcd.urls[0]!).port), "127.0.0.1");
    for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => other.destroy());
    }
    client.on("data", (bytes) => {
      const allowed = bytes.subarray(0, limit - passed);
      passed += allowed.length;
      upstream.write(allowed);
      if (passed === limit) resolve();
    });
    upstream.pipe(client);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get passed() {
      return passed;
    },
    exhausted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function restore(backup: string, prefix: string, root: string, ...more: readonly string[]): readonly string[] {
  return ["restore", backup, "--data-dir", folder.join(root), ...flags(prefix), ...open, ...more];
}

async function assertRefused(args: readonly string[], want: RegExp): Promise<void> {
  const { code, stderr } = await spawnTlsbootToEnd(args);
  assert.ok(code === 1 || code === 2, stderr);
  assert.match(stderr, want);
}

async function listKeysBelow(prefix: string): Promise<readonly string[]> {
  return [...(await etcd.members[0]!.read(`/${prefix}/`)).keys()].map((key) => key.slice(prefix.length + 2));
}

const MARKER = RESTORE_MARKER_KEY.slice("/registry/".length);

async function assertServeRefused(prefix: string): Promise<void> {
  const args = ["serve", "--secure-port", "0", "--data-dir", folder.join("visitor"), ...flags(prefix)];
  await assertRefused(args, /a restore of the backup of \S+ is not finished\n.*hint: .*run the same command again/);
}

/** Recreates the state of a restore that died before its last step; prefix and folder have the same name. */
async function putMarkerBack(name: string): Promise<void> {
  const [, digest = ""] = /^backup: "(\w+)"$/m.exec(await readFile(folder.join(`${name}/etcd.yaml`), "utf8")) ?? [];
  const marker = {
    apiVersion: "tlsboot/v1alpha1",
    kind: "EtcdRestore",
    ...{ backup: digest, createdAt: "then", phase: "writing", aside: [] },
  };
  await etcd.members[0]!.put(`/${name}/${MARKER}`, JSON.stringify(marker));
}

describe("restores into an etcd", () => {
  before(async () => {
    folder = await createTempFolder();
    etcd = await startEtcd();
    const identity = await generateX25519Identity();
    await writeFile(folder.join("key.txt"), `${identity}\n`, { mode: 0o600 });
    seal = ["--recipient", await identityToRecipient(identity)];
    open = ["--identity", folder.join("key.txt")];
  });

  after(async () => {
    await etcd?.[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("a restore that is killed leaves no usable instance, and the same command finishes it", async () => {
    const count = 3_000;
    const backup = await createBackup("many", count);
    const through = (relay: LimitedRelay, name: string) => [
      ...["restore", backup, "--data-dir", folder.join(name), ...flags(name, relay.url), ...open],
    ];
    await using whole = await startLimitedRelay(Infinity);
    await succeedTlsboot(through(whole, "killed-never"));
    for (const [index, share] of [0.02, 0.1, 0.4, 0.7, 0.95].entries()) {
      const name = `killed-${index}`;
      {
        await using relay = await startLimitedRelay(Math.round(whole.passed * share));
        await using running = spawnTlsboot(through(relay, name));
        await Promise.race([relay.exhausted, running.finished()]);
        running.kill("SIGKILL");
        await running.finished();
      }
      const written = await listKeysBelow(name);
      assert.ok(written.includes(MARKER) && written.length <= count, `${written.length} keys at ${share}`);
      await assertServeRefused(name);
      await assertRefused(
        ["backup", folder.join("half.backup"), "--data-dir", folder.join("visitor"), ...flags(name), ...seal],
        /a restore of the backup of \S+ is not finished/,
      );
      await succeedTlsboot(restore(backup, name, name));
      assert.equal((await listKeysBelow(name)).length, count);
      assert.deepEqual((await readdir(folder.join(name))).sort(), ["etcd.yaml", "format"]);
      assert.ok(!existsSync(folder.join(`${name}.restoring`)));
    }
  });

  test("a restore that died before its last step resumes without force, but not from another backup", async () => {
    const [backup, other] = [await createBackup("last", 5), await createBackup("other", 5)];
    const command = restore(backup, "last", "last");
    await succeedTlsboot(command);
    await putMarkerBack("last");
    await assertServeRefused("last");
    await assertRefused(
      restore(other, "last", "elsewhere"),
      /a restore of the backup of then is not finished\n.*that backup/,
    );
    await succeedTlsboot(command);
    assert.equal((await listKeysBelow("last")).length, 5);
    assert.deepEqual((await readdir(folder.join("last"))).sort(), ["etcd.yaml", "format"]);
    await putMarkerBack("last");
    const { stdout } = await succeedTlsboot([...command, "--force", "--force-etcd"]);
    assert.doesNotMatch(stdout, /what was/, "it has moved its own keys aside");
    assert.deepEqual((await readdir(folder.path)).filter((name) => /^last\.re/.test(name)), []);
  });

  test("a restore fails when another program writes below its prefix, and --force-etcd moves all existing keys aside", async () => {
    const command = restore(await createBackup("spoiled", 5), "spoiled", "spoiled");
    await succeedTlsboot(command);
    await putMarkerBack("spoiled");
    // Another program writes an empty value, which is not in the backup.
    await etcd.members[0]!.put("/spoiled/pods/default/strange", "");
    await assertRefused(
      command,
      /"\/registry\/pods\/default\/strange" is not what the backup has\n.*with --force-etcd/,
    );
    await assertServeRefused("spoiled");
    await assertRefused(
      command,
      /below "\/spoiled" in etcd: another program wrote while the backup of \S+ was restored\n.*--force-etcd/,
    );
    await assertRefused([...command, "--force"], /another program wrote/);
    await assertRefused([...command, "--force-etcd"], /the folder is not empty\n.*with --force$/m);
    const { stdout } = await succeedTlsboot([...command, "--force", "--force-etcd"]);
    const [, aside = ""] = /the previous keys in etcd are now below \/(\S+)\/\n/.exec(stdout) ?? [];
    assert.equal((await listKeysBelow(aside)).length, 6);
    assert.equal((await listKeysBelow("spoiled")).length, 5);
  });

  test("--force-etcd moves existing keys below another prefix, also after an interruption, and loses none", async () => {
    const [first, second] = [await createBackup("first", 40), await createBackup("second", 3)];
    await succeedTlsboot(restore(first, "taken", "taken"));
    await etcd.members[0]!.put("/taken/pods/default/strange", "whatever");
    const before = await etcd.members[0]!.read("/taken/");
    const isTaken = /below "\/taken" in etcd: there are already keys\n.*--force-etcd/;
    await assertRefused(restore(second, "taken", "taken-2"), isTaken);
    assert.ok(!existsSync(folder.join("taken-2")));
    // --force applies only to the folder.
    await assertRefused(restore(second, "taken", "taken", "--force"), isTaken);
    assert.deepEqual(await etcd.members[0]!.read("/taken/"), before);
    const { stdout } = await succeedTlsboot(restore(second, "taken", "taken-2", "--force-etcd"));
    const [, aside = ""] = /the previous keys in etcd are now below (\S+)\/\n/.exec(stdout) ?? [];
    assert.deepEqual(
      [...await etcd.members[0]!.read(`${aside}/`)].map(([key, value]) => [key.replace(aside, "/taken"), value]),
      [...before],
    );
    assert.equal((await listKeysBelow("taken")).length, 3);

    // This is the state after a restore that died while it moved keys aside.
    const marker = { apiVersion: "tlsboot/v1alpha1", kind: "EtcdRestore", backup: "x", createdAt: "then" };
    const interrupted = { ...marker, phase: "puttingAside", aside: ["/taken.replaced-then"] };
    await etcd.members[0]!.put(`/taken/${MARKER}`, JSON.stringify(interrupted));
    await assertServeRefused("taken");
    await assertRefused(
      restore(first, "taken", "taken-3"),
      /are only partly moved aside\n.*hint: continue with --force-etcd/,
    );
    await succeedTlsboot(restore(first, "taken", "taken-3", "--force-etcd"));
    assert.equal((await listKeysBelow("taken.replaced-then")).length, 3);
    assert.equal((await listKeysBelow("taken")).length, 40);
  });

  test("a backup reports which keys of the etcd it omits, and fails at objects that it cannot read", async () => {
    await succeedTlsboot(restore(await createBackup("reported", 3), "reported", "reported"));
    const [member, instance] = [etcd.members[0]!, ["--data-dir", folder.join("reported"), ...flags("reported")]];
    const backup = ["backup", folder.join("reported-2.backup"), ...instance, ...seal];
    await member.put("/reported/pods/default/a", "x");
    await member.put("/reported/example.com/widgets/b", "{}");
    const strange = { kind: "ConfigMap", apiVersion: "v1", metadata: { name: "odd", namespace: "default" }, news: 1 };
    await member.put("/reported/configmaps/default/odd", JSON.stringify(strange));
    const { stdout, stderr } = await succeedTlsboot(backup);
    assert.match(stdout, /: 4 objects of etcd at revision \d+ and 1 files, /);
    assert.match(stderr, /warning: not backed up, .*: example\.com\/widgets \(1\), pods \(1\)\n/);
    assert.match(
      stderr,
      /warning: backed up without any fields that tlsboot does not know: configmaps \(1\)\n/,
    );
    await member.put("/reported/secrets/default/sealed", "k8s:enc:aescbc:v1:key1:...");
    await assertRefused(
      [...backup, "--force"],
      /"\/registry\/secrets\/default\/sealed" in etcd: .* encrypted .*\n.*snapshot save/,
    );
    await assertRefused(
      ["backup", folder.join("z"), ...instance.slice(0, 2), ...flags("empty"), ...seal],
      /its objects are below/,
    );
    const elsewhere = ["--data-dir", folder.join("visitor"), ...flags("empty"), ...seal];
    await assertRefused(["backup", folder.join("z"), ...elsewhere], /etcd has no objects below "\/empty"/);
    await assertRefused(
      ["backup", folder.join("z"), "--data-dir", folder.join("nowhere"), ...flags("reported"), ...seal],
      /it is not a data directory of a server/,
    );
  });

  test("--force-etcd moves no keys that another program uses", async () => {
    const backup = await createBackup("busy", 3);
    await using instance = await spawnInstance(folder, flags("busy"));
    const lease = "leases/kube-system/tlsboot-controllers";
    await eventually("the server has a Lease", async () => (await listKeysBelow("busy")).includes(lease) || undefined);
    await assertRefused(
      restore(backup, "busy", "busy", "--force-etcd"),
      /has renewed ".*\/tlsboot-controllers" \d+ s ago\n.*stop/,
    );
    await instance.end("SIGTERM");
    await succeedTlsboot(restore(backup, "busy", "busy", "--force-etcd"));
  });

  test("a backup refuses to combine a folder with the objects of another instance", async () => {
    await using home = await createTempFolder();
    await using instance = await spawnInstance(home, flags("paired"));
    await instance.end("SIGTERM");
    const foreign = home.join("foreign");
    await succeedTlsboot(["ca", "init", "--data-dir", foreign]);
    const backupArgs = (
      name: string,
      root: string,
      prefix: string,
    ) => ["backup", home.join(name), "--data-dir", root, ...flags(prefix), ...seal];
    await assertRefused(
      backupArgs("no", foreign, "paired"),
      /the objects in etcd belong to an instance with another CA\n.*hint: name the folder/,
    );
    await succeedTlsboot(backupArgs("own", home.join("data"), "paired"));
    // Without a record of the owner there is nothing to compare.
    await succeedTlsboot(restore(await createBackup("unowned", 3), "unowned", "unowned"));
    await succeedTlsboot(backupArgs("any", foreign, "unowned"));
  });

  test("the prefix / stands for a whole etcd, as for kube-apiserver, and keys are moved outside of it", async () => {
    await using whole = await startEtcd();
    const member = whole.members[0]!;
    const into = (backup: string, root: string, ...more: readonly string[]) =>
      ["restore", backup, "--data-dir", folder.join(root), "--etcd-servers", member.url, "--etcd-prefix", "/"]
        .concat(open, more);
    await succeedTlsboot(into(await createBackup("whole", 3), "whole"));
    assert.deepEqual([...(await member.read("/")).keys()], [0, 1, 2].map((n) => `/configmaps/default/whole-${n}`));
    const { stdout } = await succeedTlsboot(into(await createBackup("next", 1), "next", "--force-etcd"));
    const [, aside = ""] = /the previous keys in etcd are now below (replaced-\S+)\/\n/.exec(stdout) ?? [];
    assert.deepEqual([...(await member.read("/")).keys()], ["/configmaps/default/next-0"]);
    assert.equal((await member.read(`${aside}/configmaps/`)).size, 3);
  });
});
