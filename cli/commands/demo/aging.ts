/** The chapters about time: a machine renews its certificate, and another one is switched off until its own has expired. */
import { CLIENT_STORE_PREFIX } from "../../../client/bootstrap.ts";
import { openCredentialStore } from "../../../client/certificate/credential_store.ts";
import { connectAsNode } from "../../../client/node_kubeconfig.ts";
import { createCertificateRequester, renewCertificate } from "../../../client/certificate_manager.ts";
import { getKubeletUsages, parseNodeName, toNodeSubject } from "../../../core/machine/node_name.ts";
import { AppError } from "../../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../../core/kube/kinds/certificates_v1.ts";
import { EXIT } from "../../exit_code.ts";
import { startProgress } from "../../output/progress.ts";
import { formatCommandLine } from "../../framework/command_line.ts";
import { createReporter, type DemoMachine } from "./machines.ts";
import { listRequests, type Stage } from "./stage.ts";
import { RECOVERY_DAYS, SHORT_LIFE_SECONDS, SLEEPER } from "../../../ui/story/chapters.ts";

const DAY_MS = 86_400_000;

/** node-1 gets a second certificate, with a new key and the first certificate as its credentials. */
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
  stage.verified("the next certificate has another key and another serial number");
}

async function renewNow(stage: Stage, { name, certDir, kubeconfigPath }: DemoMachine) {
  const { tools: { clock, random, files }, logger } = stage.options;
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new AppError("internal", nodeName.error);
  const store = await openCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  const first = await store.current();
  if (first === undefined) throw new AppError("pki_invalid", `${name} has no certificate to renew`);
  const { leaf } = await renewCertificate({
    ...{ purpose: "client", store, clock, random, logger },
    template: { ...toNodeSubject(nodeName.value), dnsNames: [], ipAddresses: [] },
    requestCertificate: createCertificateRequester({
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      connect: () => connectAsNode({ kubeconfigPath, store, files, connect: stage.options.tools.connect }),
      onProgress: createReporter(name, "rule", stage.emit),
      ...{ clock, random, logger },
    }),
  }, stage.signal);
  return { first: first.leaf, next: leaf };
}

/** A machine gets a short certificate, sleeps beyond its end, is refused, and recovers. */
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

/** Runs `tlsboot bootstrap` for a machine whose request is approved without a person, and reports what it got. */
export async function runBootstrap(
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

/** Shows that the API does not accept the credentials of a kubeconfig. */
export async function showUnauthorized(stage: Stage, kubeconfigPath: string): Promise<void> {
  await stage.run(["get", "csr", "--kubeconfig", stage.show(kubeconfigPath)], { code: EXIT.failed, only: /error:/ });
}

async function sleepUntilExpired(stage: Stage, machine: DemoMachine): Promise<void> {
  const { tools } = stage.options;
  using _waiting = startProgress(tools, `${machine.name} is off`);
  const end = await findEnd(stage, machine);
  // A certificate is still valid at the very moment of its end.
  await tools.clock.sleepUntil(new Date(end.getTime() + 1), stage.signal);
}

async function findEnd({ options: { tools } }: Stage, { name, certDir }: DemoMachine): Promise<Date> {
  const store = await openCredentialStore({ ...tools, certDir, prefix: CLIENT_STORE_PREFIX });
  const pair = await store.current();
  if (pair === undefined) throw new AppError("pki_invalid", `${name} has no certificate`);
  return pair.leaf.notAfter;
}
