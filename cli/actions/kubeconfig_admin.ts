/** Issues an administrator's certificate and writes the kubeconfig. */
import { join, resolve } from "node:path";
import { createFilePort } from "../../client/files.ts";
import type { KubeconfigUser } from "../../core/kube/kubeconfig.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import { readAuthorityFiles } from "../authority_files.ts";
import { issueClientPair, type IssuedPair } from "../issue_pair.ts";
import type { KubeconfigAdminFlags } from "../commands/kubeconfig/admin.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { PUBLIC_MODE, SECRET_MODE } from "../site/data_dir.ts";
import { checkTarget, readClusterEntry, writeKubeconfig } from "./kubeconfig_file.ts";

/** Shorter ones are over before they are used (`csr-api.md` §2.2: the API's own least life). */
const MIN_LIFE_MS = 600_000;

/** Runs `tlsboot kubeconfig admin`. */
export async function run({ settings }: Input<KubeconfigAdminFlags>, io: Io): Promise<ExitCode> {
  if (settings.duration < MIN_LIFE_MS) throw new UsageError("--duration must be at least 10m");
  if (!/^[^/\\]+$/.test(settings.user)) throw new UsageError(`cannot use "${settings.user}" as --user`);
  const defaultPath = join(settings.dataDir, "admin.kubeconfig");
  await checkTarget(settings, defaultPath, io);
  const cluster = await readClusterEntry(settings, io);
  const authority = await readAuthorityFiles(resolve(io.cwd, settings.dataDir), createFilePort());
  const identity = { commonName: settings.user, organizations: [MASTERS_GROUP], lifeMs: settings.duration };
  const pair = await issueClientPair(authority, identity, io);
  const user: KubeconfigUser = settings.embedCerts
    ? { clientCertificateData: pair.certificatePem, clientKeyData: pair.keyPem }
    : await writePair(resolve(io.cwd, settings.dataDir), settings.user, pair);
  await writeKubeconfig(settings, defaultPath, { cluster, userName: settings.user, user }, io);
  return EXIT.done;
}

async function writePair(dataDir: string, name: string, pair: IssuedPair): Promise<KubeconfigUser> {
  const files = createFilePort();
  const clientCertificate = join(dataDir, "pki", `${name}.crt`);
  const clientKey = join(dataDir, "pki", `${name}.key`);
  await files.writeAtomic(clientKey, pair.keyPem.reveal(), SECRET_MODE);
  await files.writeAtomic(clientCertificate, pair.certificatePem, PUBLIC_MODE);
  return { clientCertificate, clientKey };
}
