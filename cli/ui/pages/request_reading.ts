/** Reads what is known about a request, for its page. */
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { parseRequest } from "../../../core/csr/request.ts";
import { summarizeRequest } from "../../../core/review/request_summary.ts";
import type { RequestView } from "../../../core/review/request_view.ts";
import type { UiContext } from "../page.ts";

/** Reads the view of a request. */
export async function readRequestView(_c: UiContext, csr: CertificateSigningRequest): Promise<RequestView> {
  const s = summarizeRequest(csr);
  const f = parseRequest(csr.spec.request);
  return {
    name: s.name,
    uid: csr.metadata.uid ?? "",
    resourceVersion: csr.metadata.resourceVersion ?? "",
    state: s.state,
    stateText: s.state,
    sentence: `${s.requestedBy} asks for a certificate for ${s.for} from ${s.signer}`,
    for: s.for,
    ...(s.createdAt === undefined ? {} : { createdAt: s.createdAt }),
    warnings: [],
    requester: { text: s.requestedBy, user: csr.spec.username ?? "", groups: csr.spec.groups ?? [] },
    requested: {
      signerName: s.signerName,
      subject: "",
      commonName: "",
      organizations: [],
      otherAttributes: [],
      dnsNames: f.ok ? f.value.dnsNames : [],
      ipAddresses: f.ok ? f.value.ipAddresses : [],
      uris: [],
      emails: [],
      usages: csr.spec.usages ?? [],
      key: "",
      keyFingerprint: "",
      signatureAlgorithm: "",
      extensions: [],
    },
    rules: [],
    changes: [],
    signerRules: [],
    allows: [],
    conditions: [],
  };
}
