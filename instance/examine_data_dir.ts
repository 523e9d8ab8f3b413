/**
 * Examines a data directory: its secrets, its CAs, the certificates of the server and the administrator, the database and
 * its backups. Also checks the disk, the port, the host name and the open files of the machine that its server runs on.
 */
import { basename, dirname, join, relative } from "node:path";
import { type Examined, type ExamineDeps, examineDisk, examineName } from "../client/health/examine.ts";
import { examineServer } from "../client/health/cluster.ts";
import { askAs, examineStored, type FoundFile, readFolder, type Renewal } from "../client/health/files.ts";
import { ROTATABLE_CAS } from "../core/kube/kinds/constants.ts";
import { shellWord } from "../core/lib/printable.ts";
import { type DataDir, dataDirAt } from "./data_dir.ts";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { findListener, readInterfaces } from "../client/host_facts.ts";
import { chooseAdvertisedHost, LOOPBACK } from "../core/machine/node_name.ts";
import { type Finding, reportOn } from "../core/report/health/finding.ts";
import {
  checkBackups,
  checkDatabase,
  checkOpenFiles,
  checkPort,
  checkServingNames,
  findNewest,
  type OpenFilesEvidence,
} from "../core/report/health/host.ts";
import { getErrorMessage, isAppError } from "../core/errors.ts";
import { withoutBrackets } from "../core/lib/ip_address.ts";
import { assertFileIntact } from "../server/storage/sqlite/check.ts";
import { findBackups } from "./backup/found_backups.ts";
import { DAY_MS } from "../core/lib/duration.ts";

/** Matches the files that a CA rotation adds, without `.crt`. */
const ROTATION_FILE = /^(?:old|next|retired)-|-(?:bundle|cross-signed)$/;

/** A CA with a lifetime shorter than this is replaced by one that is valid for ten years. */
const MIN_LIFETIME_MS = 2 * 365 * DAY_MS;

/** Examines the data directory at an absolute path. */
export async function examineDataDir(
  root: string,
  { backups }: { readonly backups: readonly string[] },
  deps: ExamineDeps,
  signal: AbortSignal,
): Promise<Examined> {
  const dir = dataDirAt(root);
  const word = shellWord(deps.show(root));
  const files = [...await readFolder(root, deps), ...await readFolder(dir.pki, deps)];
  const renewServing = `rm -f ${shellWord(deps.show(dir.servingCertificate))} ${shellWord(deps.show(dir.servingKey))}`;
  const target = deps.show(root);
  const admin = files.find(({ path }) => path === dir.adminKubeconfig);
  const again = admin === undefined ? "" : renewAdmin(admin, word);
  const server = admin?.kubeconfig?.clusters[0]?.cluster.server;
  const asked = admin === undefined ? [] : await askAs(admin, { target, again, isOwnServer: true }, deps, signal);
  const isAnswered = asked.some(({ check, severity }) => check === "server-access" && severity === "ok");
  const port = server === undefined
    ? { findings: [], isTaken: false, hasKeyProgram: false }
    : await examinePort(server, { target, isAnswered });
  // A folder of trusted CAs has neither keys nor these files.
  const own = await Promise.all(
    [join(root, "format"), dir.database, dir.etcdPlace].map((path) => deps.files.stat(path)),
  );
  const needsKey = own.some((facts) => facts !== undefined) && !port.hasKeyProgram;
  const renew = (file: FoundFile): Renewal => {
    const name = basename(file.path, ".crt");
    if (ROTATION_FILE.test(name)) return { isBeingReplaced: true };
    if (dirname(file.path) === dir.pki && ROTATABLE_CAS.some((one) => one === name)) {
      return {
        isBeingReplaced: files.some(({ path }) => path === join(dir.pki, `next-${name}.crt`)),
        renewal: rotateCa(name, file, word),
        needsKey,
      };
    }
    // A running server replaces a missing serving certificate within a minute, and a stopped one does so when it starts.
    if (file.path === dir.servingCertificate) return { isRenewed: true, renewal: renewServing };
    if (file.path === dir.adminKubeconfig) return { isRenewed: true, renewal: renewAdmin(file, word) };
    return {};
  };
  const stored = await examineStored({
    target,
    files,
    folders: [root, dir.pki],
    extraSecrets: [dir.database, `${dir.database}-wal`],
    renew,
  }, deps);
  const serving = files.find(({ path }) => path === dir.servingCertificate);
  const addresses = serving?.certificates[0]?.ipAddresses ?? [];
  const address = addresses.find((one) => one.startsWith("127.")) ?? addresses[0] ?? "127.0.0.1";
  const name = await examineName(server ?? "", {
    target,
    fix: ({ hostname }) => again.replace(hostname, address.includes(":") ? `[${address}]` : address),
  });
  return {
    ...stored,
    findings: [
      ...stored.findings,
      // If another program has the port, that is why the server does not answer.
      ...asked.filter(({ check }) => !port.isTaken || check !== "server-access"),
      ...port.findings,
      ...(isAnswered
        ? await examineServer(dir.adminKubeconfig, { target, flags: `--data-dir ${word}` }, deps, signal)
        : []),
      ...name,
      ...(serving === undefined
        ? []
        : await examineServingNames(serving, { target, server, isAnswered, renewal: renewServing }, deps)),
      ...await examineDisk(root, target, deps),
      ...await examineDatabase(dir, { target, named: backups }, deps),
    ],
  };
}

