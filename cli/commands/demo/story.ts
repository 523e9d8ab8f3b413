/**
 * The story of the demo: TLS bootstrapping with the real parts of the program over real TLS. The tables and refusals that
 * it shows are answers of the server. Any failure ends the demo with an error.
 */
import type { SelfSubjectReview } from "../../../core/kube/kinds/authentication_v1.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { MASTERS_GROUP } from "../../../core/kube/user.ts";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { EXIT } from "../../exit_code.ts";
import { PUBLIC_MODE } from "../../../client/files.ts";
import { AUTO_APPROVE_BINDING, AUTO_APPROVE_COMMAND } from "../../../instance/instance_rbac.ts";
import { startProgress } from "../../output/progress.ts";
import { type Bootstrapping, verifyMachine } from "./machines.ts";
import { renew, showExpiry, showTheft } from "./chapters.ts";
import { type Connected, listRequests, type Stage } from "./stage.ts";
import { CSR_COLLECTION } from "../../../client/admin/csrs.ts";
import { createDecision, decideOne } from "../../../client/admin/decisions.ts";

/**
 * The number of machines that connect at the same time. They share a process with the server, and a machine tries again
 * after a second: with a thousand handshakes at once, each would take longer than that.
 */
const MAX_CONNECTING = 16;

/** Runs the whole story on a stage, and leaves the server running. Throws the first failure. */
export async function runStory(stage: Stage): Promise<void> {
  const { nodes } = stage.options;
  stage.fact(`TLS bootstrapping with ${nodes} ${nodes === 1 ? "machine" : "machines"}.`);
  await startServer(stage);
  const started = await requestCertificates(stage);
  await approve(stage, started);
  await useCertificate(stage);
  await showRefusal(stage);
  await renew(stage);
  await showExpiry(stage);
  await showTheft(stage);
  stage.emit({ kind: "end" });
  const { root } = stage.options;
  stage.fact(`Everything is in ${stage.show(root)}: certificates, keys, kubeconfigs, database.`);
  stage.fact("Next: tlsboot up starts your own server; then see tlsboot guide tutorial.");
}

async function startServer(stage: Stage): Promise<void> {
  const { without = [], beforeControllers } = stage.options.sabotage ?? {};
  await stage.start({}, {
    without,
    async onServing({ dir, authorities, server }) {
      const { certificate } = authorities.serving;
      await stage.options.onServing?.(dir);
      await stage.step("authority");
      stage.command(`tlsboot ca init --data-dir ${stage.word(dir.root)}`);
      stage.fact(`${stage.show(dir.caCertificate)}, ${publicKeyPin(certificate)}`);
      stage.emit({ kind: "authority", name: certificate.subject.commonName });
      await stage.step("server");
      stage.showUp(server.port);
      await beforeControllers?.(dir);
    },
  });
  stage.emit({ kind: "serving", url: stage.instance.url });
  stage.fact(`serving at ${stage.instance.url}`);
}

async function requestCertificates(stage: Stage): Promise<readonly Bootstrapping[]> {
  await stage.step("request");
  const first = stage.machine("node-1");
  const { tools, programs } = stage.options;
  const bootstrapKubeconfig = stage.dir.bootstrapKubeconfig;
  stage.command(
    programs.kubelet
      ? `kubelet --bootstrap-kubeconfig ${stage.word(bootstrapKubeconfig)} --kubeconfig ` +
        `${stage.word(first.kubeconfigPath)} --cert-dir ${
          stage.absoluteWord(first.certDir)
        } --hostname-override ${first.name}`
      : `tlsboot bootstrap --bootstrap-kubeconfig ${
        stage.word(bootstrapKubeconfig)
      } --hostname-override ${first.name} ` +
        `--kubeconfig ${stage.word(first.kubeconfigPath)} --cert-dir ${stage.word(first.certDir)}`,
  );
  using _asking = startProgress(tools, "machines request certificates");
  const started = await startMachines(stage);
  await Promise.all(started.map(({ submitted }) => submitted));
  await listRequests(stage);
  return started;
}

async function startMachines(stage: Stage): Promise<readonly Bootstrapping[]> {
  const { tools, waitSeconds, nodes } = stage.options;
  const machines = Array.from({ length: nodes }, (_, index) => stage.machine(`node-${index + 1}`));
  for (const machine of machines) await tools.files.makeDirectory(machine.folder, 0o700);
  const { bootstrapKubeconfig } = stage.dir;
  const started: Bootstrapping[] = [];
  const waiting = machines.entries();
  const startOneByOne = async (): Promise<void> => {
    for (const [index, machine] of waiting) {
      started[index] = stage.startMachine(machine, {
        bootstrapKubeconfigPath: bootstrapKubeconfig,
        waitSeconds,
        approvedBy: index === 0 ? "person" : "rule",
        onEvent: stage.emit,
      });
      await started[index].submitted;
    }
  };
  await Promise.all(Array.from({ length: MAX_CONNECTING }, startOneByOne));
  return started;
}

async function approve(stage: Stage, started: readonly Bootstrapping[]): Promise<void> {
  const { sabotage } = stage.options;
  await using admin = await stage.connect(stage.dir.adminKubeconfig);
  await stage.step("hand");
  if (sabotage?.withoutApproval !== true) await approveFirst(stage, admin, await started[0]?.submitted ?? "");
  // There is no rule yet, so the first certificate must come from the approval by hand.
  await started[0]?.outcome;
  await stage.step("rule");
  await grantRule(stage, admin);

  await stage.step("issue");
  await waitForAll(stage, started);
  await listRequests(stage);
  await verifyAll(stage, started);
}

