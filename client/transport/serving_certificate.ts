/** Reads a server's certificate without trusting it: to explain a refusal, and to learn the server's names. */
import { connect } from "node:tls";
import { type CertificateFacts, parseCertificate } from "../../core/pki/certificate.ts";

/**
 * Connects without trusting the server, sends nothing, and reads its certificate. Undefined when the connection fails
 * or the certificate cannot be parsed.
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
      // A copy, because the buffer belongs to the socket.
      finish(raw === undefined ? undefined : new Uint8Array(raw));
    });
  });
}
