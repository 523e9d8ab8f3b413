/** Reads the certificate that a server presents. */
import { Buffer } from "node:buffer";
import { connect } from "node:tls";

/** Returns the certificate that a server on this machine presents as base64 of its DER, without verifying it. */
export function readShownCertificate(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    resolve(Buffer.from(raw).toString("base64"));
  });
  socket.once("error", reject);
  return promise;
}
