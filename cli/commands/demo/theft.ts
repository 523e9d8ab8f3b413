/** The last chapter: a thief with copied files has an open watch until the machine is revoked. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { withQuery } from "../../../client/objects/api.ts";
import { readJsonLines } from "../../../client/objects/watch_events.ts";
import { AppError } from "../../../core/errors.ts";
import { publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../../instance/data_dir.ts";
import { runBootstrap, showUnauthorized } from "./aging.ts";
import { formatCommandLine } from "../../framework/command_line.ts";
import type { DemoMachine } from "./machines.ts";
import type { Connected, Stage } from "./stage.ts";
import { CSR_COLLECTION } from "../../../client/admin/csrs.ts";

/** How long the demo waits for the end of the watch, which takes less than a second, before it reports a failure. */
const WATCH_LIMIT_MS = 30_000;

/** A thief copies the files of the last machine; the machine is revoked, and set up again. */
export async function showTheft(stage: Stage): Promise<void> {
  const machine = stage.machine(stage.cast.victim);
  const stolen = join(stage.dir.root, "stolen");
  const kubeconfigPath = join(stolen, "kubeconfig");
  await stage.step("theft");
  await copyMachine(stage, machine, stolen);
  stage.emit({ kind: "copied", machine: machine.name });
  stage.command(
    stage.options.programs.kubectl
      ? `${stage.kubectl(kubeconfigPath)} get csr --watch`
      : formatCommandLine(["get", "csr", "--watch", "--kubeconfig", stage.show(kubeconfigPath)]),
  );
  await using thief = await stage.connect(kubeconfigPath);
  const watch = await openWatch(stage, thief);
  stage.emit({ kind: "watching" });

  await stage.step("revocation");
  const revokedAt = stage.options.tools.clock.elapsedMs();
  const message = "its disk was copied";
  await stage.run([
    ...["revoke", `node/${machine.name}`, "--reason", "keyCompromise", "--message", message],
    ...["--data-dir", stage.show(stage.dir.root)],
  ]);
  stage.emit({ kind: "revoked", machine: machine.name });
  const afterMs = Math.max(0, await awaitEnd(stage, watch) - revokedAt);
  stage.emit({ kind: "cutOff", afterMs });
  stage.verified(`the open watch of the thief ended ${formatDelay(afterMs)} after the command started`);
  await showUnauthorized(stage, kubeconfigPath);

  await stage.step("replacement");
  await replaceMachine(stage, machine);
  await showUnauthorized(stage, kubeconfigPath);
}

/** Copies the key and the certificate of a machine, and a kubeconfig that names the copies. */
async function copyMachine(stage: Stage, machine: DemoMachine, folder: string): Promise<void> {
  const { files } = stage.options.tools;
  const from = stage.word(machine.folder);
  stage.command(`cp -rL ${from} ${stage.word(folder)}`);
  stage.command(`sed -i 's|nodes/${machine.name}/|stolen/|' ${stage.word(join(folder, "kubeconfig"))}`);
  const kubeconfig = await files.readText(machine.kubeconfigPath) ?? "";
  const pair = await files.readText(machine.certificatePath) ?? "";
  const certificatePath = join(folder, "pki", "kubelet-client-current.pem");
  await files.makeDirectory(join(folder, "pki"), FOLDER_MODE);
  await files.writeAtomic(certificatePath, pair, SECRET_MODE);
  const path = join(folder, "kubeconfig");
  await files.writeAtomic(path, kubeconfig.replaceAll(machine.certificatePath, certificatePath), SECRET_MODE);
}

interface OpenWatch {
  /** Resolves with the time at which the server has ended the watch, on the clock of `elapsedMs`. */
  readonly ended: Promise<number>;
}

/** Opens a watch of all requests, and waits for its first event. */
async function openWatch(stage: Stage, { api }: Connected): Promise<OpenWatch> {
  const { clock } = stage.options.tools;
  const path = withQuery(CSR_COLLECTION, { watch: "true" });
  const answer = await api.open({ method: "GET", path }, stage.signal);
  const events = readJsonLines(answer.body);
  await events.next();
  const ended = (async () => {
    try {
      while ((await events.next()).done !== true); // the thief reads on, until the server ends the watch
    } catch (error) {
      // The end is an end in any form, such as a closed connection.
      stage.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
    }
    return clock.elapsedMs();
  })();
  // A failure is reported where `ended` is awaited; this handler only prevents an unhandled rejection.
  ended.catch(() => {});
  return { ended };
}

/** Waits for the end of a watch. AppError `api_error` when the server lets it run. */
async function awaitEnd(stage: Stage, { ended }: OpenWatch): Promise<number> {
  const { clock } = stage.options.tools;
  const done = new AbortController();
  const limit = clock.sleep(WATCH_LIMIT_MS, AbortSignal.any([stage.signal, done.signal])).then(() => {
    throw new AppError("api_error", "the watch with the revoked certificate did not end");
  });
  limit.catch(() => {});
  try {
    return await Promise.race([ended, limit]);
  } finally {
    done.abort();
  }
}

/** Removes the files of a machine, and sets it up again with a token for its name alone. */
async function replaceMachine(stage: Stage, machine: DemoMachine): Promise<void> {
  const { files } = stage.options.tools;
  const { root } = stage.dir;
  stage.command(`rm -r ${stage.word(machine.folder)}`);
  await rm(machine.folder, { recursive: true });
  stage.emit({ kind: "wiped", machine: machine.name });
  const tokenPath = join(root, `${machine.name}.token`);
  const words = ["token", "create", "--node", machine.name, "--approve", "--data-dir", stage.show(root)];
  const { stdout } = await stage.run(words, { into: tokenPath });
  await files.writeAtomic(tokenPath, stdout, SECRET_MODE);
  await runBootstrap(stage, machine, [
    ...["bootstrap", "--server", stage.instance.url, "--token-file", stage.show(tokenPath)],
    ...["--ca-cert-hash", publicKeyPin(stage.instance.authorities.serving.certificate)],
  ], "token");
}

function formatDelay(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
