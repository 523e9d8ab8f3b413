/** Backups from an untrusted source, valid and damaged, with hostile text wherever text is possible. */
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { type BackupManifest, formatManifest, MANIFEST_PATH } from "../../instance/backup/manifest.ts";
import { encodeTarHeader, TAR_END, tarPadding } from "../../core/lib/tar.ts";
import { FORGING, HOSTILE } from "./hostile_text.ts";
import type { TempFolder } from "./temp.ts";
import { toBackupPart } from "../../instance/backup/archive.ts";
import { encryptBackup } from "../../instance/backup/encryption.ts";

/** Hostile text that is short enough for a tar header. */
const NAME = "x\x1b[2J\u202e\tforged column\nforged: line";

interface Archive {
  /** The paths of its files, all of which are empty. */
  readonly paths: readonly string[];
  readonly manifest?: Partial<BackupManifest> & Readonly<Record<string, unknown>>;
  /** Text written in place of a valid manifest. */
  readonly manifestText?: string;
  /** A message that appears only after the archive has been read. */
  readonly message: RegExp;
}

const ARCHIVES: Readonly<Record<string, Archive>> = {
  "whole.backup": { paths: [`files/${NAME}`], message: /y\^Iforged column\^Jforged: line x\^\[\[2J/ },
  "outside.backup": { paths: [`../${NAME}`], message: /"\.\.\/x\^\[\[2J\\u202e/ },
  "twice.backup": { paths: [`files/${NAME}`, `files/${NAME}`], message: /\/x\^\[\[2J\\u202e/ },
  "more.backup": { paths: [`files/${NAME}`], manifest: { parts: [] }, message: /"files\/x\^\[\[2J\\u202e/ },
  "less.backup": {
    paths: [],
    manifest: { parts: [toBackupPart(`files/${FORGING}`, new Uint8Array())] },
    message: /"files\/y\^Iforged column/,
  },
  "newer.backup": { paths: [], manifest: { format: FORGING }, message: /it has format NaN/ },
  "newer_data.backup": {
    paths: [],
    manifest: { dataFormat: `9${HOSTILE}` as unknown as number },
    message: /its manifest is not complete/,
  },
  "kind.backup": { paths: [], manifest: { kind: HOSTILE }, message: /its manifest is not the manifest of a backup/ },
  "no_json.backup": { paths: [], manifestText: FORGING, message: /its manifest is not JSON/ },
  "objects.backup": { paths: [`objects/${NAME}`], manifest: { objects: 1 }, message: /it contains 0 of 1 objects/ },
};

/** The files of `writeHostileArchives`, with messages that appear only after they have been read. */
export const HOSTILE_ARCHIVES: Readonly<Record<string, RegExp>> = {
  ...Object.fromEntries(Object.entries(ARCHIVES).map(([name, { message }]) => [name, message])),
  "header.backup": /it is not an age file, or it is damaged: invalid non-ASCII byte in header/,
};

/** Writes the archives, and the file `identity` that opens them. */
export async function writeHostileArchives(folder: TempFolder): Promise<void> {
  const identity = await generateX25519Identity();
  await writeFile(folder.join("identity"), `${identity}\n`, { mode: 0o600 });
  const recipients = { kind: "keys", recipients: [await identityToRecipient(identity)] } as const;
  for (const [name, archive] of Object.entries(ARCHIVES)) {
    await writeFile(folder.join(name), await collect(await encryptBackup(packBlocks(archive), recipients)));
  }
  await writeFile(folder.join("header.backup"), `age-encryption.org/v1\n-> ${HOSTILE}\n${FORGING}\n---\n`);
}

async function* packBlocks({ paths, manifest, manifestText }: Archive): AsyncGenerator<Uint8Array> {
  const nothing = new Uint8Array();
  const facts = {
    createdAt: FORGING,
    tlsbootVersion: HOSTILE,
    dataFormat: 1,
    revision: 5,
    objects: 0,
    parts: paths.map((path) => toBackupPart(path, nothing)),
    omitted: [{ resource: FORGING, objects: 1 }],
    ...manifest,
  };
  const last = { path: MANIFEST_PATH, bytes: Buffer.from(manifestText ?? formatManifest(facts)) };
  for (const { path, bytes } of [...paths.map((path) => ({ path, bytes: nothing })), last]) {
    yield encodeTarHeader({ path, mode: 0o600, size: bytes.length, modifiedSeconds: 0 });
    yield bytes;
    yield tarPadding(bytes.length);
  }
  yield TAR_END;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