/** Returns the command that begins the rotation of a CA in a data directory. */
function rotateCa(name: string, file: FoundFile, dataDirWord: string): string {
  return `tlsboot ca rotate begin${name === "ca" ? "" : ` ${name}`} --data-dir ${dataDirWord}${formatLifetime(file)}`;
}

/** Returns the flag that makes the next CA valid for ten years; empty when the lifetime of the current one is long enough. */
function formatLifetime({ certificates: [ca] }: FoundFile): string {
  const lifetimeMs = ca === undefined ? 0 : ca.notAfter.getTime() - ca.notBefore.getTime();
  return lifetimeMs < MIN_LIFETIME_MS ? " --duration 10y" : "";
}

/** Returns the command that writes the administrator's kubeconfig again, for the same server. */
function renewAdmin({ kubeconfig }: FoundFile, dataDirWord: string): string {
  const server = kubeconfig?.clusters[0]?.cluster.server;
  return `tlsboot kubeconfig admin --data-dir ${dataDirWord} --force` +
    (server === undefined ? "" : ` --server ${shellWord(server)}`);
}

/** Describes how to renew a CA that has only files, and no server. */
function rotateCaFile(file: FoundFile, files: readonly FoundFile[], deps: ExamineDeps): Renewal {
  const { path } = file;
  const [folder, name] = [dirname(path), basename(path, ".crt")];
  if (ROTATION_FILE.test(name)) return { isBeingReplaced: true };
  if (!files.some((one) => one.path === join(folder, `${name}.key`))) return {};
  return {
    isBeingReplaced: files.some((one) => one.path === join(folder, `next-${name}.crt`)),
    renewal: `tlsboot ca rotate begin --ca-cert ${shellWord(deps.show(path))}${formatLifetime(file)}`,
  };
}

/** The names of kubeadm's certificates in `kubeadm certs renew`, by their paths in its folder. */
const KUBEADM_CERTIFICATES: ReadonlyMap<string, string> = new Map([
  ...["apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"].map((name) =>
    [`${name}.crt`, name] as const
  ),
  ...["server", "peer", "healthcheck-client"].map((name) => [`etcd/${name}.crt`, `etcd-${name}`] as const),
]);

/** Examines a folder of CAs and certificates that is not a data directory, such as `/etc/kubernetes/pki`. */
export async function examineCaFolder(root: string, deps: ExamineDeps): Promise<Examined> {
  const folders = [root, join(root, "etcd"), join(root, "pki"), join(root, "pki", "etcd")];
  const files = (await Promise.all(folders.map((folder) => readFolder(folder, deps)))).flat();
  const first = files.find(({ path }) => basename(path) === "apiserver-kubelet-client.crt");
  const renew = (file: FoundFile): Renewal => {
    const { path } = file;
    if (file.certificates[0]?.isCa === true) return rotateCaFile(file, files, deps);
    if (first === undefined) return {};
    const folder = dirname(first.path);
    const name = KUBEADM_CERTIFICATES.get(relative(folder, path));
    return name === undefined
      ? {}
      : { renewal: `kubeadm certs renew ${name} --cert-dir ${shellWord(deps.show(folder))}` };
  };
  return await examineStored({ target: deps.show(root), files, folders, renew }, deps);
}

/** Matches the word of a command line that shows that it is tlsboot: the executable or the main source file. */
const OWN_PROGRAM = /(?:^|\/)(?:tlsboot(?:-\d[\w.-]*|\.m?js)?|cli\/main\.ts)$/;
/** A checkpoint of a running server may change pages while they are read, so only a fault in every attempt counts. */
const DATABASE_ATTEMPTS = 3;
const DATABASE_PAUSE_MS = 100;

