/** A look at a server's certificate: to say why it was refused, and to know which names are the server's own. */
import { connect } from "node:tls";
import { type CertificateFacts, parseCertificate } from "../core/pki/certificate.ts";

/** The lifetime of a serving certificate. */
export interface ServingValidity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Connects without trusting the server, sends nothing, and reads its certificate. Undefined when that does not work, or
 * when the certificate cannot be read.
 */
export async function findServingCertificate(
  server: URL,
  tlsName: string | undefined,
  timeoutMs: number,
): Promise<CertificateFacts | undefined> {
  const der = await findServingDer(server, tlsName, timeoutMs);
  const certificate = der === undefined ? undefined : parseCertificate(der);
  return certificate?.ok === true ? certificate.value : undefined;
}

/** The lifetime of a certificate that was refused: Deno reports every fault as one code. */
export async function findServingValidity(
  server: URL,
  tlsName: string | undefined,
  timeoutMs: number,
): Promise<ServingValidity | undefined> {
  return await findServingCertificate(server, tlsName, timeoutMs);
}

function findServingDer(
  server: URL,
  tlsName: string | undefined,
  timeoutMs: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      host: server.hostname.replace(/^\[|\]$/g, ""),
      port: Number(server.port === "" ? 443 : server.port),
      minVersion: "TLSv1.2",
      rejectUnauthorized: false,
      ...(tlsName === undefined ? {} : { servername: tlsName }),
    });
    const finish = (der: Uint8Array<ArrayBuffer> | undefined): void => {
      socket.destroy();
      resolve(der);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("secureConnect", () => {
      const { raw } = socket.getPeerCertificate();
      // Its own bytes: the buffer of the socket's is shared.
      finish(raw === undefined ? undefined : new Uint8Array(raw));
    });
  });
}
