/** What a person who waits for a certificate is told. */
import type { RequestProgress } from "../../client/request_certificate.ts";
import { displayPath } from "../output/display_path.ts";

/** One line on what happens; undefined for what the answer says anyway. */
export function describeRequestProgress(event: RequestProgress, cwd: string): string | undefined {
  switch (event.kind) {
    case "needed":
      return `replacing the certificate that is there: ${event.reason}`;
    case "keyKept":
      return `${event.reused ? "using the key in" : "key made:"} ${displayPath(event.path, cwd)}`;
    case "asking":
      return `asking for: ${event.usages.join(", ")}`;
    case "submitted":
      return `request ${event.name} ${event.adopted ? "taken up again" : "made"} at ${event.signerName}`;
    case "approved":
      return `approved (${event.reason}); waiting for the certificate`;
    case "issued":
      return undefined;
  }
}
