/** Kubeconfigs for the users that both servers of a comparison know. */
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IDENTITIES, type Identity } from "../../../interop/comparison/corpus.ts";
import type { Side } from "../../../interop/comparison/sides.ts";

/** Writes one for each user: `<identity>.kubeconfig`, the same on both sides but for the port. */
export async function writeKubeconfigs(side: Side, folder: string): Promise<void> {
  for (const identity of IDENTITIES) {
    await writeFile(join(folder, `${identity}.kubeconfig`), JSON.stringify(createKubeconfig(side, identity)), {
      mode: 0o600,
    });
  }
}

function createKubeconfig(side: Side, identity: Identity): Record<string, unknown> {
  const { agent, authorization } = side.getCredential(identity);
  const { ca, cert, key } = agent.options;
  const user = {
    ...(cert === undefined ? {} : { "client-certificate-data": encode(cert), "client-key-data": encode(key) }),
    ...(authorization === undefined ? {} : { token: authorization.replace("Bearer ", "") }),
  };
  const cluster = { server: `https://127.0.0.1:${side.port}`, "certificate-authority-data": encode(ca) };
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: identity, user }],
    contexts: [{ name: identity, context: { cluster: "test", user: identity } }],
    "current-context": identity,
  };
}

function encode(pem: unknown): string {
  return Buffer.from(String(pem)).toString("base64");
}
