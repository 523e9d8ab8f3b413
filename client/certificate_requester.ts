/** One renewal over the API: a CSR with a generated name, waited for at most 15 minutes (`kubelet-bootstrap.md` §7.4). */
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { RequestCertificate } from "./certificate_manager.ts";
import { obtainCertificate, type ObtainProgress } from "./obtain_certificate.ts";
import { observeServerTime } from "./server_time.ts";
import type { TlsTransport } from "./transport.ts";

/** What a renewal needs. */
export interface CertificateRequesterOptions {
  readonly signerName: string;
  /** In the order sent, by the kind of key. */
  readonly usages: (keyAlgorithm: "ECDSA" | "RSA" | "Ed25519") => readonly string[];
  /** How long the certificate should live; the signer's own choice without it, as kubelet asks. */
  readonly expirationSeconds?: number;
  /** Opens a fresh connection for each try, as the owner of the certificate or as the bootstrapping user. */
  readonly connect: (credentials: "current" | "bootstrap", signal: AbortSignal) => Promise<TlsTransport>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: (event: ObtainProgress) => void;
}

/** client-go `certificateWaitTimeout`. */
const WAIT_SECONDS = 15 * 60;

/** Makes the `requestCertificate` of a certificate manager. */
export function createCertificateRequester(options: CertificateRequesterOptions): RequestCertificate {
  const { signerName, expirationSeconds, clock, random, logger } = options;
  return async (key, template, credentials, signal) => {
    await using connection = await options.connect(credentials, signal);
    const { commonName, organizations, dnsNames, ipAddresses } = template;
    const { pair } = await obtainCertificate({
      transport: observeServerTime(connection, clock),
      request: {
        key,
        subject: { commonName, organizations },
        dnsNames,
        ipAddresses,
        signerName,
        usages: options.usages(key.algorithm),
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        name: { prefix: "csr-" },
      },
      timeoutSeconds: WAIT_SECONDS,
      clock,
      random,
      logger,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    }, signal);
    return pair.certificatePem;
  };
}
