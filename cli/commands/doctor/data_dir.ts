/** Examines a data directory: its secrets, its CAs, and the certificates that the server and the administrator use. */
import { basename, dirname, join, relative } from "node:path";
import { type Examined, type ExamineDeps, examineDisk, examineName } from "../../../client/health/examine.ts";
import { type FoundFile, readFolder, type Renewal } from "../../../client/health/files.ts";
import { ROTATABLE_CAS } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { askAs, examineStored } from "./files.ts";
import { examineDatabase, examinePort, examineServingNames } from "./host.ts";
import { examineServer } from "./server.ts";

/** Names of the files that a replacement of a CA adds, without `.crt`. */
const ROTATION_FILE = /^(?:old|next|retired)-|-(?:bundle|cross-signed)$/;

/** The lifetime from which on a CA is replaced by one that lasts as long. */
const MIN_LIFETIME_MS = 2 * 365 * 24 * 3_600_000;

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
    // A running server makes a missing serving certificate within a minute, and a stopped one when it starts.
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
      // Another program on the port is the reason why the server does not answer.
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

/** The command that begins to replace a CA of a data directory. */
function rotateCa(name: string, file: FoundFile, dataDirWord: string): string {
  return `tlsboot ca rotate begin${name === "ca" ? "" : ` ${name}`} --data-dir ${dataDirWord}${formatLifetime(file)}`;
}

/** The flag with which a CA that never lasted long is replaced by one that does. */
function formatLifetime({ certificates: [ca] }: FoundFile): string {
  const lifetimeMs = ca === undefined ? 0 : ca.notAfter.getTime() - ca.notBefore.getTime();
  return lifetimeMs < MIN_LIFETIME_MS ? " --duration 10y" : "";
}

/** The command that writes the administrator's kubeconfig anew, for the same server. */
function renewAdmin({ kubeconfig }: FoundFile, dataDirWord: string): string {
  const server = kubeconfig?.clusters[0]?.cluster.server;
  return `tlsboot kubeconfig admin --data-dir ${dataDirWord} --force` +
    (server === undefined ? "" : ` --server ${shellWord(server)}`);
}

/** How a CA is replaced whose files are all there is. */
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

/** The certificates of kubeadm below its folder, and the names by which `kubeadm certs renew` knows them. */
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
