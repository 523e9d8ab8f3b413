/**
 * Reads the certificates, keys and kubeconfigs of folders and files, and runs the checks of `core/report/health` on them.
 * For a kubeconfig, also asks the server whether it accepts the user.
 */
import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import * as ownProcess from "node:process";
import {
  checkAuthorities,
  checkChains,
  checkExpiry,
  checkKeyPairs,
  checkStrictly,
  type StoredKey,
  type StoredPair,
} from "../../core/report/health/certificates.ts";
import { type Fault, type Finding, reportOn, type SeenCertificate } from "../../core/report/health/finding.ts";
import {
  checkSecretFiles,
  checkSecretFolders,
  type SecretFile,
  type SecretFolder,
} from "../../core/report/health/host.ts";
import { checkAccess, checkClock, type ServerAnswer } from "../../core/report/health/machine.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { joinPath, type Kubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { didIssue, isSelfSigned } from "../../core/pki/x509/ca_bundle.ts";
import { parsePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem, parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { findModeFault } from "../private_file.ts";
import { readCluster } from "../transport/connect.ts";
import { askServer, type Examined, type ExamineDeps, examineName, inspectFolder } from "./examine.ts";

/** Certificates, keys and kubeconfigs are much smaller; databases and logs are larger or have other names. */
const MAX_BYTES = 1024 * 1024;
/** Names of files that never hold a certificate in use. */
const OTHER_FILE = /\.(?:db|db-wal|db-shm|jsonl|log|gz|crl|tmp|new|bak)$|^\.|^format$/;
/** Names of files that hold PEM blocks. */
export const PEM_NAME = /\.(?:crt|key|pem)$/;
/** Names of kubelet's older pairs, which are next to the link to the current one. */
export const OLDER_PAIR = /^kubelet-(?:client|server)-\d{4}(?:-\d\d){5}\.pem$/;

/** The line by which a kubeconfig is recognized. */
export const KUBECONFIG_KIND = /^[ \t]*["']?kind["']?[ \t]*:[ \t]*["']?Config\b/m;

/** A file that holds certificates, keys or a kubeconfig. */
export interface FoundFile {
  /** The absolute path of the file. */
  readonly path: string;
  /** The path as it is shown. */
  readonly shown: string;
  readonly certificates: readonly CertificateFacts[];
  /** The position of each certificate among the blocks of the file, from 1. */
  readonly blocks: readonly number[];
  readonly blockCount: number;
  /** The public key of each private key that could be read. */
  readonly keys: readonly Uint8Array[];
  /** True when the file holds a private key or a token. */
  readonly isSecret: boolean;
  readonly kubeconfig?: Kubeconfig;
  /** Why the file, or a block of it, cannot be read. */
  readonly error?: string | undefined;
}

/** Reads the files of a folder in the order of their names. Unknown files are ignored, and so are kubelet's older pairs. */
export async function readFolder(folder: string, deps: ExamineDeps): Promise<readonly FoundFile[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown): readonly Dirent[] => {
    if (["ENOENT", "ENOTDIR"].includes(findErrorCode(error))) return [];
    throw error;
  });
  const found: FoundFile[] = [];
  for (const { name } of [...entries].sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (OTHER_FILE.test(name) || OLDER_PAIR.test(name)) continue;
    const file = await readFound(join(folder, name), deps);
    if (file !== undefined) found.push(file);
  }
  return found;
}

/** Reads one file; undefined when it holds no certificate, key or kubeconfig. */
export async function readFound(path: string, deps: ExamineDeps): Promise<FoundFile | undefined> {
  const nothing = emptyFile(path, deps.show(path));
  try {
    const facts = await stat(path);
    if (!facts.isFile() || facts.size > MAX_BYTES) return undefined;
    return parseFound(nothing, await readFile(path, "utf8"));
  } catch (error) {
    if (findErrorCode(error) === "ENOENT") return undefined;
    return { ...nothing, error: getErrorMessage(error) };
  }
}

