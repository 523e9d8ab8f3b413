/** Checks what a crash left without starting a server: the files, and the database with the code that opens it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { findLeafCertificate } from "../../../core/request/issued_certificate.ts";
import { getErrorMessage } from "../../../core/errors.ts";
import { parseAuthorityChain } from "../../../core/pki/x509/ca_bundle.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { verifyRecords } from "../../../core/register/verify.ts";
import { createSystemClock } from "../../../cli/system.ts";
import { isNewStorage } from "../../../instance/storage/storage.ts";
import { openSqliteStorage } from "../../../server/storage/sqlite/sqlite_storage.ts";
import { findStoredFaults, listRecords } from "../register_audit.ts";
import type { Tree } from "./disk.ts";
import type { PowerLossLedger } from "./ledger.ts";

const CONFIG_MAPS = "/registry/configmaps/default/";
/** An object that a server creates only in a new storage. */
const BOOTSTRAPPERS = "/registry/clusterrolebindings/tlsboot:node-bootstrapper";
/** The names of objects that a scene writes; the server writes the others. */
export const WRITTEN = /^w\d/;
/** The certificates of nodes, with their keys in the same files. */
const NODE_PAIR = /^node-[ab]\/pki\/kubelet-client-\d.*\.pem$/;

/** The folder of a server below the root of each scene. */
export const DATA = "data";

/** Finds the faults of a tree, which is also in the folder `root`. This opens, and so changes, the database there. */
export async function findCrashFaults(tree: Tree, root: string, ledger: PowerLossLedger): Promise<readonly string[]> {
  const faults = [...ledger.findFileFaults(tree), ...findUnloggedCertificates(tree)];
  const found = [...tree.folders.keys()].filter((path) => existsSync(join(root, path, "tlsboot.db")));
  for (const path of new Set([...found, ...ledger.stores])) {
    if (UNFINISHED.test(path)) continue;
    const isMoved = isRestoreInterrupted(path, tree) && found.some((other) => other.startsWith(`${path}.replaced-`));
    if (!found.includes(path) && !isMoved) faults.push(...ledger.findObjectFaults(new Map()));
    else if (found.includes(path)) {
      faults.push(...(await findStoreFaults(path, { tree, root, ledger })).map((fault) => `${path}: ${fault}`));
    }
  }
  return faults;
}

async function findStoreFaults(
  path: string,
  { tree, root, ledger }: { readonly tree: Tree; readonly root: string; readonly ledger: PowerLossLedger },
): Promise<readonly string[]> {
  try {
    await using storage = await openSqliteStorage({ path: join(root, path, "tlsboot.db"), clock: createSystemClock() });
    const { items } = await storage.list("/registry/");
    const objects = new Map(items.map(({ key, object }) => [key, object as KubeObject]));
    return [
      ...(ledger.stores.has(path.replace(/\.replaced-.*/, "")) ? ledger.findObjectFaults(readWritten(objects)) : []),
      ...findStoredFaults(objects),
      ...(objects.has(BOOTSTRAPPERS) || await isNewStorage(storage) ? [] : ["no start creates its first objects"]),
      ...await findRecordFaults(listRecords(objects), path, tree),
    ];
  } catch (error) {
    return [`the database cannot be opened: ${getErrorMessage(error)}`];
  }
}

/** A folder that `restore` has not moved into place. */
const UNFINISHED = /\.restoring$/;

/** Reports whether a server must refuse to create a new data directory at a path. */
function isRestoreInterrupted(path: string, { leaves }: Tree): boolean {
  return leaves.has(`${path}.restoring/format`) && !leaves.has(`${path}/format`);
}

/** Finds certificates that were signed without a server and are not in the log. */
function findUnloggedCertificates({ leaves }: Tree): readonly string[] {
  const log = leaves.get(ISSUED_LOG);
  const text = log?.kind === "file" ? new TextDecoder().decode(log.bytes) : "";
  return [...leaves].flatMap(([path, leaf]) => {
    if (!HANDED_OUT.test(path) || leaf.kind !== "file") return [];
    const found = findLeafCertificate(new TextDecoder().decode(leaf.bytes));
    return found === undefined || text.includes(found.sha256Fingerprint) ? [] : [`${path} has no record in the log`];
  });
}

const ISSUED_LOG = "ca/issued.jsonl";
const HANDED_OUT = /^alice-\d\.crt$|^ops\.kubeconfig$|^stick\/.*\.answer\.pem$/;

function readWritten(objects: ReadonlyMap<string, KubeObject>): ReadonlyMap<string, string> {
  return new Map([...objects].flatMap(([key, object]) => {
    const name = key.startsWith(CONFIG_MAPS) ? key.slice(CONFIG_MAPS.length) : "";
    return WRITTEN.test(name) ? [[name, readValue(object)] as const] : [];
  }));
}

/** Reads the value of an object that a scene wrote. */
export function readValue(object: KubeObject): string {
  return (object as KubeObject & { readonly data?: Readonly<Record<string, string>> }).data?.["value"] ?? "";
}

/** Finds a broken chain of the register, and certificates of nodes without a record. */
async function findRecordFaults(
  records: readonly IssuedCertificate[],
  path: string,
  { leaves }: Tree,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const ca = leaves.get(`${path}/pki/ca.crt`);
  const chain = parseAuthorityChain(ca?.kind === "file" ? new TextDecoder().decode(ca.bytes) : "");
  const { fault } = await verifyRecords(records, { cas: chain.ok ? [chain.value.certificate] : [] });
  if (fault !== undefined) faults.push(`record ${fault.name} ${fault.problem}`);
  const recorded = new Set(records.map(({ spec }) => spec.fingerprint));
  for (const [file, leaf] of leaves) {
    if (!NODE_PAIR.test(file) || leaf.kind !== "file") continue;
    const text = new TextDecoder().decode(leaf.bytes);
    const pair = parseCredentialPair(text, text);
    if (pair.ok && !recorded.has(pair.value.leaf.sha256Fingerprint)) {
      faults.push(`${file} has no record in the register`);
    }
  }
  return faults;
}
