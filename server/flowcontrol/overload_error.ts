/** Too much is asked at once. */
import { AppError } from "../../core/errors.ts";

/** Why a request is not served (`apiserver_flowcontrol_rejected_requests_total`). */
export type RejectReason = "queue-full" | "time-out" | "cancelled";

/** The request is to come again; the client is told in kube-apiserver's words. */
export class OverloadError extends AppError {
  readonly reason: RejectReason;

  constructor(reason: RejectReason) {
    super("unreachable", `cannot serve the request: ${reason}`, { retryable: true });
    this.reason = reason;
  }
}
