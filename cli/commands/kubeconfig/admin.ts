/** Issues an administrator's certificate and writes the kubeconfig. */
import { join, resolve } from "node:path";
import { encodeKubeconfigEntry, parseKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { encodeCertificates } from "../../../core/pki/x509/ca_bundle.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { MASTERS_GROUP } from "../../../core/kube/user.ts";
import { findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { formatSettingDuration } from "../../../core/lib/duration.ts";
import { hasSplitAuthorities, readAuthority } from "../../../instance/authority/files.ts";
import { openIssuedLog } from "../../../instance/authority/issued_log.ts";
import { authorityPaths } from "../../../instance/authority/layout.ts";
import { issueClientPair } from "../../../instance/authority/issue_pair.ts";
import type { kubeconfigAdminCommand } from "./flags.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { SECRET_MODE } from "../../../client/files.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { line } from "../../../core/lib/printable.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { readCasToTrust } from "../../cas_to_trust.ts";
import { assertReplaceable } from "../../output/files.ts";

/** The default address, for a server on this machine before its first start. */
const DEFAULT_SERVER = "https://127.0.0.1:6443";

export async function run({ settings }: Input<typeof kubeconfigAdminCommand.flags>, tools: Tools): Promise<ExitCode> {
  const server = settings.server ?? await findAdvertisedServer(settings.dataDir, tools) ?? DEFAULT_SERVER;
  if (settings.user === "") throw new UsageError("--user must not be empty");
  const target = settings.out ?? join(settings.dataDir, "admin.kubeconfig");
  if (target !== "-") await assertReplaceable("kubeconfig", resolve(tools.cwd, target), settings.force, tools.files);
  const hint = "name the server's CA with --ca-cert, or the folder that has it with --data-dir";
  const cas = await readCasToTrust(settings, hint, tools);
  const { files } = tools;
  const root = resolve(tools.cwd, settings.dataDir);
  const purpose = await hasSplitAuthorities(root, files) ? "client" : "serving";
  const authority = await readAuthority(
    authorityPaths(root, purpose),
    files,
    createCaKeys(settings, tools),
  );
  const identity = { commonName: settings.user, organizations: [MASTERS_GROUP], lifetimeMs: settings.duration };
  const requestedAt = tools.clock.now().getTime();
  const path = settings.issuedLog ?? dataDirAt(root).issuedLog;
  using log = openIssuedLog(resolve(tools.cwd, path), { clock: tools.clock, warn: (message) => warn(message, tools) });
  const pair = await issueClientPair(authority, identity, tools);
  const leaf = findPemBlock(pair.certificatePem)?.block.bytes ?? new Uint8Array();
  await log.record(leaf, authority, { source: "kubeconfig" });
  if (pair.notAfter.getTime() < requestedAt + settings.duration) {
    warn(
      `the certificate expires with its CA at ${formatTime(pair.notAfter)}, ` +
        `earlier than the requested ${formatSettingDuration(settings.duration)}`,
      tools,
    );
  }
  const user = { clientCertificateData: pair.certificatePem, clientKeyData: pair.keyPem };
  const cluster = { server, certificateAuthorityData: encodeCertificates(cas) };
  const text = encodeKubeconfigEntry(settings.clusterName, { cluster, userName: settings.user, user });
  if (target === "-") {
    tools.stdout.write(text);
    return EXIT.done;
  }
  await files.writeAtomic(resolve(tools.cwd, target), text, SECRET_MODE);
  tools.stdout.write(line`${target}\n`);
  return EXIT.done;
}

/** Finds the address of the server in admin.kubeconfig, which `up` and `serve` write; undefined without such a file. */
async function findAdvertisedServer(dataDir: string, tools: Tools): Promise<string | undefined> {
  const path = resolve(tools.cwd, dataDir, "admin.kubeconfig");
  const text = await tools.files.readText(path);
  const config = text === undefined ? undefined : parseKubeconfig(text, path);
  return config?.ok === true ? config.value.clusters[0]?.cluster.server : undefined;
}
