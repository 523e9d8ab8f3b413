/** Exchanges proofs of machines for bootstrap tokens of a remote API, or prints the permissions that this needs. */
import { resolve } from "node:path";
import { readCluster } from "../../../client/transport/connect.ts";
import { type Attestor, createAttestorManifest, startAttestor } from "../../../instance/attestor.ts";
import { waitForAbort } from "../../../core/lib/waiting.ts";
import { line } from "../../../core/lib/printable.ts";
import { followPolicies } from "../../../instance/controllers/policy_files.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { createRoleLogger } from "../../logging.ts";
import { formatYamlManifest } from "../../output/structured.ts";
import { connectRemote, requireKubeconfig } from "../../remote_controller.ts";
import type { attestorCommand } from "./flags.ts";

export async function run({ settings }: Input<typeof attestorCommand.flags>, tools: Tools): Promise<ExitCode> {
  const manifest = createAttestorManifest();
  if (settings.printRbac) {
    tools.stdout.write(formatYamlManifest(manifest));
    return EXIT.done;
  }
  const kubeconfig = requireKubeconfig("attestor", settings.kubeconfig, tools);
  const { inventory } = settings;
  const logger = createRoleLogger(settings, tools);
  const followed = await followPolicies({ policy: [], inventory }, { ...tools, logger }, {
    isInventoryUsed: () => true,
  });
  if (followed === undefined) throw new UsageError("--inventory is required", "see: tlsboot attestor --help");
  const { cwd, files, signal } = tools;
  await using remote = await connectRemote(
    { command: "attestor", manifest },
    { ...settings, kubeconfig },
    tools,
    logger,
  );
  const place = {
    ...remote,
    readKubeconfig: () => readCluster(resolve(cwd, kubeconfig), files),
    // `--inventory` is given, so the inventory is never undefined.
    inventory: { current: () => followed.current().inventory!, refresh: followed.refresh },
  };
  await using attestor = await startAttestor(settings, place, { ...tools, logger }, signal);
  tools.stdout.write(formatGreeting(attestor));
  remote.service.ready(`exchanging proofs at ${attestor.url} for ${attestor.cluster}`);
  await waitForAbort(AbortSignal.any([signal, attestor.lost]));
  attestor.lost.throwIfAborted();
  return EXIT.done;
}

function formatGreeting({ url, caHash, cluster }: Attestor): string {
  const server = `--server ${url} --ca-cert-hash ${caHash}`;
  return line`The proofs of the machines in the inventory are exchanged at ${url} for tokens of ${cluster}.

  # on a machine, prepare the first start of its kubelet
  sudo tlsboot attest ${server} --cert-dir /var/lib/kubelet/pki --out /etc/kubernetes/bootstrap-kubelet.conf
`;
}
