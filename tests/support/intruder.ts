/** An administrator with a certificate of a foreign CA, to test whether the API trusts that CA. */
import { writeFile } from "node:fs/promises";
import { issueClientPair } from "../../instance/authority/issue_pair.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { encodeKubeconfigEntry } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";

/** Writes a kubeconfig with a new certificate of the authority for the group `system:masters`. */
export async function writeIntruder(
  path: string,
  cluster: { readonly server: string; readonly caPem: string },
  authority: Authority,
): Promise<string> {
  const identity = { commonName: "intruder", organizations: ["system:masters"], lifetimeMs: 3_600_000 };
  const deps = { clock: createSystemClock(), random: createSystemRandom() };
  const { certificatePem, keyPem } = await issueClientPair(authority, identity, deps);
  const { server, caPem } = cluster;
  await writeFile(
    path,
    encodeKubeconfigEntry("c", {
      cluster: { server, certificateAuthorityData: caPem },
      userName: "u",
      user: { clientCertificateData: certificatePem, clientKeyData: keyPem },
    }),
  );
  return path;
}
