/** One renewal over the API: a CSR with a generated name, waited for at most 15 minutes (`kubelet-bootstrap.md` §7.4). */
import { rotationUsages } from "../core/bootstrap/client_usages.ts";
import type { CertificateTemplate } from "../core/bootstrap/rotation.ts";
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind } from "../core/kube/kinds/mod.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { RequestCertificate } from "./certificate_manager.ts";
import { submitRequest } from "./csr_request.ts";
import { waitForCertificate } from "./csr_wait.ts";
import { checkIssued } from "./issued_certificate.ts";
import { createObjectStore } from "./object_store.ts";
import { observeServerTime } from "./server_time.ts";
import type { TlsTransport } from "./transport.ts";

/** What a renewal needs. */
export interface CertificateRequesterOptions {
  readonly template: CertificateTemplate;
  /** Opens a fresh connection for each try, as the owner of the certificate or as the bootstrapping user. */
  readonly connect: (credentials: "current" | "bootstrap") => Promise<TlsTransport>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** client-go `certificateWaitTimeout`. */
const WAIT_SECONDS = 15 * 60;

/** Makes the `requestCertificate` of a certificate manager for kubelet client certificates. */
export function createCertificateRequester(options: CertificateRequesterOptions): RequestCertificate {
  const { template, clock, random, logger } = options;
  return async (key, credentials, signal) => {
    await using connection = await options.connect(credentials);
    const transport = observeServerTime(connection, clock);
    const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, options);
    const { commonName, organizations, dnsNames, ipAddresses } = template;
    const request = {
      key,
      subject: { commonName, organizations },
      dnsNames,
      ipAddresses,
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: rotationUsages(key.algorithm),
      name: { prefix: "csr-" },
    };
    const { name, uid } = await submitRequest(csrs, request, clock, signal);
    logger.info("CSR created", { csr: name, signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER });
    const wait = { transport, name, uid, clock, random, logger, timeoutSeconds: WAIT_SECONDS };
    const certificatePem = await waitForCertificate(wait, signal);
    const check = { csrName: name, request, now: clock.now(), skew: transport.findSkew() };
    return checkIssued(certificatePem, check).certificatePem;
  };
}
