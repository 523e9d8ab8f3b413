/** Deletes the pending requests of a requester. */
import { isSettled } from "../../../core/approval/recognizers.ts";
import { isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { ApiClient } from "../../../client/objects/api.ts";
import type { ApproverClearFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { csrPath, listCsrs } from "../../api/csrs.ts";

/** The number of deletions at the same time. */
const CONCURRENCY = 16;

/** The action of the command `tlsboot approver clear`. */
export async function run(input: Input<ApproverClearFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const [requester = ""] = input.args;
  await using connection = await connect(input.settings, io);
  const { items } = await listCsrs(connection.api, {}, signal);
  const pending = items.filter((csr) => csr.spec.username === requester && !isSettled(csr));
  const remaining = pending.values();
  let deleted = 0;
  const work = async (): Promise<void> => {
    for (const csr of remaining) if (await remove(connection.api, csr, signal)) deleted += 1;
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  io.stdout.write(line`${deleted} pending ${deleted === 1 ? "request" : "requests"} of "${requester}" deleted\n`);
  return EXIT.done;
}

/** Deletes a request if it is still the object that was listed; false when it is gone or has changed since. */
async function remove(api: ApiClient, csr: CertificateSigningRequest, signal: AbortSignal): Promise<boolean> {
  const { uid, resourceVersion } = csr.metadata;
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  try {
    await api.requestJson({ method: "DELETE", path: csrPath(getName(csr)), body: { preconditions } }, signal);
    return true;
  } catch (error) {
    if (isAppError(error, "not_found", "conflict")) return false;
    throw error;
  }
}
