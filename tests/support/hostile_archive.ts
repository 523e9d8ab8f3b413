/** Backups that somebody else made: whole ones and broken ones, with hostile text wherever text can be. */
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { partOf } from "../../cli/backup/archive.ts";
import { encrypt } from "../../cli/backup/encryption.ts";
import { type BackupManifest, formatManifest, MANIFEST_PATH } from "../../core/backup/manifest.ts";
import { TAR_END, tarPadding, writeTarHeader } from "../../core/tar.ts";
import { FORGING, HOSTILE } from "./hostile_text.ts";
import type { TempFolder } from "./temp.ts";

/** Short enough for a header of tar. */
const NAME = "x\x1b[2J\u202e\tforged column\nforged: line";

interface Archive {
  /** Paths of its files, which are empty. */
  readonly paths: readonly string[];
  readonly manifest?: Partial<BackupManifest> & Readonly<Record<string, unknown>>;
  /** Instead of a manifest. */
  readonly manifestText?: string;
}

const ARCHIVES: Readonly<Record<string, Archive>> = {
  "whole.backup": { paths: [`files/${NAME}`] },
  "outside.backup": { paths: [`../${NAME}`] },
  "twice.backup": { paths: [`files/${NAME}`, `files/${NAME}`] },
  "more.backup": { paths: [`files/${NAME}`], manifest: { parts: [] } },
  "less.backup": { paths: [], manifest: { parts: [partOf(`files/${FORGING}`, new Uint8Array())] } },
  "newer.backup": { paths: [], manifest: { format: FORGING } },
  "newer_data.backup": { paths: [], manifest: { dataFormat: `9${HOSTILE}` as unknown as number } },
  "kind.backup": { paths: [], manifest: { kind: HOSTILE } },
  "no_json.backup": { paths: [], manifestText: FORGING },
  "objects.backup": { paths: [`objects/${NAME}`], manifest: { objects: 1 } },
};

/** Names of what `writeHostileArchives` writes. */
export const HOSTILE_ARCHIVES: readonly string[] = [...Object.keys(ARCHIVES), "header.backup"];

/** Writes them, and the file `identity` that opens them. */
export async function writeHostileArchives(folder: TempFolder): Promise<void> {
  const identity = await generateX25519Identity();
  await writeFile(folder.join("identity"), `${identity}\n`, { mode: 0o600 });
  const recipients = { kind: "keys", recipients: [await identityToRecipient(identity)] } as const;
  for (const [name, archive] of Object.entries(ARCHIVES)) {
    await writeFile(folder.join(name), await collect(await encrypt(blocksOf(archive), recipients)));
  }
  await writeFile(folder.join("header.backup"), `age-encryption.org/v1\n-> ${HOSTILE}\n${FORGING}\n---\n`);
}

async function* blocksOf({ paths, manifest, manifestText }: Archive): AsyncGenerator<Uint8Array> {
  const nothing = new Uint8Array();
  const facts = {
    createdAt: FORGING,
    tlsbootVersion: HOSTILE,
    dataFormat: 1,
    revision: 5,
    objects: 0,
    parts: paths.map((path) => partOf(path, nothing)),
    leftOut: [{ resource: FORGING, objects: 1 }],
    ...manifest,
  };
  const last = { path: MANIFEST_PATH, bytes: Buffer.from(manifestText ?? formatManifest(facts)) };
  for (const { path, bytes } of [...paths.map((path) => ({ path, bytes: nothing })), last]) {
    yield writeTarHeader({ path, mode: 0o600, size: bytes.length, modifiedSeconds: 0 });
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
