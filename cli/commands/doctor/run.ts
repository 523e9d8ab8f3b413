/** The action of `tlsboot doctor`: finds out what the targets are, examines each one, and prints the findings. */
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { examineCluster } from "../../../client/health/cluster.ts";
import type { Examined, ExamineDeps } from "../../../client/health/examine.ts";
import { countFindings, formatTextfile, reportOn } from "../../../core/report/health/finding.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { createTestNotification, type NotificationSender } from "../../../core/report/notification.ts";
import { openNotifications } from "../../../instance/notifications.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { nameFlags, type Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { displayPath } from "../../output/files.ts";
import { formatFindingJson, formatFindingTable } from "../../output/findings.ts";
import { examineCaFolder, examineDataDir } from "../../../instance/examine_data_dir.ts";
import type { doctorCommand } from "./flags.ts";
import { examineMachineAt, findMachineKubeconfig, findNamedFolder, type MachinePaths } from "./machine.ts";
import { readdir } from "node:fs/promises";
import { examineFile, PEM_NAME, readFound } from "../../../client/health/files.ts";
import { findRuleFileKind } from "../../../core/report/health/policies.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import { forEachItem } from "../../framework/report.ts";
import { PUBLIC_MODE } from "../../../client/files.ts";
import { KUBELET_PATHS } from "../../../core/token/join_material.ts";

/** Runs the command. A target that cannot be read is reported, and the others are still examined. */
export async function run({ args, settings }: Input<typeof doctorCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const deps: ExamineDeps = {
    ...tools,
    logger: createLogger({ ...tools, level: "error" }),
    show: (path) => displayPath(path, tools.cwd),
  };
  const { cluster, kubeconfig } = settings;
  const named = cluster && kubeconfig !== undefined ? [kubeconfig] : args;
  const sender = await openNotifications(settings, tools);
  const names = named.length > 0 || sender !== undefined ? named : await findTargets(deps);
  const examined: Examined[] = sender === undefined ? [] : [await testReceiver(sender, tools)];
  const code = await forEachItem(names, async (name) => {
    examined.push(
      cluster
        ? await examineCluster(name, deps, signal)
        : await examine(await recognizeTarget(name, kubeconfig, deps), { settings, deps }, signal),
    );
  }, tools);
  // A textfile is always written, because it counts the targets that could not be read.
  if (examined.length === 0 && settings.output !== "textfile") return code;
  const findings = examined.flatMap((target) => target.findings);
  const text = settings.output === "table"
    ? formatFindingTable(findings)
    : settings.output === "json"
    ? formatFindingJson(findings)
    : formatTextfile({
      findings,
      certificates: examined.flatMap(({ certificates = [] }) => certificates),
      unreadableFiles: examined.flatMap(({ unreadable = [] }) => unreadable).length,
      uncheckedTargets: names.length + (sender === undefined ? 0 : 1) - examined.length,
      now: tools.clock.now(),
    });
  if (settings.out === undefined) tools.stdout.write(text);
  else await files.writeAtomic(resolve(tools.cwd, settings.out), text, PUBLIC_MODE);
  if (code !== EXIT.done) return code;
  const { error, warning } = countFindings(findings);
  if (error > 0) return EXIT.failed;
  return settings.strict && warning > 0 ? EXIT.no : EXIT.done;
}

/** Sends a test message to the receiver of notifications. */
async function testReceiver(sender: NotificationSender, { clock, signal }: Tools): Promise<Examined> {
  const report = reportOn(`receiver ${sender.host}`);
  try {
    await sender.send(createTestNotification(hostname(), clock.now()), signal);
    return { findings: report.check("notification", []) };
  } catch (error) {
    if (!isAppError(error)) throw error;
    const { message, hint } = error;
    const advice = hint && nameFlags(hint);
    return { findings: report.check("notification", [{ severity: "error", message, advice }]) };
  }
}

async function examine(
  target: DoctorTarget,
  { settings, deps }: { readonly settings: Settings<typeof doctorCommand.flags>; readonly deps: ExamineDeps },
  signal: AbortSignal,
): Promise<Examined> {
  switch (target.kind) {
    case "data directory":
      return await examineDataDir(target.path, { backups: settings.backup }, deps, signal);
    case "machine":
      return await examineMachineAt(target, settings.bootstrapKubeconfig, deps, signal);
    case "CA folder":
      return await examineCaFolder(target.path, deps);
    case "file":
      return await examineFile(target.path, deps, signal);
  }
}

/** A recognized target, with absolute paths. */
type DoctorTarget =
  | { readonly kind: "data directory"; readonly path: string }
  | { readonly kind: "CA folder"; readonly path: string }
  | { readonly kind: "machine" } & MachinePaths
  | { readonly kind: "file"; readonly path: string };

/** Matches the files that a kubelet or `tlsboot bootstrap` keeps in the folder of its certificates. */
const MACHINE_FILE = /^kubelet-client(?:-.*)?\.pem$|^kubelet-client\.key\.tmp$|^kubelet\.crt$/;

/** Matches the link to the certificate that a machine uses. */
const CURRENT_PAIR = /\/kubelet-(?:client|server)-current\.pem$/;

/** Finds out what a target is. `kubeconfig` belongs to a machine's folder. Throws AppError `not_found`, `invalid` or `io`. */
async function recognizeTarget(
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
    // kubeadm keeps kubeconfigs in the folder above its CAs.
    const isKubeadm = names.some((one) => one.endsWith(".conf"));
    return { kind: isKubeadm ? "CA folder" : "data directory", path };
  }
  throw new AppError("invalid", `cannot check "${name}": no certificate, key or database of tlsboot is in it`, {
    hint: await suggestTargets(path, names, deps) ?? "give a data directory, or a folder such as /etc/kubernetes/pki",
  });
}

/** The folders of machines that join on the server's own host, as in the README and the demo. */
const NODE_FOLDERS = ["tlsboot-data/nodes", "tlsboot-demo/nodes"];

/** Returns the absolute path of a target: a path, or else the name of a machine. Throws AppError `not_found`. */
async function findNamed(name: string, { files, cwd }: ExamineDeps): Promise<string> {
  const folders = name.includes("/") ? [] : NODE_FOLDERS;
  for (const path of [name, ...folders.map((folder) => join(folder, name))]) {
    if (await files.stat(resolve(cwd, path)) !== undefined) return resolve(cwd, path);
  }
  const places = folders.length === 0 ? "" : ` here, in ${folders.join(" or in ")}`;
  throw new AppError("not_found", `cannot check "${name}": there is no such file or folder${places}`, {
    hint: "give a data directory, a machine's folder, a folder of certificates, a kubeconfig or a PEM file",
  });
}

/** Suggests targets in a folder that is not a target itself: folders with certificates or keys, or else kubeconfigs. */
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
  return `check what is in it: tlsboot doctor ${found.map((one) => shellWord(deps.show(one))).join(" ")}`;
}

/** Finds the targets of a run without arguments. Throws AppError `not_found` when there are none. */
async function findTargets(deps: ExamineDeps): Promise<readonly string[]> {
  const found = [];
  if (await deps.files.stat(resolve(deps.cwd, "tlsboot-data")) !== undefined) found.push("./tlsboot-data");
  const names = await readdir(KUBELET_PATHS.certDir).catch(() => []);
  if (names.some((name) => MACHINE_FILE.test(name))) found.push(KUBELET_PATHS.certDir);
  if (found.length > 0) return found;
  throw new AppError("not_found", "cannot check anything: there is neither ./tlsboot-data nor a kubelet here", {
    hint: "say what to check: tlsboot doctor DIR",
  });
}
