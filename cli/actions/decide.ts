/** Approves and denies, as kubectl does (staging kubectl `pkg/cmd/certificates/certificates.go`). */
import type { Api } from "../../client/api.ts";
import {
  type DecisionText,
  KUBECTL_APPROVE,
  KUBECTL_DENY,
  withApproval,
  withDenial,
} from "../../core/approval/conditions.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { DECIDE_FLAGS } from "../commands/decide_flags.ts";
import { connect } from "../connection.ts";
import type { ExitCode } from "../exit_code.ts";
import type { Action, Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { line } from "../output/escape.ts";
import { CSR_QUALIFIED_KIND, csrPath, parseCsrNames } from "./csr_names.ts";
import { forEachName } from "./each.ts";

type DecideFlags = typeof DECIDE_FLAGS;

/** kubectl gives up after as many conflicts. */
const MAX_CONFLICTS = 10;

/** Which way a decision goes, and how it is told. */
export interface Verb {
  readonly decide: typeof withApproval;
  readonly text: DecisionText;
  readonly past: "approved" | "denied";
}

/** A person's yes. */
export const APPROVE: Verb = { decide: withApproval, text: KUBECTL_APPROVE, past: "approved" };

/** Runs `tlsboot approve`. */
export const approveAction: Action<DecideFlags> = decideAction(APPROVE);

/** Runs `tlsboot deny`. */
export const denyAction: Action<DecideFlags> = decideAction({
  decide: withDenial,
  text: KUBECTL_DENY,
  past: "denied",
});

function decideAction(verb: Verb): Action<DecideFlags> {
  return {
    async run(input: Input<DecideFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
      const names = parseCsrNames(input.args);
      const text = {
        reason: input.settings.reason ?? verb.text.reason,
        message: input.settings.message ?? verb.text.message,
      };
      await using connection = await connect(input.settings, io);
      return await forEachName(names, async (name) => {
        const isNew = await decideOne(connection.api, name, { ...verb, text }, io, signal);
        io.stdout.write(line`${CSR_QUALIFIED_KIND}/${name} ${isNew ? "" : "already "}${verb.past}\n`);
      }, { io, isDebug: input.isDebug, signal });
    },
  };
}

/**
 * Reads a request, decides and writes, and starts again when another client wrote in between. Returns false, having
 * written nothing, when the same decision stands already. With `uid` only that very object is decided: AppError
 * `csr_deleted` for another of its name.
 */
export async function decideOne(
  api: Api,
  name: string,
  verb: Verb,
  io: Pick<Io, "clock">,
  signal: AbortSignal,
  uid?: string,
): Promise<boolean> {
  for (let conflicts = 0;; conflicts++) {
    const path = csrPath(name);
    const csr = await api.requestObject<CertificateSigningRequest>({ method: "GET", path }, signal);
    if (uid !== undefined && csr.metadata.uid !== uid) {
      throw new AppError("csr_deleted", `csr "${name}" changed UIDs`, { hint: "run the command again" });
    }
    const decided = verb.decide(csr, verb.text, io.clock.now());
    if (!decided.ok) {
      throw new AppError("invalid", decided.error.message, {
        hint: "a decision cannot be taken back: delete the request and let the client ask again",
      });
    }
    if (decided.value === csr) return false;
    try {
      await api.requestObject({ method: "PUT", path: `${path}/approval`, body: decided.value }, signal);
      return true;
    } catch (error) {
      if (!isAppError(error, "conflict") || conflicts >= MAX_CONFLICTS) throw error;
    }
  }
}
