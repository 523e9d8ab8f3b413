/** Requests as nodes send them, through an administrator who acts for the node. */
import { createApiClient } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { buildCsr, type CsrOptions, servingOptions } from "./csr_builder.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** Creates the request of a kubelet for its serving certificate. */
export function servingRequest(node: string, edit: CsrOptions = {}): Promise<CertificateSigningRequest> {
  return buildCsr({ name: `serving-${node}`, ...servingOptions(node), ...edit });
}

/** Sends the request of a machine for its first client certificate, as a bootstrap token of `up` would. */
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
