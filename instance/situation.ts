/** What a new start finds: the requests that are pending, and whether machines have certificates. */
import { getCsrPhase } from "../core/request/phase.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../core/kube/kinds/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import { certificateSigningRequests, toKeyPrefix } from "../server/registry/mod.ts";
import type { Register } from "../server/register/register.ts";
import type { Storage } from "../server/mod.ts";

/** What an administrator can do next depends on this. */
export interface Situation {
  /** The names of the pending requests, in byte order. */
  readonly pending: readonly string[];
  /** Whether the register has a client certificate of a node. */
  readonly hasMachines: boolean;
}

export async function readSituation(
  { storage, register }: { readonly storage: Storage; readonly register: Pick<Register, "index"> },
): Promise<Situation> {
  const { items } = await storage.list(toKeyPrefix(certificateSigningRequests, ""));
  const requests = items.map(({ object }) => object as CertificateSigningRequest);
  return {
    pending: requests.filter((csr) => getCsrPhase(csr).kind === "pending").map(getName),
    hasMachines: (register.index.newest.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER)?.size ?? 0) > 0,
  };
}
