/**
 * The later chapters: one machine renews its certificate, another is switched off until its certificate has expired, and
 * a thief with copied files keeps a watch open until the machine is revoked.
 */
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { openCredentialStore } from "../../../client/certificate/credential_store.ts";
import { connectAsNode } from "../../../client/node_kubeconfig.ts";
import { createCertificateRequester, renewCertificate } from "../../../client/certificate_manager.ts";
import { getKubeletUsages, parseNodeName, toNodeSubject } from "../../../core/machine/node_name.ts";
import { AppError } from "../../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { EXIT } from "../../exit_code.ts";
import { startProgress } from "../../output/progress.ts";
import { createReporter, type DemoMachine } from "./machines.ts";
import { type Connected, listRequests, type Stage } from "./stage.ts";
import { RECOVERY_DAYS, SHORT_LIFE_SECONDS, SLEEPER } from "../../../ui/story/chapters.ts";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { withQuery } from "../../../client/objects/api.ts";
import { readJsonLines } from "../../../client/objects/watch_events.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../../client/files.ts";
import { CSR_COLLECTION } from "../../../client/admin/csrs.ts";
import { formatCommandLine } from "../../framework/command.ts";
import { DAY_MS } from "../../../core/lib/duration.ts";

/** node-1 gets a second certificate for a new key, with the first certificate as its credentials. */
export async function renew(stage: Stage): Promise<void> {
  const machine = stage.machine("node-1");
  await stage.step("renewal");
  const bootstrap = ["--bootstrap-kubeconfig", stage.show(stage.dir.bootstrapKubeconfig)];
  stage.command(
    formatCommandLine(["bootstrap", ...bootstrap, ...stage.bootstrapWords(machine), "--rotate-certificates"]),
  );
  const { first, next } = await renewNow(stage, machine);
  if (next.publicKeyDer.every((byte, index) => byte === first.publicKeyDer[index])) {
    throw new AppError("pki_invalid", `${machine.name} has renewed its certificate without a new key`);
  }
  await listRequests(stage);
  stage.verified("the next certificate has a new key and a new serial number");
}

async function renewNow(stage: Stage, { name, certDir, kubeconfigPath }: DemoMachine) {
  const { tools: { clock, random, files }, logger } = stage.options;
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new AppError("internal", nodeName.error);
  const store = await openStore(stage, certDir);
  const first = await store.current();
  if (first === undefined) throw new AppError("pki_invalid", `${name} has no certificate to renew`);
  const { leaf } = await renewCertificate({
    purpose: "client",
    store,
    clock,
    random,
    logger,
    template: { ...toNodeSubject(nodeName.value), dnsNames: [], ipAddresses: [] },
    requestCertificate: createCertificateRequester({
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      connect: () => connectAsNode({ kubeconfigPath, store, files, connect: stage.options.tools.connect }),
      onProgress: createReporter(name, "rule", stage.emit),
      clock,
      random,
      logger,
    }),
  }, stage.signal);
  return { first: first.leaf, next: leaf };
}

/** A machine gets a short-lived certificate, sleeps until it has expired, is refused, and recovers. */
export async function showExpiry(stage: Stage): Promise<void> {
  const machine = stage.machine(SLEEPER);
  await stage.step("short");
  await stage.restart(
    { clusterSigningDuration: SHORT_LIFE_SECONDS * 1000 },
    ["--cluster-signing-duration", `${SHORT_LIFE_SECONDS}s`],
  );
  const words = ["bootstrap", "--bootstrap-kubeconfig", stage.show(stage.dir.bootstrapKubeconfig)];
  await runBootstrap(stage, machine, words);
  stage.emit({ kind: "switchedOff", machine: machine.name });

  await stage.step("expired");
  await sleepUntilExpired(stage, machine);
  stage.emit({ kind: "expired", machine: machine.name });
  await showUnauthorized(stage, machine.kubeconfigPath);

  await stage.step("recovery");
  await stage.restart({ nodeRecovery: RECOVERY_DAYS * DAY_MS }, ["--node-recovery", `${RECOVERY_DAYS}d`]);
  await runBootstrap(stage, machine, ["bootstrap"]);
}

/** Runs `tlsboot bootstrap` for a machine whose request is approved automatically, and reports the result. */
async function runBootstrap(
  stage: Stage,
  machine: DemoMachine,
  words: readonly string[],
  by: "rule" | "token" = "rule",
): Promise<void> {
  await stage.run([...words, ...stage.bootstrapWords(machine)], { only: /^(the certificate expired|certificate of) / });
  stage.emit({ kind: "requested", machine: machine.name });
  stage.emit({ kind: "approved", machine: machine.name, by });
  stage.emit({ kind: "issued", machine: machine.name, notAfter: await findEnd(stage, machine) });
}

/** Shows that the API rejects the credentials of a kubeconfig. */
async function showUnauthorized(stage: Stage, kubeconfigPath: string): Promise<void> {
  await stage.run(["get", "csr", "--kubeconfig", stage.show(kubeconfigPath)], { code: EXIT.failed, only: /error:/ });
}

async function sleepUntilExpired(stage: Stage, machine: DemoMachine): Promise<void> {
  const { tools } = stage.options;
  using _waiting = startProgress(tools, `${machine.name} is off`);
  const end = await findEnd(stage, machine);
  // A certificate is still valid at its notAfter itself.
  await tools.clock.sleepUntil(new Date(end.getTime() + 1), stage.signal);
}

async function findEnd(stage: Stage, { name, certDir }: DemoMachine): Promise<Date> {
  const pair = await (await openStore(stage, certDir)).current();
  if (pair === undefined) throw new AppError("pki_invalid", `${name} has no certificate`);
  return pair.leaf.notAfter;
}

function openStore({ options: { tools } }: Stage, certDir: string) {
  return openCredentialStore({ ...tools, certDir, prefix: CLIENT_STORE_PREFIX });
}

/** How long the demo waits for the watch to end before it reports a failure. Usually it takes less than a second. */
const WATCH_LIMIT_MS = 30_000;

/** A thief copies the files of the last machine. The machine is revoked and set up again. */
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

/** Copies the key and the certificate of a machine, and a kubeconfig that refers to the copies. */
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
  /** Resolves with the time on the clock of `elapsedMs` at which the server ended the watch. */
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
      while ((await events.next()).done !== true); // the thief reads until the server ends the watch
    } catch (error) {
      // The server may also end the watch by closing the connection.
      stage.signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
    }
    return clock.elapsedMs();
  })();
  // A failure is reported where `ended` is awaited; this handler only prevents an unhandled rejection.
  ended.catch(() => {});
  return { ended };
}

/** Waits for a watch to end. Throws AppError `api_error` when the server does not end it. */
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

/** Removes the files of a machine and sets it up again with a token that is valid for its name only. */
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
