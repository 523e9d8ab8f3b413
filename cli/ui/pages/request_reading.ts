/** Reads what is known about a request, for its page. */
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import type { RequestView } from "../../../core/review/request_view.ts";
import { readApproverSettings } from "../../api/published_settings.ts";
import { createRequestViews } from "../../api/request_views.ts";
import type { UiContext } from "../page.ts";

/** Reads the view of a request, judged by the rules that the approver has published. */
export async function readRequestView(
  { connection, io, signal }: UiContext,
  csr: CertificateSigningRequest,
): Promise<RequestView> {
  const chosen = await readApproverSettings(connection.api, signal);
  return await createRequestViews(connection, { chosen, signers: chosen.signers }, io).view(csr, signal);
}