function emptyFile(path: string, shown: string): FoundFile {
  return { path, shown, certificates: [], blocks: [], blockCount: 0, keys: [], isSecret: false };
}

function parseFound(nothing: FoundFile, text: string): FoundFile | undefined {
  if (KUBECONFIG_KIND.test(text)) {
    const config = parseKubeconfig(text, nothing.shown);
    if (!config.ok) return { ...nothing, error: config.error };
    const isSecret = config.value.users.some(({ user }) =>
      user.token !== undefined || user.clientKeyData !== undefined
    );
    return { ...nothing, kubeconfig: config.value, isSecret };
  }
  const file = parsePem(nothing, text);
  if (file.blockCount > 0) return file;
  return PEM_NAME.test(nothing.path) ? { ...nothing, error: "there is no PEM block in it" } : undefined;
}

function parsePem(nothing: FoundFile, text: string): FoundFile {
  const blocks = parsePemBlocks(text);
  const certificates: CertificateFacts[] = [];
  const positions: number[] = [];
  const keys: Uint8Array[] = [];
  let error: string | undefined;
  let isSecret = false;
  for (const [index, block] of blocks.entries()) {
    if (block.label === "CERTIFICATE") {
      const certificate = parseCertificate(block.bytes);
      if (certificate.ok) {
        certificates.push(certificate.value);
        positions.push(index + 1);
      } else error ??= certificate.error;
    } else if (block.label.endsWith("PRIVATE KEY")) {
      isSecret = true;
      const key = parsePrivateKey(encodePem(block.label, block.bytes));
      if (key.ok) keys.push(key.value.publicKeyDer());
    }
  }
  return {
    ...nothing,
    certificates,
    blocks: positions,
    blockCount: blocks.length,
    keys,
    isSecret,
    error,
  };
}

/** Reports files that cannot be read. */
export function checkReadable(files: readonly FoundFile[]): readonly Fault[] {
  return files.filter(({ error }) => error !== undefined).map(({ shown, error = "" }) => ({
    severity: "error",
    message: `"${shown}" cannot be read: ${error}`,
  }));
}

/** How the certificate in a file is renewed. */
export type Renewal = Pick<StoredPair, "renewal" | "isRenewed" | "isBeingReplaced" | "needsKey">;

/**
 * Pairs each file of certificates with its key: in the same file, in NAME.key next to NAME.crt or NAME.pem, or none.
 *
 * @param renew the command that renews the certificate in a file, where one is known.
 */
export function toPairs(
  found: readonly FoundFile[],
  renew: (file: FoundFile) => Renewal = () => ({}),
): readonly StoredPair[] {
  return found.filter(({ certificates }) => certificates.length > 0).map((file) => {
    const keyPath = file.path.replace(/\.(?:crt|cer|pem)$/, "") + ".key";
    const holder = file.isSecret ? file : found.find(({ path }) => path === keyPath);
    return {
      file: file.shown,
      blocks: file.blocks,
      blockCount: file.blockCount,
      keyFile: holder?.shown,
      publicKeyDer: holder?.keys[0],
      chain: file.certificates,
      ...renew(file),
    };
  });
}

/** Lists every key that was found. */
function toKeys(found: readonly FoundFile[]): readonly StoredKey[] {
  return found.flatMap(({ shown, keys }) => keys.map((publicKeyDer) => ({ file: shown, publicKeyDer })));
}

/** The pairs of a kubeconfig's users, and the CAs that it trusts. */
interface KubeconfigParts {
  readonly users: readonly StoredPair[];
  readonly trusted: readonly StoredPair[];
  readonly seen: readonly SeenCertificate[];
}