/** Checks that the serving certificate is for the host in the server's URL, and that this machine still has that address. */
async function examineServingNames(
  { certificates: [leaf], shown }: Pick<FoundFile, "certificates" | "shown">,
  { target, server, isAnswered, renewal }: {
    readonly target: string;
    readonly server: string | undefined;
    readonly isAnswered: boolean;
    readonly renewal: string;
  },
  { files }: Pick<ExamineDeps, "files">,
): Promise<readonly Finding[]> {
  const host = withoutBrackets(URL.parse(server ?? "")?.hostname ?? "");
  if (leaf === undefined || host === "") return [];
  const own = chooseAdvertisedHost("0.0.0.0", undefined, await readInterfaces(files));
  const addresses = [own.host, ...own.others ?? []].filter((address) => address !== LOOPBACK);
  const faults = checkServingNames({
    path: shown,
    names: [...leaf.dnsNames, ...leaf.ipAddresses],
    host,
    addresses,
    isAnswered,
    renewal,
  });
  return reportOn(target).check("serving-names", faults, `the serving certificate is for "${host}"`);
}

/** The findings of the checks of a server's port and its process, and what they say about the server. */
interface PortExamination {
  readonly findings: readonly Finding[];
  /** True when another program has the port. */
  readonly isTaken: boolean;
  /** True when the process is a server that runs with --signing-key-command. */
  readonly hasKeyProgram: boolean;
}

/** Checks which process listens on the port of a server, and how many files that process can open. */
async function examinePort(
  server: string,
  { target, isAnswered }: { readonly target: string; readonly isAnswered: boolean },
): Promise<PortExamination> {
  const url = URL.parse(server);
  const port = Number(url?.port || 443);
  const listener = url === null ? undefined : await findListener(port);
  const isOwn = listener?.command.split(" ").some((word) => OWN_PROGRAM.test(word)) === true;
  const faults = checkPort({ port, listener, isAnswered: isAnswered || isOwn });
  const files = isAnswered && listener !== undefined ? await readOpenFiles(listener.pid) : undefined;
  const report = reportOn(target);
  return {
    isTaken: faults.length > 0,
    hasKeyProgram: isOwn && listener?.command.includes("--signing-key-command") === true,
    findings: [
      ...report.check("port", faults, `no other program uses port ${port}`),
      ...(files === undefined ? [] : report.check("open-files", checkOpenFiles(files))),
    ],
  };
}

/** Reads the number of open files of a process and its limits; undefined when they cannot be read. */
async function readOpenFiles(pid: number): Promise<OpenFilesEvidence | undefined> {
  const limits = await readFile(`/proc/${pid}/limits`, "utf8").catch(() => "");
  const [, soft = "", hard = ""] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const open = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (soft === "" || open === undefined) return undefined;
  const parse = (text: string): number => text === "unlimited" ? Infinity : Number(text);
  return { pid, open: open.length, softLimit: parse(soft), hardLimit: parse(hard) };
}

/** Checks the database and the backups of a data directory. */
async function examineDatabase(
  dir: DataDir,
  { target, named }: { readonly target: string; readonly named: readonly string[] },
  deps: ExamineDeps,
): Promise<readonly Finding[]> {
  const dataDir = deps.show(dir.root);
  const backups = await findBackups(dir.root, named, deps);
  const report = reportOn(target);
  const hasDatabase = await deps.files.stat(dir.database) !== undefined;
  return [
    ...(hasDatabase
      ? report.check(
        "database",
        checkDatabase({
          path: deps.show(dir.database),
          fault: await findDatabaseFault(dir.database),
          dataDir,
          backups,
        }),
      )
      : report.skip("database", "the data directory has no database")),
    ...(backups.length === 0
      ? report.skip(
        "backup",
        "no backup was found next to the data directory; name one with: tlsboot doctor DIR --backup FILE",
      )
      : report.check(
        "backup",
        checkBackups(backups, dataDir, deps.clock.now()),
        `the newest backup, "${findNewest(backups)?.path}", has the size of a complete one and is at most a week old`,
      )),
  ];
}

async function findDatabaseFault(path: string): Promise<string | undefined> {
  for (let attempt = 1;; attempt++) {
    try {
      assertFileIntact(path);
      return undefined;
    } catch (error) {
      const prefix = `cannot open storage "${path}": `;
      const message = getErrorMessage(error);
      if (attempt === DATABASE_ATTEMPTS) {
        return isAppError(error) && message.startsWith(prefix) ? message.slice(prefix.length) : message;
      }
      await setTimeout(DATABASE_PAUSE_MS);
    }
  }
}
