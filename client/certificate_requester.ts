/**
 * Requests one renewal over the API: a CSR with a generated name, and at most 15 minutes of waiting (client-go
 * `util/certificate/certificate_manager.go`, rotateCerts).
 */
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { RequestCertificate } from "./rotation.ts";
import { obtainCertificate, type ObtainProgress } from "./certificate/obtain_certificate.ts";
import { observeServerTime } from "./transport/server_time.ts";
import type { TlsTransport } from "./transport/tls_transport.ts";

/** The signer, the usages and the connection of a renewal. */
export interface CertificateRequesterOptions {
  readonly signerName: string;
  /** Returns the usages for a key algorithm, in the order in which they are sent. */
  readonly usages: (keyAlgorithm: "ECDSA" | "RSA" | "Ed25519") => readonly string[];
  /** The requested lifetime; the signer chooses when it is absent, as for kubelet. */
  readonly expirationSeconds?: number;
  /** Opens a new connection for each try, with the current certificate or the bootstrap credentials. */
  readonly connect: (credentials: "current" | "bootstrap", signal: AbortSignal) => Promise<TlsTransport>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: (event: ObtainProgress) => void;
}

/** How long to wait for a certificate, as client-go's `certificateWaitTimeout`. */
const WAIT_SECONDS = 15 * 60;

/** Creates the `requestCertificate` of a certificate manager. */
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
