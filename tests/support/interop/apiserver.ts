/** A kube-apiserver on an instance's etcd, with the instance's own CA and certificates, as docs/guides/etcd.md starts it. */
import { existsSync } from "node:fs";
import { peerPath } from "../peers/go.ts";
import { type Running, start } from "../child.ts";
import { openssl } from "./openssl.ts";
import type { RunningInstance } from "./instance.ts";

/** The flags of docs/guides/etcd.md; on loopback nothing else can be advertised. */
export async function startApiserver(
  instance: Pick<RunningInstance, "dataDir" | "folder">,
  etcdUrl: string,
  port: number,
  flags: readonly string[] = [],
): Promise<Running> {
  const pki = `${instance.dataDir}/pki`;
  const serviceAccountKey = instance.folder.join("sa.key");
  if (!existsSync(serviceAccountKey)) await openssl(["genrsa", "-out", serviceAccountKey, "2048"]);
  return start(peerPath("kube-apiserver"), [
    `--etcd-servers=${etcdUrl}`,
    `--client-ca-file=${pki}/ca.crt`,
    `--tls-cert-file=${pki}/apiserver.crt`,
    `--tls-private-key-file=${pki}/apiserver.key`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--enable-bootstrap-token-auth",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${serviceAccountKey}`,
    `--service-account-signing-key-file=${serviceAccountKey}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    "--endpoint-reconciler-type=none",
    ...flags,
  ]);
}