async function approveFirst(stage: Stage, { api }: Connected, name: string): Promise<void> {
  if (!stage.options.programs.kubectl) {
    // The answer is only the name, as with kubectl, so nothing of it is shown.
    await stage.run(["approve", "node-1", "--data-dir", stage.show(stage.dir.root)], { only: /(?!)/ });
    return;
  }
  stage.command(`${stage.kubectl(stage.dir.adminKubeconfig)} certificate approve ${name}`);
  const approval = await createDecision("approve", api, "tlsboot demo", stage.signal);
  await decideOne(api, name, approval, stage.options.tools, stage.signal);
}

async function grantRule(stage: Stage, { api }: Connected): Promise<void> {
  if (stage.options.programs.kubectl) {
    // With a space between flag and value, a long command can be wrapped there.
    const words = AUTO_APPROVE_COMMAND.replace(/^kubectl /, "").replaceAll("=", " ");
    stage.command(`${stage.kubectl(stage.dir.adminKubeconfig)} ${words}`);
  } else {
    stage.fact("The demo creates the role binding that this flag creates when the server starts:");
    stage.showUp(stage.instance.server.port, ["--auto-approve"]);
  }
  await api.requestObject({
    method: "POST",
    path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    body: AUTO_APPROVE_BINDING,
  }, stage.signal);
}

async function waitForAll({ options: { tools } }: Stage, started: readonly Bootstrapping[]): Promise<void> {
  using progress = startProgress(tools, "certificates");
  let done = 0;
  await Promise.all(started.map(async ({ outcome }) => {
    await outcome;
    done += 1;
    progress.update("certificates", { done, total: started.length });
  }));
}

async function verifyAll(stage: Stage, started: readonly Bootstrapping[]): Promise<void> {
  const { tools, programs } = stage.options;
  const { certificatePath, kubeconfigPath } = stage.machine("node-1");
  if (programs.openssl) {
    stage.command(`openssl verify -CAfile ${stage.word(stage.dir.caCertificate)} ${stage.word(certificatePath)}`);
  } else await stage.run(["inspect", stage.show(kubeconfigPath)]);
  const now = tools.clock.now();
  let notAfter = now;
  for (const { machine } of started) {
    notAfter = await verifyMachine(machine, stage.instance.authorities.serving, tools.files, now);
  }
  const count = started.length;
  const subject = count === 1 ? "the certificate is" : `all ${count} certificates are`;
  stage.verified(`${subject} signed by the CA and valid until ${notAfter.toISOString().slice(0, 10)}`);
}

async function useCertificate(stage: Stage): Promise<void> {
  const machine = stage.machine("node-1");
  await stage.step("use");
  await using connection = await stage.connect(machine.kubeconfigPath);
  const review = await connection.api.requestObject<SelfSubjectReview>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} },
  }, stage.signal);
  const { username = "", groups = [] } = review.status.userInfo ?? {};
  if (username !== `system:node:${machine.name}`) {
    throw new AppError("api_error", `the API authenticates ${machine.name} as "${username}"`);
  }
  stage.emit({ kind: "accepted", machine: machine.name });
  if (stage.options.programs.kubectl) {
    stage.command(`${stage.kubectl(machine.kubeconfigPath)} auth whoami`);
    stage.emit({ kind: "answer", text: `Username  ${username}\nGroups    [${groups.join(" ")}]` });
  } else await stage.run(["doctor", stage.show(machine.certDir)], { only: /accepts/ });
}

/** Shows a request that the server refuses, and the reason. */
async function showRefusal(stage: Stage): Promise<void> {
  const { bootstrapKubeconfig, root } = stage.dir;
  const { programs, tools: { files } } = stage.options;
  await stage.step("refusal");
  if (!programs.kubectl) {
    await stage.run([
      ...["request", "--signer", KUBE_APISERVER_CLIENT_SIGNER, "--subject", `CN=mallory,O=${MASTERS_GROUP}`],
      ...["--kubeconfig", stage.show(bootstrapKubeconfig), "--out", stage.show(`${root}/mallory`)],
    ], { code: EXIT.usage, only: /error:/ });
    stage.emit({ kind: "refused", requester: "mallory" });
    return;
  }
  const request = await createMastersRequest();
  const path = `${root}/refused.yaml`;
  await files.writeAtomic(path, formatYaml(request), PUBLIC_MODE);
  stage.command(`${stage.kubectl(bootstrapKubeconfig)} create -f ${stage.word(path)}`);
  await using connection = await stage.connect(bootstrapKubeconfig);
  try {
    await connection.api.requestObject({ method: "POST", path: CSR_COLLECTION, body: request }, stage.signal);
  } catch (error) {
    if (!isAppError(error, "access_denied")) throw error;
    stage.emit({ kind: "answer", text: getErrorMessage(error) });
    stage.emit({ kind: "refused", requester: "mallory" });
    return;
  }
  throw new AppError("api_error", `the API accepted a request for ${MASTERS_GROUP} from a bootstrap token`);
}

/** A CSR for a client certificate in `system:masters`. */
async function createMastersRequest(): Promise<object> {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName: "mallory", organizations: [MASTERS_GROUP] };
  const pem = encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key));
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "mallory" },
    spec: {
      request: encodeBase64(pem),
      signerName: KUBE_APISERVER_CLIENT_SIGNER,
      usages: ["client auth"],
    },
  };
}
