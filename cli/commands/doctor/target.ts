/** Finds out what a TARGET of `tlsboot doctor` is, and which targets there are without one. */
import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type ExamineDeps } from "../../../client/health/examine.ts";
import { PEM_NAME, readFound } from "../../../client/health/files.ts";
import { findRuleFileKind } from "../../../core/report/health/policies.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { findMachineKubeconfig, findNamedFolder, type MachinePaths } from "./machine.ts";

/** A target and what it is, with absolute paths. */
export type DoctorTarget =
  | { readonly kind: "data directory"; readonly path: string }
  | { readonly kind: "CA folder"; readonly path: string }
  | { readonly kind: "machine" } & MachinePaths
  | { readonly kind: "file"; readonly path: string };

/** Names of the files in a folder that a kubelet or `tlsboot bootstrap` keeps its pairs in. */
const MACHINE_FILE = /^kubelet-client(?:-.*)?\.pem$|^kubelet-client\.key\.tmp$|^kubelet\.crt$/;

/** The link to the pair of a machine that is in use. */
const CURRENT_PAIR = /\/kubelet-(?:client|server)-current\.pem$/;

/** Recognizes a target; `kubeconfig` is that of a machine's folder. Throws AppError `not_found`, `invalid` and `io`. */
export async function recognizeTarget(
  name: string,
  kubeconfig: string | undefined,
  deps: ExamineDeps,
): Promise<DoctorTarget> {
  const path = await findNamed(name, deps);
  const facts = await deps.files.stat(path);
  if (facts?.kind !== "directory") {
    const file = await readFound(path, deps);
    if (file === undefined) {
      const isRules = findRuleFileKind(await deps.files.readText(path) ?? "") !== undefined;
      const hint = isRules ? { hint: `check its rules with: tlsboot policy check ${shellWord(name)}` } : {};
      throw new AppError("invalid", `cannot check "${name}": no certificate, key or kubeconfig is in it`, hint);
    }
    if (CURRENT_PAIR.test(path)) return await recognizeTarget(dirname(path), kubeconfig, deps);
    const certDir = findNamedFolder(file);
    return certDir === undefined ? { kind: "file", path } : { kind: "machine", kubeconfigPath: path, certDir };
  }
  const names = await readdir(path).catch((cause: unknown) => {
    throw new AppError("io", `cannot check "${name}": ${getErrorMessage(cause)}`, { cause });
  });
  const pki = names.includes("pki") ? await readdir(join(path, "pki")).catch(() => []) : [];
  if (
    names.includes("tlsboot.db") || names.includes("etcd.yaml") || (pki.includes("ca.crt") && names.includes("format"))
  ) {
    return { kind: "data directory", path };
  }
  for (const [certDir, inside] of [[path, names], [join(path, "pki"), pki]] as const) {
    if (!inside.some((one) => MACHINE_FILE.test(one))) continue;
    const kubeconfigPath = kubeconfig === undefined
      ? await findMachineKubeconfig(certDir, deps)
      : resolve(deps.cwd, kubeconfig);
    return { kind: "machine", kubeconfigPath, certDir };
  }
  if (names.some((one) => PEM_NAME.test(one))) return { kind: "CA folder", path };
  if (pki.includes("ca.crt")) {
    // The folder of kubeadm has kubeconfigs next to its CAs.
    const isKubeadm = names.some((one) => one.endsWith(".conf"));
    return { kind: isKubeadm ? "CA folder" : "data directory", path };
  }
  throw new AppError("invalid", `cannot check "${name}": no certificate, key or database of tlsboot is in it`, {
    hint: await suggestTargets(path, names, deps) ?? "name a data directory, or a folder such as /etc/kubernetes/pki",
  });
}

/** Where the files of the machines are that join on the computer of the server, as in the README and the demo. */
const NODE_FOLDERS = ["tlsboot-data/nodes", "tlsboot-demo/nodes"];

/** Finds what a user names: a path, or else the name of a machine. Throws AppError `not_found`. */
async function findNamed(name: string, { files, cwd }: ExamineDeps): Promise<string> {
  const folders = name.includes("/") ? [] : NODE_FOLDERS;
  for (const path of [name, ...folders.map((folder) => join(folder, name))]) {
    if (await files.stat(resolve(cwd, path)) !== undefined) return resolve(cwd, path);
  }
  const places = folders.length === 0 ? "" : ` here, in ${folders.join(" or in ")}`;
  throw new AppError("not_found", `cannot check "${name}": there is no such file or folder${places}`, {
    hint: "name a data directory, a machine's folder, a folder of certificates, a kubeconfig or a PEM file",
  });
}

/** Suggests what is in a folder that is no target itself: folders with certificates or keys, or else kubeconfigs. */
async function suggestTargets(
  path: string,
  names: readonly string[],
  deps: ExamineDeps,
): Promise<string | undefined> {
  const paths = names.toSorted().map((name) => join(path, name));
  const inside = await Promise.all(paths.map(async (one) => ({ one, names: await readdir(one).catch(() => []) })));
  let found = inside.filter((folder) => folder.names.some((name) => PEM_NAME.test(name))).map(({ one }) => one);
  if (found.length === 0) {
    const files = await Promise.all(paths.map((one) => readFound(one, deps)));
    found = files.flatMap((file) => file?.kubeconfig === undefined ? [] : [file.path]);
  }
  if (found.length === 0) return undefined;
  return `name what is in it: tlsboot doctor ${found.map((one) => shellWord(deps.show(one))).join(" ")}`;
}

const KUBELET_FOLDER = "/var/lib/kubelet/pki";

/** Finds the targets of a run without arguments. Throws AppError `not_found` when there are none. */
export async function findTargets(deps: ExamineDeps): Promise<readonly string[]> {
  const found = [];
  if (await deps.files.stat(resolve(deps.cwd, "tlsboot-data")) !== undefined) found.push("./tlsboot-data");
  const names = await readdir(KUBELET_FOLDER).catch(() => []);
  if (names.some((name) => MACHINE_FILE.test(name))) found.push(KUBELET_FOLDER);
  if (found.length > 0) return found;
  throw new AppError("not_found", "cannot check anything: there is neither ./tlsboot-data nor a kubelet here", {
    hint: "name what to check: tlsboot doctor DIR",
  });
}
