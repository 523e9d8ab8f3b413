/** Requests of nodes, sent by an administrator who impersonates them. */
import { type ApiClient, createApiClient } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import { withApproval } from "../../core/approval/conditions.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { buildCsr, type CsrOptions, servingOptions } from "./csr_builder.ts";
import { eventually } from "./eventually.ts";
import type { SharedInstance } from "./instance_process.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** Creates the request of a kubelet for its serving certificate. */
export function servingRequest(node: string, edit: CsrOptions = {}): Promise<CertificateSigningRequest> {
  return buildCsr({ name: `serving-${node}`, ...servingOptions(node), ...edit });
}

/** Sends the request of a machine for its first client certificate, as the user of a bootstrap token of `up`. */
export async function submitFirstRequest(
  kubeconfig: string,
  name: string,
  node: string,
  signal: AbortSignal,
  edit: CsrOptions = {},
): Promise<void> {
  const groups = ["system:bootstrappers:tlsboot"];
  await submitAs(kubeconfig, await buildCsr({ name, commonName: `system:node:${node}`, groups, ...edit }), signal);
}

/** Sends a request as the user that it names. */
export async function submitAs(kubeconfig: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
  const { username = "", groups = [] } = csr.spec;
  const clock = createSystemClock();
  const files = createFilePort();
  const connect = createConnector({ files, clock, userAgent: "test" });
  await using transport = await connect(await readCluster(kubeconfig, files));
  const acting = { "impersonate-user": username, "impersonate-group": groups[0] ?? "" };
  const api = createApiClient({
    send: (request, stop) => transport.send({ ...request, headers: { ...request.headers, ...acting } }, stop),
  }, { clock });
  await api.requestJson({ method: "POST", path: CSRS, body: csr }, signal);
}

/**
 * Binds a user or a group to a cluster role. If rules are given, it first creates the role, with the name of the
 * binding.
 */
export async function grant(
  api: ApiClient,
  name: string,
  subject: { readonly kind: "User" | "Group"; readonly name: string },
  role: string | readonly object[],
): Promise<void> {
  const { signal } = new AbortController();
  const post = (kind: string, body: object) =>
    api.requestJson({ method: "POST", path: `/apis/rbac.authorization.k8s.io/v1/${kind}`, body }, signal);
  if (typeof role !== "string") await post("clusterroles", { metadata: { name }, rules: role });
  const apiGroup = "rbac.authorization.k8s.io";
  await post("clusterrolebindings", {
    metadata: { name },
    subjects: [{ ...subject, apiGroup }],
    roleRef: { kind: "ClusterRole", name: typeof role === "string" ? role : name, apiGroup },
  });
}

/** Waits until a request has its certificate. */
export async function untilIssued({ tlsboot }: Pick<SharedInstance, "tlsboot">, name: string): Promise<void> {
  await eventually(`"${name}" is issued`, async () => {
    return / issued$/m.test((await tlsboot("get", "csr", name)).stdout) || undefined;
  });
}

/** Waits for the Event with the reason why a request is pending, and returns the description of the request. */
export async function untilHeld(
  { tlsboot }: Pick<SharedInstance, "tlsboot">,
  name: string,
  reason: string,
): Promise<string> {
  return await eventually(`the Event about "${name}"`, async () => {
    const { stdout } = await tlsboot("describe", "csr", name);
    return stdout.includes(`Warning  ${reason}`) ? stdout : undefined;
  });
}

/** Creates and approves a request as the same user, and waits until the signer has issued a certificate or failed. */
export async function requestAndApprove(api: ApiClient, options: CsrOptions): Promise<CertificateSigningRequest> {
  const { signal } = new AbortController();
  const body = await buildCsr(options);
  const created = await api.requestObject<CertificateSigningRequest>({ method: "POST", path: CSRS, body }, signal);
  const path = `${CSRS}/${created.metadata.name}`;
  const approved = withApproval(created, { reason: "Test", message: "by the test" });
  if (!approved.ok) throw new Error(`${created.metadata.name} has already been decided`);
  await api.requestJson({ method: "PUT", path: `${path}/approval`, body: approved.value }, signal);
  return await eventually(`the signer answers ${created.metadata.name}`, async () => {
    const csr = await api.requestObject<CertificateSigningRequest>({ method: "GET", path }, signal);
    const { certificate, conditions = [] } = csr.status;
    return certificate !== undefined || conditions.some(({ type }) => type === "Failed") ? csr : undefined;
  });
}