/** Reads the certificates that a kubeconfig embeds or refers to. */
export async function readKubeconfigParts(
  { path, shown, kubeconfig }: FoundFile,
  deps: ExamineDeps,
  renewal?: Renewal,
): Promise<KubeconfigParts> {
  const users: StoredPair[] = [];
  const trusted: StoredPair[] = [];
  const seen: SeenCertificate[] = [];
  const read = async (name: string | undefined, data: string | undefined): Promise<FoundFile | undefined> => {
    if (name !== undefined) return await readFound(resolve(joinPath(dirname(path), name)), deps);
    return data === undefined ? undefined : parsePem(emptyFile(path, shown), data);
  };
  const see = (file: FoundFile, kind: "cluster" | "user", key: string): void => {
    if (file.path !== path) return;
    seen.push(...file.certificates.map((certificate) => ({ path, certificate, embedded: { kind, key } })));
  };
  for (const { name, cluster } of kubeconfig?.clusters ?? []) {
    const file = await read(cluster.certificateAuthority, cluster.certificateAuthorityData);
    if (file === undefined || file.certificates.length === 0) continue;
    trusted.push({ file: file.shown, chain: file.certificates });
    see(file, "cluster", name);
  }
  for (const { name, user } of kubeconfig?.users ?? []) {
    const file = await read(user.clientCertificate, user.clientCertificateData);
    const keyFile = await read(user.clientKey, user.clientKeyData?.reveal());
    if (file === undefined || file.certificates.length === 0) continue;
    users.push({
      file: file.shown,
      keyFile: keyFile?.shown,
      publicKeyDer: keyFile?.keys[0],
      chain: file.certificates,
      ...(file.path === path ? {} : { blocks: file.blocks, blockCount: file.blockCount }),
      ...renewal,
    });
    see(file, "user", name);
  }
  return { users, trusted, seen };
}

/** Lists the certificates in files, for the textfile of metrics. */
export function toSeen(found: readonly FoundFile[]): readonly SeenCertificate[] {
  return found.flatMap(({ path, certificates }) => certificates.map((certificate) => ({ path, certificate })));
}

/**
 * Checks who may read a file with a secret. Links are followed, because kubelet's current pair is one. The owner may be
 * root, this user, or the owner of the folder, who can replace every file in it anyway.
 */
export async function inspectSecret(path: string, deps: ExamineDeps): Promise<SecretFile> {
  const shown = deps.show(path);
  const facts = await stat(path).catch(() => undefined);
  const folder = dirname(path);
  if (facts === undefined || !facts.isFile()) return { path: shown, fault: undefined, ownerOf: undefined };
  const owners = [0, ownProcess.geteuid?.(), (await stat(folder)).uid];
  const mode = facts.mode & 0o777;
  if (!owners.includes(facts.uid)) {
    return { path: shown, fault: "it belongs to another user", ownerOf: deps.show(folder) };
  }
  return { path: shown, fault: findModeFault({ mode, kind: "file", isOwnedByOther: false }), ownerOf: undefined };
}

/** Checks who may write to a folder; nothing when it does not exist. */
export async function inspectSecretFolder(path: string, deps: ExamineDeps): Promise<readonly SecretFolder[]> {
  if (await deps.files.stat(path) === undefined) return [];
  return [{ path: deps.show(path), writers: await inspectFolder(path, deps.files) }];
}

interface StoredFiles {
  readonly target: string;
  readonly files: readonly FoundFile[];
  /** Folders in which only the owner may create files. */
  readonly folders?: readonly string[];
  /** Secrets that are neither PEM files nor kubeconfigs. */
  readonly extraSecrets?: readonly string[];
  readonly renew?: (file: FoundFile) => Renewal;
}

