import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { relative } from "node:path";
import { before, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { createArchive, readBackup } from "./archive.ts";
import { type BackupOpener, type BackupRecipients, decryptBackup, encryptBackup } from "./encryption.ts";
import { type EtcdTarget, restoreBackup, type SwapDisk } from "./restore_backup.ts";
import { readDataFiles } from "./source.ts";
import { writeBackup } from "./write_backup.ts";
import { Secret } from "../../core/lib/brand.ts";
import { toRestoringPath } from "../data_dir.ts";
import { REVISION_BUMP } from "./manifest.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { encodeSnapshot } from "../../server/http/snapshot.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { CompactedError } from "../../server/storage/storage.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";

const clock = createFakeClock();
const facts = { createdAt: clock.now().toISOString(), tlsbootVersion: "0.1.0", dataFormat: 1 };
let identity = "";
describe("a backup", () => {
  before(async () => {
    identity = await generateX25519Identity();
  });
  const opener = (): BackupOpener => ({ kind: "identities", identities: new Secret([identity]) });
  const ignore = { file: () => Promise.resolve(), objects: () => Promise.resolve() };

  async function recipients() {
    return { kind: "keys", recipients: [await identityToRecipient(identity)] } as const;
  }

  /** A folder with some files, and a storage with two objects at revision 5. */
  async function contents(folder: TempFolder) {
    await mkdir(folder.join("data/pki"), { recursive: true });
    await writeFile(folder.join("data/pki/ca.key"), "secret", { mode: 0o600 });
    await writeFile(folder.join("data/format"), "1\n", { mode: 0o644 });
    for (const name of ["tlsboot.db", "tlsboot.db-wal", "audit.log", "audit-2026.log.gz", "x.tmp"]) {
      await writeFile(folder.join(`data/${name}`), "left out");
    }
    const storage = createMemoryStorage({ clock });
    const object = (name: string) => ({ metadata: { name }, data: { text: "<ünï\u2028>" } });
    const gone = await storage.create("/registry/configmaps/default/gone", object("gone"));
    await storage.create("/registry/configmaps/default/a", object("a"));
    await storage.create("/registry/configmaps/default/b", object("b"));
    await storage.delete(gone.key, gone.revision);
    const { items, revision } = await storage.list("/registry/");
    return {
      items,
      revision,
      files: () => readDataFiles(folder.join("data")),
      snapshot: () => encodeSnapshot(items, revision),
    };
  }

  async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async function* split(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  }

  async function plainArchive(folder: TempFolder): Promise<Buffer> {
    const { files, snapshot } = await contents(folder);
    return await collect(createArchive({ files: files(), snapshot: snapshot(), facts }, () => {}));
  }

  test("a restored data directory has the same files and objects, and a revision far above that of the backup", async () => {
    await using folder = await createTempFolder();
    const { items, revision, files, snapshot } = await contents(folder);
    const path = folder.join("a.backup");
    const written = await writeBackup(path, { files: files(), snapshot: snapshot(), facts }, await recipients(), false);
    assert.equal(written.manifest.objects, 2);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.ok(!(await readFile(path)).includes("secret"));

    const archive = await decryptBackup(split(await readFile(path)), opener());
    const root = folder.join("restored");
    const restored = await restoreBackup(archive, root, { clock, force: false });
    assert.equal(restored.revision, revision + REVISION_BUMP);
    assert.deepEqual((await readdir(root, { recursive: true })).sort(), ["format", "pki", "pki/ca.key", "tlsboot.db"]);
    assert.equal((await stat(`${root}/pki/ca.key`)).mode & 0o777, 0o600);
    assert.equal((await stat(root)).mode & 0o777, 0o700);

    await using storage = await openSqliteStorage({ path: `${root}/tlsboot.db`, clock });
    const found = await storage.list("/registry/");
    assert.equal(found.revision, revision + REVISION_BUMP);
    const plain = (list: typeof items) =>
      list.map(({ key, revision, bytes }) => [key, revision, Buffer.from(bytes).toString()]);
    assert.deepEqual(plain(found.items), plain(items));
    // Revisions that were assigned after the backup are compacted, and none is assigned again.
    for (const after of [revision, revision + 1, revision + 1_000_000]) {
      assert.throws(() => storage.watch("/registry/", after, () => {}), CompactedError);
    }
    const next = await storage.update(items[0]!.key, items[0]!.object, items[0]!.revision);
    assert.equal(next.revision, revision + REVISION_BUMP + 1);
  });

  test("readBackup() refuses an archive that is cut at any block, and one with a changed byte anywhere", async () => {
    await using folder = await createTempFolder();
    const whole = await plainArchive(folder);
    await readBackup(split(whole), ignore);
    const isInvalid = (error: unknown) => isAppError(error, "backup_invalid");
    for (let length = 0; length < whole.length - 1024; length += 512) {
      await assert.rejects(readBackup(split(whole.subarray(0, length)), ignore), isInvalid, `cut at ${length}`);
    }
    let harmless = 0;
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 0x01;
      await readBackup(split(changed), ignore).then(
        () => harmless += 1,
        (error: unknown) => assert.ok(isInvalid(error)),
      );
    }
    // Changes in padding, and in fields of the manifest about itself, are not detected.
    assert.ok(harmless < whole.length / 7 / 2);
  });

  test("encryptBackup() stretches a passphrase by the work factor of age", async () => {
    const recipients: BackupRecipients = { kind: "passphrase", passphrase: new Secret("x") };
    const sealed = await collect(await encryptBackup(split(new Uint8Array()), recipients));
    assert.match(Buffer.from(sealed).toString("latin1"), /^age-encryption\.org\/v1\n-> scrypt \S+ 18\n/);
  });

  test("decryptBackup() refuses a sealed file that is cut or changed anywhere, and a wrong key", async () => {
    await using folder = await createTempFolder();
    const sealed = await collect(await encryptBackup(split(await plainArchive(folder)), await recipients()));
    const open = async (bytes: Uint8Array, by = opener()) =>
      await readBackup(await decryptBackup(split(bytes), by), ignore);
    await open(sealed);
    for (let at = 0; at < sealed.length; at += 97) {
      await assert.rejects(
        open(sealed.subarray(0, at)),
        (error) => isAppError(error, "backup_invalid"),
        `cut at ${at}`,
      );
      const changed = Buffer.from(sealed);
      changed[at]! ^= 0x20;
      await assert.rejects(
        open(changed),
        (error) => isAppError(error, "backup_invalid", "key_invalid"),
        `changed at ${at}`,
      );
    }
    const other: BackupOpener = { kind: "identities", identities: new Secret([await generateX25519Identity()]) };
    await assert.rejects(open(sealed, other), (error) => isAppError(error, "key_invalid"));
    const wrong: BackupOpener = { kind: "passphrase", passphrase: new Secret("x") };
    await assert.rejects(open(sealed, wrong), (error) => isAppError(error, "passphrase_wrong"));
  });

  test("writeBackup() does not replace a file without force, and leaves no partial file after a failure", async () => {
    await using folder = await createTempFolder();
    const { files, snapshot } = await contents(folder);
    const path = folder.join("a.backup");
    await writeFile(path, "before");
    const write = async (chunks: Iterable<Uint8Array>, force: boolean) =>
      await writeBackup(path, { files: files(), snapshot: chunks, facts }, await recipients(), force);
    await assert.rejects(write(snapshot(), false), (error) => isAppError(error, "file_exists"));
    const half = [[...snapshot()][0]!.subarray(0, 200)];
    await assert.rejects(write(half, true), (error) => isAppError(error, "backup_invalid"));
    assert.equal(await readFile(path, "utf8"), "before");
    assert.deepEqual((await readdir(folder.path)).sort(), ["a.backup", "data"]);
    await write(snapshot(), true);
    assert.notEqual(await readFile(path, "utf8"), "before");
  });

  test("restoreBackup() changes nothing for a damaged backup, and keeps the replaced folder next to the new one", async () => {
    await using folder = await createTempFolder();
    const archive = await plainArchive(folder);
    const root = folder.join("old");
    await mkdir(root);
    await writeFile(`${root}/kept`, "before");
    const restore = (bytes: Uint8Array, force: boolean) => restoreBackup(split(bytes), root, { clock, force });
    await assert.rejects(restore(archive, false), (error) => isAppError(error, "file_exists"));
    await assert.rejects(restore(archive.subarray(0, -2048), true), (error) => isAppError(error, "backup_invalid"));
    assert.equal(await readFile(`${root}/kept`, "utf8"), "before");
    assert.deepEqual((await readdir(folder.path)).sort(), ["data", "old"]);
    const { replaced = "" } = await restore(archive, true);
    assert.equal(await readFile(`${replaced}/kept`, "utf8"), "before");
    assert.equal(await readFile(`${root}/pki/ca.key`, "utf8"), "secret");
  });

  for (const isEtcd of [false, true]) {
    test(`restoreBackup() syncs each step before the next, with ${isEtcd ? "an etcd" : "a database"}`, async () => {
      await using folder = await createTempFolder();
      const archive = await plainArchive(folder);
      const root = folder.join("old");
      await mkdir(root);
      await writeFile(`${root}/kept`, "before");
      const steps: string[] = [];
      const note = (step: string) => Promise.resolve(void steps.push(step));
      const name = (path: unknown) =>
        relative(folder.path, String(path)).replace(/replaced-.*/, "replaced") || "folder";
      const etcd: EtcdTarget = {
        place: { servers: ["http://127.0.0.1:1"], prefix: "/registry" },
        open: () =>
          Promise.resolve({
            isResumed: false,
            write: () => note("write").then(() => ({ revision: 1, aside: [] })),
            finish: () => note("finish"),
            [Symbol.asyncDispose]: () => Promise.resolve(),
          }),
      };
      const disk: SwapDisk = {
        move: (from, to) => note(`${name(from)} to ${name(to)}`),
        sync: (path) => note(`sync ${name(path)}`),
      };
      await restoreBackup(split(archive), root, { clock, force: true, disk, ...(isEtcd && { etcd }) });
      const staging = name(toRestoringPath(root));
      assert.deepEqual(steps, [
        ...(isEtcd ? ["write"] : []),
        ...[`sync ${staging}/pki`, `sync ${staging}`, "sync folder"],
        ...["old to old.replaced", "sync folder", `${staging} to old`, "sync folder"],
        ...(isEtcd ? ["finish"] : []),
      ]);
    });
  }

  test("restoreBackup() does not change a folder that a server uses", async () => {
    await using folder = await createTempFolder();
    const archive = await plainArchive(folder);
    const root = folder.join("used");
    await mkdir(root);
    await using _storage = await openSqliteStorage({ path: `${root}/tlsboot.db`, clock });
    const restoring = restoreBackup(split(archive), root, { clock, force: true });
    await assert.rejects(restoring, (error) => isAppError(error, "storage_locked"));
  });

  test("restoreBackup() moves aside the folder with force, and the contents of etcd only with forceEtcd", async () => {
    await using folder = await createTempFolder();
    const archive = await plainArchive(folder);
    const root = folder.join("old");
    for (const [force, forceEtcd, want] of [[true, undefined, false], [true, true, true]] as const) {
      await mkdir(root, { recursive: true });
      await writeFile(`${root}/kept`, "before");
      const forced: boolean[] = [];
      const etcd: EtcdTarget = {
        place: { servers: ["http://127.0.0.1:1"], prefix: "/registry" },
        open: ({ force }) => {
          forced.push(force);
          throw new AppError("file_exists", "taken");
        },
      };
      const restoring = restoreBackup(split(archive), root, { clock, force, etcd, ...(forceEtcd && { forceEtcd }) });
      await assert.rejects(restoring, (error) => isAppError(error, "file_exists"));
      assert.deepEqual(forced, [want]);
      assert.equal(await readFile(`${root}/kept`, "utf8"), "before");
    }
  });
});
