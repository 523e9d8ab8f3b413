/** Prints this machine's entry for the inventory, or exchanges a proof for the bootstrap kubeconfig of a stock kubelet. */
import { dirname, resolve } from "node:path";
import { attest, type AttestedJoin } from "../../../client/attestation/attest.ts";
import { keepKubeletKey } from "../../../client/bootstrap.ts";
import { type FilePort, FOLDER_MODE, SECRET_MODE } from "../../../client/files.ts";
import type { Evidence } from "../../../core/attestation/proof.ts";
import { PROOF_KINDS } from "../../../core/kube/kinds/constants.ts";
import { formatSshFingerprint } from "../../../core/attestation/ssh_signature.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { line } from "../../../core/lib/printable.ts";
import type { NodeName } from "../../../core/machine/node_name.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { encodeBootstrapKubeconfig } from "../../../core/token/join_material.ts";
import { describeAttestProgress, openProver } from "../../attestation.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import { resolveNodeName } from "../../flags/request.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { warn } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { createSteps } from "../../output/progress.ts";
import type { attestCommand } from "./flags.ts";

type AttestSettings = Settings<typeof attestCommand.flags>;

export async function run({ settings }: Input<typeof attestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const nodeName = resolveNodeName(settings.hostnameOverride);
  const { server, certDir, out } = settings;
  // The rules of the command say that the three are given together.
  if (server === undefined || certDir === undefined || out === undefined) {
    tools.stdout.write(await formatInventoryEntry(nodeName, settings, tools));
    return EXIT.done;
  }
  const { cwd, files, signal, stdout } = tools;
  const path = resolve(cwd, out);
  await assertReplaceableKubeconfig(path, files);
  const prover = await openProver({ kind: settings.proof, from: settings.proofFrom }, tools);
  const kept = await keepKubeletKey({ ...tools, nodeName, certDir: resolve(cwd, certDir) });
  let join: AttestedJoin;
  {
    using steps = createSteps(tools);
    join = await attest({
      ...tools,
      server,
      pins: settings.caCertHash,
      nodeName,
      key: kept.key,
      prover,
      waitSeconds: settings.timeout / 1_000,
      onProgress: (event) => steps.step(describeAttestProgress(event)),
    }, signal);
  }
  const { token, expiration, ...cluster } = join;
  const until = expiration === undefined ? "" : `, until ${formatTime(expiration)}`;
  const head = `${WRITTEN} It lets node ${nodeName} join with the key in ${kept.path}${until}.\n`;
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  await files.writeAtomic(path, head + encodeBootstrapKubeconfig(cluster, token), SECRET_MODE);
  stdout.write(line`key of the next request: ${displayPath(kept.path, cwd)}\n`);
  stdout.write(line`bootstrap kubeconfig: ${displayPath(path, cwd)}${until}\n`);
  return EXIT.done;
}

const WRITTEN = "# Written by tlsboot attest.";

/** Refuses to replace a file that no earlier run has written. */
async function assertReplaceableKubeconfig(path: string, files: Pick<FilePort, "readText">): Promise<void> {
  const text = await files.readText(path);
  if (text === undefined || text.startsWith(WRITTEN)) return;
  throw new AppError("file_exists", `cannot write "${path}": it exists, and tlsboot attest has not written it`, {
    hint: "remove it if the kubelet no longer needs it, or choose another path with --out",
  });
}

/** Formats the entry of this machine in the list of nodes. A kind of proof that this machine does not have is left out. */
async function formatInventoryEntry(nodeName: NodeName, settings: AttestSettings, tools: Tools): Promise<string> {
  const { proof, proofFrom: from } = settings;
  const fields: string[] = [];
  const faults: AppError[] = [];
  for (const kind of proof === undefined ? PROOF_KINDS : [proof]) {
    try {
      const prover = await openProver({ kind, from }, tools);
      fields.push(`${kind}: ${JSON.stringify(toInventoryKey(await prover.evidence()))}`);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push(error);
    }
  }
  const [fault, ...others] = faults;
  if (fields.length > 0) { for (const { message } of faults) warn(message, tools); }
  else if (fault !== undefined) {
    if (others.length === 0) throw fault;
    throw new AppError("not_found", faults.map(({ message }) => message).join("; "), {
      hint: "enable the TPM in the settings of the firmware, or create host keys with: ssh-keygen -A",
    });
  }
  return line`- { name: ${JSON.stringify(nodeName)}, ${fields.join(", ")} }\n`;
}

function toInventoryKey(evidence: Evidence): string {
  return evidence.kind === "tpm"
    ? publicKeyPin({ publicKeyDer: evidence.endorsementKey })
    : formatSshFingerprint({ wire: evidence.hostKey });
}