/** Runs the checks of certificates, keys and modes on the files of a target. */
export async function examineStored(
  { target, files, folders = [], extraSecrets = [], renew = () => ({}) }: StoredFiles,
  deps: ExamineDeps,
): Promise<Examined> {
  const now = deps.clock.now();
  const pairs = toPairs(files, renew);
  const parts = await Promise.all(
    files.filter(({ kubeconfig }) => kubeconfig !== undefined).map((file) =>
      readKubeconfigParts(file, deps, renew(file))
    ),
  );
  const users = parts.flatMap((part) => part.users);
  const authorities = pairs.filter(({ chain: [first] }) => first?.isCa === true);
  const leaves = [...pairs.filter(({ chain: [first] }) => first?.isCa === false), ...users];
  // Clients trust the roots, and also those intermediates whose issuers are not among the files.
  const known = authorities.flatMap(({ chain }) => chain);
  const trusted = known.filter((one) =>
    isSelfSigned(one) || !known.some((other) => other !== one && didIssue(other, one))
  );
  const secrets = await Promise.all(
    [...files.filter(({ isSecret }) => isSecret).map(({ path }) => path), ...extraSecrets].map((path) =>
      inspectSecret(path, deps)
    ),
  );
  const openFolders = (await Promise.all(folders.map((folder) => inspectSecretFolder(folder, deps)))).flat();
  const report = reportOn(target);
  const unreadable = files.filter(({ error }) => error !== undefined);
  return {
    findings: [
      ...report.check("readable", checkReadable(unreadable)),
      ...report.check("secret-files", checkSecretFiles(secrets)),
      ...report.check("secret-folders", checkSecretFolders(openFolders)),
      ...report.check("key-pair", checkKeyPairs([...pairs, ...users], toKeys(files))),
      ...report.check(
        "chain",
        // A file of CAs without a key is a bundle, in which the order does not matter.
        checkChains([...leaves, ...authorities.filter(({ keyFile }) => keyFile !== undefined)], trusted, pairs),
      ),
      ...report.check("expiry", checkExpiry(leaves, now)),
      ...report.check("ca-expiry", checkAuthorities(authorities, leaves, now)),
      ...report.check("strict-verifiers", checkStrictly([...authorities, ...leaves])),
    ],
    certificates: [...toSeen(files), ...parts.flatMap(({ seen }) => seen)],
    unreadable: unreadable.map(({ path }) => path),
  };
}

/** Examines one file. For a kubeconfig, also asks the server whether it accepts the user. */
export async function examineFile(path: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const target = deps.show(path);
  const file = await readFound(path, deps);
  const stored = await examineStored({ target, files: file === undefined ? [] : [file] }, deps);
  if (file?.kubeconfig === undefined) return stored;
  const { kubeconfig: { contexts, currentContext, users } } = file;
  const user = contexts.find(({ name }) => name === currentContext)?.context.user;
  const [unsupported] = users.find(({ name }) => name === user)?.user.unsupported ?? [];
  const asked = unsupported === undefined
    ? await askAs(file, { target }, deps, signal)
    : reportOn(target).skip("server-access", `${unsupported} of user "${user}" is not supported`);
  const name = await examineName(file.kubeconfig.clusters[0]?.cluster.server ?? "", { target });
  return { ...stored, findings: [...stored.findings, ...asked, ...name] };
}

/** The target of the findings, and facts about the kubeconfig. */
interface AskOptions {
  readonly target: string;
  /** The command that writes the kubeconfig again. */
  readonly again?: string;
  /** True for the server of a data directory, which may be stopped. */
  readonly isOwnServer?: boolean;
}

/** Asks the server of a kubeconfig whether it accepts its user, and compares the clocks. */
export async function askAs(
  { path, shown }: Pick<FoundFile, "path" | "shown">,
  { target, again, isOwnServer = false }: AskOptions,
  { clock, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const report = reportOn(target);
  let server: string;
  let answer: ServerAnswer;
  try {
    const cluster = await readCluster(path, files);
    server = cluster.server;
    answer = await askServer(() => connect(cluster), clock, signal);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return report.check("server-access", [{ severity: "error", message: error.message, fix: again }]);
  }
  if (answer.kind === "unreachable" && isOwnServer) {
    return report.skip("server-access", `the server is not running: ${answer.reason}`);
  }
  const who = `the user of "${shown}"`;
  const faults = checkAccess(answer, {
    who,
    refusal: `the server does not accept ${who}`,
    next: { fix: again, advice: "get a new kubeconfig from an administrator: tlsboot kubeconfig user --help" },
  });
  const reading = "clock" in answer ? answer.clock : undefined;
  return [
    ...report.check("server-access", faults, `${server} accepts ${who}`),
    ...(reading === undefined ? [] : report.check("clock", checkClock(reading))),
  ];
}
