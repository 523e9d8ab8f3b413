/**
 * The etcd of a data directory. The file `etcd.yaml` names the etcd that has the objects; without it they are in the
 * database. Data in the other place is old and must not be used. The address of the etcd and its credentials are read
 * from the settings and the files that they name.
 */
import { resolve } from "node:path";
import {
  mapping,
  nonEmptyListOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  text,
} from "../../core/lib/config_file.ts";
import { TLSBOOT_API_VERSION } from "../../core/version.ts";
import { AppError } from "../../core/errors.ts";
import { type FilePort, PUBLIC_MODE, writeChanged } from "../../client/files.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { checkPrivateFile } from "../../client/private_file.ts";
import { encodeCertificates } from "../../core/pki/x509/ca_bundle.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd/storage.ts";
import { normalizePrefix } from "../../server/storage/etcd/prefix.ts";
import { assertKnownFormat, type DataDir } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";
import { readCaFile, readPairFiles } from "../named_files.ts";
import { DEFAULT_SETTINGS, type EtcdSettings, parseEtcdServer, parseSetting } from "../settings.ts";

/** The etcd that holds the objects of a data directory. */
export interface EtcdPlace {
  /** The servers at the last start; the members may have changed since. */
  readonly servers: readonly string[];
  readonly prefix: string;
  /** The digest of the backup that was restored there, until a server runs. */
  readonly backup?: string;
}

const KIND = "EtcdPlace";
const SHAPE = mapping({
  servers: requiredKey(nonEmptyListOf(text)),
  prefix: requiredKey(text),
  backup: optionalKey(text),
});

/** Reads `etcd.yaml`; undefined when there is none. AppError `config_invalid`. */
export async function readEtcdPlace(dir: DataDir, files: Pick<FilePort, "readText">): Promise<EtcdPlace | undefined> {
  const found = await files.readText(dir.etcdPlace);
  if (found === undefined) return undefined;
  const place = parseConfigDocument(found, KIND, SHAPE);
  if (place.ok) return place.value;
  throw new AppError("config_invalid", `cannot read "${dir.etcdPlace}": ${place.error.join("; ")}`, {
    hint:
      "tlsboot writes it: remove it, and start with the setting etcdServers and the setting etcdPrefix of the instance",
  });
}

/** Writes `etcd.yaml` when its content changes. */
export async function writeEtcdPlace(
  dir: DataDir,
  place: EtcdPlace,
  files: Pick<FilePort, "readText" | "writeAtomic">,
): Promise<void> {
  await writeChanged(dir.etcdPlace, formatEtcdPlace(place), PUBLIC_MODE, files);
}

/** Formats `etcd.yaml`, with JSON values because JSON is YAML. */
export function formatEtcdPlace({ servers, prefix, backup }: EtcdPlace): string {
  return `# The objects of this folder are in etcd: up, serve and backup need its address. Written by tlsboot.
apiVersion: ${TLSBOOT_API_VERSION}
kind: ${KIND}
servers: ${JSON.stringify(servers)}
prefix: ${JSON.stringify(normalizePrefix(prefix))}
${backup === undefined ? "" : `backup: ${JSON.stringify(backup)}\n`}`;
}

/**
 * Refuses settings for a storage other than that of the data directory, and a data directory of a newer build.
 * `verb` is the refused operation. AppError `usage`, `format_unknown`, `config_invalid`.
 */
export async function assertEtcdPlace(
  dir: DataDir,
  settings: EtcdSettings,
  verb: string,
  files: Pick<FilePort, "readText" | "stat">,
): Promise<void> {
  const { etcdServers, etcdPrefix } = settings;
  await assertKnownFormat(dir.root, files);
  const place = await readEtcdPlace(dir, files);
  const cannot = (what: string, hint: string) =>
    new AppError("config_invalid", `cannot ${verb} "${dir.root}": ${what}`, { hint });
  if (etcdServers.length === 0) {
    if (place === undefined) return;
    throw cannot(
      `its objects are in etcd, below "${place.prefix}"`,
      `give ${formatEtcdSettings(place)}; or move them back into a database with tlsboot backup and restore`,
    );
  }
  if (place !== undefined && place.prefix !== normalizePrefix(etcdPrefix)) {
    throw cannot(
      `its objects are below "${place.prefix}" in etcd, not "${normalizePrefix(etcdPrefix)}"`,
      `give ${formatEtcdSettings(place)}`,
    );
  }
  if (place === undefined && await files.stat(dir.database) !== undefined) {
    throw cannot(
      "its objects are in its database",
      "omit the setting etcdServers; or move them with tlsboot backup and tlsboot restore; or, if that " +
        "database is old, move tlsboot.db elsewhere",
    );
  }
}

function formatEtcdSettings({ servers, prefix }: EtcdPlace): string {
  const below = prefix === DEFAULT_SETTINGS.etcdPrefix ? "" : ` and the setting etcdPrefix ${shellWord(prefix)}`;
  return `the setting etcdServers ${shellWord(servers.join(","))}${below}`;
}

/**
 * Reads and checks the settings and files of etcd. AppError `usage`, `io`, `ca_invalid`, `key_invalid`,
 * `file_permissions`.
 */
export async function readEtcdEndpoints(
  settings: EtcdSettings,
  deps: Pick<InstanceDeps, "files" | "cwd">,
): Promise<EtcdEndpoints> {
  const { etcdCafile, etcdCertfile, etcdKeyfile, etcdPrefix: prefix } = settings;
  const servers = parseSetting("etcdServers", settings.etcdServers, parseEtcdServer);
  const scheme = assertOneScheme(servers);
  if (scheme === "http:" && (etcdCafile ?? etcdCertfile) !== undefined) {
    throw new AppError(
      "usage",
      `the setting ${etcdCafile === undefined ? "etcdCertfile" : "etcdCafile"} has no effect for an etcd without TLS`,
      { hint: "write https:// in the setting etcdServers, or omit the certificates" },
    );
  }
  return {
    servers,
    caPem: etcdCafile === undefined
      ? undefined
      : encodeCertificates(await readCaFile(etcdCafile, "etcd CA file", deps)),
    certificate: etcdCertfile === undefined || etcdKeyfile === undefined
      ? undefined
      : await readCertificate(etcdCertfile, etcdKeyfile, deps),
    prefix,
  };
}

function assertOneScheme(servers: readonly string[]): string {
  const [first = "", ...others] = servers.map((server) => new URL(server).protocol);
  if (others.every((scheme) => scheme === first)) return first;
  throw new AppError("usage", "the setting etcdServers: some servers are http and others https", {
    hint: "use the same scheme for all",
  });
}

async function readCertificate(
  certificatePath: string,
  keyPath: string,
  deps: Pick<InstanceDeps, "files" | "cwd">,
): Promise<EtcdEndpoints["certificate"]> {
  await checkPrivateFile(resolve(deps.cwd, keyPath), deps.files);
  return await readPairFiles(certificatePath, keyPath, "connect to etcd with", deps);
}
