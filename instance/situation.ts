/** What a new start finds: the requests that are pending, and whether machines have certificates. */
import { getCsrPhase } from "../core/request/phase.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../core/kube/kinds/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import type { IssuedCertificate } from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import { REGISTER_PREFIX } from "../server/register/register.ts";
import type { Storage } from "../server/mod.ts";
import { certificateSigningRequests, toKeyPrefix } from "../server/registry/mod.ts";

/** What an administrator can do next depends on this. */
export interface Situation {
  /** The names of the pending requests, in byte order. */
  readonly pending: readonly string[];
  /** Whether the register has a client certificate of a node. */
  readonly hasMachines: boolean;
}

export async function readSituation(storage: Storage): Promise<Situation> {
  const { items } = await storage.list(toKeyPrefix(certificateSigningRequests, ""));
  const requests = items.map(({ object }) => object as CertificateSigningRequest);
  return {
    pending: requests.filter((csr) => getCsrPhase(csr).kind === "pending").map(getName),
    hasMachines: await hasMachines(storage),
  };
}

async function hasMachines(storage: Storage): Promise<boolean> {
  for (let fromKey: string | undefined = REGISTER_PREFIX; fromKey !== undefined;) {
    const page = await storage.list(REGISTER_PREFIX, { limit: 500, fromKey });
    const isOfNode = ({ spec }: IssuedCertificate) => spec.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER;
    if (page.items.some(({ object }) => isOfNode(object as IssuedCertificate))) return true;
    fromKey = page.nextKey;
  }
  return false;
}
