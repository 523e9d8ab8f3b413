/** Writes kubeconfigs with one cluster, one user and one context. */
import { resolve } from "node:path";
import { createFilePort } from "../../../client/files.ts";
import { isLoopbackServer } from "../../../core/bootstrap/cluster_info.ts";
import { AppError } from "../../../core/errors.ts";
import {
  encodeKubeconfigEntry,
  type KubeconfigCluster,
  type KubeconfigEntry,
  parseKubeconfig,
} from "../../../core/kube/kubeconfig.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import { readTrustPem } from "../../authority/instance_authorities.ts";
import { authorityPaths } from "../../authority/layout.ts";
import { describeServerUrl } from "../../flags/request.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../instance/data_dir.ts";

/** The settings that the commands for kubeconfigs share. */
export interface KubeconfigSettings {
  readonly dataDir: string;
  readonly server: string;
  readonly certificateAuthority: string | undefined;
  readonly embedCerts: boolean;
  readonly clusterName: string;
  readonly force: boolean;
  readonly out: string | undefined;
}

/** Creates the entry of the cluster, with its CA read from the file and checked. */
export async function readClusterEntry(settings: KubeconfigSettings, io: Io): Promise<KubeconfigCluster> {
  checkServer(settings.server);
  const path = resolve(io.cwd, settings.certificateAuthority ?? authorityPaths(settings.dataDir).certificate);
  const files = createFilePort();
  let text = await files.readText(path);
  // While the CA is being replaced, both are trusted.
  if (text !== undefined && settings.certificateAuthority === undefined && settings.embedCerts) {
    text = await readTrustPem(resolve(io.cwd, settings.dataDir), files);
  }
  if (text === undefined) {
    throw new AppError("not_found", `cannot read CA bundle "${path}": file does not exist`, {
      hint: "name the server's CA with --certificate-authority, or the folder that has it with --data-dir",
    });
  }
  const bundle = parseCaBundle(text);
  if (!bundle.ok) throw new AppError("ca_invalid", `cannot use CA bundle "${path}": ${bundle.error}`);
  return {
    server: settings.server,
    ...(settings.embedCerts ? { certificateAuthorityData: text } : { certificateAuthority: path }),
  };
}

/** Finds the address of the server in admin.kubeconfig, which `up` and `serve` write; undefined without such a file. */
export async function findAdvertisedServer(dataDir: string, io: Io): Promise<string | undefined> {
  const path = resolve(io.cwd, dataDir, "admin.kubeconfig");
  const text = await createFilePort().readText(path);
  const config = text === undefined ? undefined : parseKubeconfig(text, path);
  return config?.ok === true ? config.value.clusters[0]?.cluster.server : undefined;
}

/** Throws UsageError for the address of a server that is not an https URL. */
export function checkServer(server: string): void {
  if (URL.parse(server)?.protocol === "https:") return;
  throw new UsageError(`cannot use "${server}" as --server: ${describeServerUrl(server)}`);
}

/** Reports on stderr when the server of a kubeconfig for another machine is reachable from this machine only. */
export function reportLoopback(server: string, io: Io): void {
  if (!isLoopbackServer(server)) return;
  io.stderr.write(line`the file names ${server}, which only this machine reaches: give --server for another one\n`);
}

/** Throws AppError `file_exists` for an existing file, before anything is created. */
export async function checkTarget(
  settings: Pick<KubeconfigSettings, "out" | "force">,
  defaultPath: string,
  io: Io,
): Promise<void> {
  if (settings.out === "-" || settings.force) return;
  const path = resolve(io.cwd, settings.out ?? defaultPath);
  if (await createFilePort().lstat(path) === undefined) return;
  throw new AppError("file_exists", `cannot write kubeconfig "${path}": it exists`, {
    hint: "replace it with --force, or choose another file with --out",
  });
}

/** Writes the file with mode 0600 and one rename, or prints it for `--out -`. */
export async function writeKubeconfig(
  settings: KubeconfigSettings,
  defaultPath: string,
  entry: KubeconfigEntry,
  io: Io,
): Promise<void> {
  const text = encodeKubeconfigEntry(settings.clusterName, entry);
  if (settings.out === "-") {
    io.stdout.write(text);
    return;
  }
  const files = createFilePort();
  if (settings.out === undefined) await files.makeDirectory(resolve(io.cwd, settings.dataDir), FOLDER_MODE);
  const path = settings.out ?? defaultPath;
  const target = resolve(io.cwd, path);
  await files.writeAtomic(target, text, SECRET_MODE);
  io.stdout.write(line`${path}\n`);
}
