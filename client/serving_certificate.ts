/** A look at a server's certificate after it was refused, only to say why: Deno reports every fault as one code. */
import { connect } from "node:tls";

/** The lifetime of a serving certificate. */
export interface ServingValidity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Connects without trusting the server, sends nothing, and reads the lifetime of its certificate. Undefined when that
 * does not work: this only explains a failure that has happened already.
 */
export function findServingValidity(
  server: URL,
  tlsName: string | undefined,
  timeoutMs: number,
): Promise<ServingValidity | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      host: server.hostname.replace(/^\[|\]$/g, ""),
      port: Number(server.port === "" ? 443 : server.port),
      rejectUnauthorized: false,
      ...(tlsName === undefined ? {} : { servername: tlsName }),
    });
    const finish = (validity: ServingValidity | undefined): void => {
      socket.destroy();
      resolve(validity);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate();
      const [notBefore, notAfter] = [new Date(certificate.valid_from), new Date(certificate.valid_to)];
      finish(Number.isNaN(notBefore.getTime() + notAfter.getTime()) ? undefined : { notBefore, notAfter });
    });
  });
}
